"""The machine-wide measurement slot: drills provision side by side and measure in turn, first come first served."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import random
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from chaoskit.clock import Clock, monotonic_ns
from chaoskit.errors import EnvironmentBroken
from chaoskit.runtimes.addresses import lock_folder, open_shared
from chaoskit.runtimes.queue_file import Ticket


class Slot:
    """`async with Slot(run, within_s): …` measures alone on this machine.

    An flock: the kernel releases it when its holder ends, in whatever way. Raises EnvironmentBroken, naming the holder,
    when it is not free within `within_s` seconds. `tell` hears for whom one waits, and how many wait before this one,
    whenever that changes.
    """

    def __init__(
        self, run: str, within_s: float = 3600.0, *, folder: Path | None = None, clock: Clock = monotonic_ns
    ) -> None:
        self.run = run
        self.within_s = within_s
        self.path = (folder or lock_folder()) / "chaoskit-slot.lock"
        self.tell: Callable[[str, int], None] | None = None
        self._queue = self.path.with_suffix(".queue")
        self._clock = clock
        self._fd: int | None = None
        self._seen: tuple[str, int] | None = None
        self._told: tuple[str, int] | None = None

    async def acquire(self) -> None:
        """Wait for the slot. The kernel tells nobody when an flock becomes free, so this looks, at uneven
        intervals.
        """
        fd = open_shared(self.path)
        try:
            ticket = Ticket(self._queue)
            try:
                await self._wait(fd, ticket)
            finally:
                ticket.close()
        except BaseException:
            os.close(fd)
            raise
        note = json.dumps({"pid": os.getpid(), "run": self.run}).encode()
        with suppress(OSError):  # only a note for whoever waits: a full disk must not stop the drill
            os.ftruncate(fd, 0)
            os.pwrite(fd, note, 0)
        self._fd = fd

    async def _wait(self, fd: int, ticket: Ticket) -> None:
        deadline = self._clock() + int(self.within_s * 1e9)
        while not (ticket.draw() and ticket.before() == 0 and _lock(fd)):
            if self._clock() >= deadline:
                raise EnvironmentBroken(
                    f"the measurement slot was not free within {self.within_s:g} s: {self.holder()} holds it; "
                    "wait for that drill, or end it"
                )
            self._tell(ticket)
            await asyncio.sleep(random.uniform(0.02, 0.06))

    def _tell(self, ticket: Ticket) -> None:
        """Say it when it was the same twice: between two holders there is none."""
        now = (self.holder(), ticket.before())
        if self.tell is not None and now == self._seen and now != self._told:
            self._told = now
            self.tell(*now)
        self._seen = now

    def holder(self) -> str:
        """Who holds the slot, as far as they said."""
        try:
            note = json.loads(self.path.read_text(encoding="utf-8"))
            return f"run {note['run']} (pid {note['pid']})"
        except (OSError, ValueError, KeyError, TypeError):
            return "a drill that left no name"

    def release(self) -> None:
        """Let the next one measure; safe to repeat."""
        if self._fd is not None:
            fd, self._fd = self._fd, None
            with suppress(OSError):
                os.ftruncate(fd, 0)
            os.close(fd)

    async def __aenter__(self) -> Self:
        await self.acquire()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def _lock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
