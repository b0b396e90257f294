"""Asks a person on the terminal: y or n, and who it is. Nothing is read that was typed before the question stood there.

ask ──► question ──► line? ──► y or n? ──► who? ──► answer
                      ▲           │ neither   │ nothing
                      └───────────┴───────────┘  said again
"""

from __future__ import annotations

import asyncio
import os
import sys
import termios
from collections.abc import Callable

from chaoskit.model.people import Answer, NobodyAsked, Question
from chaoskit.model.plain_text import one_line

_YES, _NO = frozenset({"y", "yes"}), frozenset({"n", "no"})
_LINE_MAX = 4096
_WHO_MAX = 60


def possible() -> bool:
    """Whether a person can be asked: input and output are a terminal, and this process is in its foreground."""
    try:
        return sys.stdin.isatty() and sys.stdout.isatty() and _in_front(sys.stdin.fileno())
    except (OSError, ValueError, AttributeError):
        return False


def _in_front(fd: int) -> bool:
    """Reading a terminal from behind would stop the whole process, and with it the drill."""
    try:
        return os.tcgetpgrp(fd) == os.getpgrp()
    except OSError:  # a terminal, but not the one this session belongs to: nothing stops us from reading it
        return True


async def ask(question: Question, say: Callable[[str], None], fd: int) -> Answer:
    """Ask on the terminal `fd` until there is an answer. Raises NobodyAsked when the terminal is gone."""
    if not _in_front(fd):
        raise NobodyAsked("this run is not in the foreground of its terminal")
    try:
        termios.tcflush(fd, termios.TCIFLUSH)
    except termios.error as error:
        raise NobodyAsked(f"the terminal is gone ({error})") from error
    say(
        f"{question.role.upper()}: {question.what}? Answer y or n, and who you are, within {question.within} "
        "(like: y Kim)"
    )
    yes: bool | None = None
    while True:
        word, _, rest = (await _line(fd)).strip().partition(" ")
        if yes is None:
            if word.lower() not in _YES | _NO:
                say("y or n, and who you are, like: y Kim")
                continue
            yes, who = word.lower() in _YES, rest
        else:
            who = f"{word} {rest}"
        if who := one_line(who.strip(), _WHO_MAX):
            return Answer(yes, who)
        say("and who are you?")


async def _line(fd: int) -> str:
    """The next line typed. Cancelled, it reads nothing."""
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()

    def readable() -> None:
        if not ready.done():
            ready.set_result(None)

    loop.add_reader(fd, readable)
    try:
        await ready
    finally:
        loop.remove_reader(fd)
    try:
        text = os.read(fd, _LINE_MAX)
    except OSError as error:
        raise NobodyAsked(f"the terminal is gone ({error.strerror})") from error
    if not text:
        raise NobodyAsked("the terminal was closed")
    return text.decode(errors="replace")
