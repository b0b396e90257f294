"""A person is asked on a real terminal, a pty: what counts as an answer, and what becomes of a whole drill."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from chaoskit.cli import asking
from chaoskit.model.people import Answer, NobodyAsked, Question
from tests.cli.conftest import Desk

QUESTION = Question("restart", "restart-service on web", "duty-manager", "20s")


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """Both ends of a pty: where the person types, and what the program reads."""
    ours, theirs = pty.openpty()
    yield ours, theirs
    for end in (ours, theirs):
        try:
            os.close(end)
        except OSError:
            pass


def asked(terminal: tuple[int, int], *typed: bytes, before: bytes = b"") -> tuple[Answer, list[str]]:
    """The answer, and what was said; each line is typed once the one before it has been answered."""
    ours, theirs = terminal
    said: list[str] = []
    lines = iter(typed)

    def say(line: str) -> None:
        said.append(line)
        if (following := next(lines, None)) is not None:
            os.write(ours, following)

    if before:
        os.write(ours, before)
        select.select([theirs], [], [], 5)

    async def work() -> Answer:
        async with asyncio.timeout(10):
            return await asking.ask(QUESTION, say, theirs)

    return asyncio.run(work()), said


@pytest.mark.parametrize(
    ("typed", "answer"),
    [
        ((b"y Kim Lee\n",), Answer(True, "Kim Lee")),
        ((b"NO  Kim\n",), Answer(False, "Kim")),
        ((b"yes\n", b"\n", b"Kim\n"), Answer(True, "Kim")),
        ((b"\n", b"sure\n", b"n Kim\n"), Answer(False, "Kim")),
        ((b"y \x1b[2JKim\n",), Answer(True, "\N{REPLACEMENT CHARACTER}[2JKim")),
    ],
)
def test_an_answer_is_y_or_n_and_a_name(
    terminal: tuple[int, int], typed: tuple[bytes, ...], answer: Answer
) -> None:
    given, said = asked(terminal, *typed)
    assert given == answer
    assert "DUTY-MANAGER: restart-service on web?" in said[0]
    assert len(said) == len(typed)


def test_what_was_typed_before_the_question_is_no_answer(terminal: tuple[int, int]) -> None:
    given, _ = asked(terminal, b"n Kim\n", before=b"y impatient\n")
    assert given == Answer(False, "Kim")


def test_a_terminal_that_goes_away_answers_nothing(terminal: tuple[int, int]) -> None:
    ours, theirs = terminal

    async def work() -> None:
        asyncio.get_running_loop().call_later(0.05, os.close, ours)
        async with asyncio.timeout(10):
            await asking.ask(QUESTION, lambda line: None, theirs)

    with pytest.raises(NobodyAsked):
        asyncio.run(work())


def asking_drill(desk: Desk, within: str = "20s") -> None:
    text = desk.drill.read_text()
    more = f"on: web, decision: {{role: duty-manager, asked: true, within: {within}}}}}"
    assert "on: web}" in text
    desk.drill.write_text(
        text.replace("respond: restart-service, on: web}", f"respond: restart-service, {more}")
    )


def test_without_a_terminal_it_is_refused_while_planning(desk: Desk) -> None:
    asking_drill(desk)
    for command in ("plan", "run", "prove"):
        ended = desk.chaoskit(command, desk.drill)
        assert ended.code == 2
        assert "shop.yaml:" in ended.err
        assert (
            "the duty-manager is asked on the terminal before `restart-service`, and there is none"
            in ended.err
        )
        assert "write `takes: 2m`, and the decision is modelled" in ended.err
    assert not (desk.folder / "reports").exists()


def in_terminal(desk: Desk, type_at: bytes, line: bytes, number: int = 0) -> tuple[int, str]:
    """A run on a terminal of its own; `line` is typed, or it gets the signal, as soon as `type_at` stands there."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "chaoskit", "run", str(desk.drill)],
        cwd=desk.folder,
        env=desk.environment({"TERM": "xterm-256color", "COLUMNS": "160", "NO_COLOR": "1"}),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    seen, typed, limit = b"", not type_at, time.monotonic() + 180
    while time.monotonic() < limit:
        try:
            piece = os.read(ours, 65536)
        except OSError:  # EIO: everybody on the other side has left
            break
        seen += piece
        if not typed and type_at in seen:
            if number:
                process.send_signal(number)
            else:
                os.write(ours, line)
            typed = True
    os.close(ours)
    return process.wait(timeout=30), seen.decode()


def result_of(desk: Desk) -> dict[str, object]:
    (folder,) = (desk.folder / "reports").iterdir()
    found: dict[str, object] = json.loads((folder / "result.json").read_text())
    return found


def test_a_drill_goes_on_when_it_is_answered_and_says_who_and_how_long(desk: Desk) -> None:
    asking_drill(desk)
    code, text = in_terminal(desk, b"and who you are, within 20s", b"y Kim\n")
    assert code == 0, text
    assert "Kim has decided as duty-manager, after" in text
    decided = next(v for v in result_of(desk)["verdicts"] if v["name"].startswith("decision."))  # type: ignore
    assert decided["outcome"] == "pass"
    assert decided["reason"].startswith("Kim decided it as duty-manager after ")
    assert "decided: restart-service" in text


def test_a_drill_that_nobody_answers_says_why_it_did_not_recover(desk: Desk) -> None:
    asking_drill(desk, within="1s")
    code, text = in_terminal(desk, b"", b"")
    assert code == 1, text
    assert "NOT DECIDED: the duty-manager was asked and did not answer within 1s" in text
    verdicts = {v["name"]: v["outcome"] for v in result_of(desk)["verdicts"]}  # type: ignore
    assert verdicts["decision.restart-service"] == "fail"
    assert verdicts["visit.rto"] == "fail"
    assert "timeline" not in verdicts


def test_a_person_who_stops_the_drill_in_place_of_an_answer(desk: Desk) -> None:
    asking_drill(desk)
    code, text = in_terminal(desk, b"and who you are, within 20s", b"", signal.SIGINT)
    assert code == 130, text
    assert "Traceback" not in text
    assert not list((desk.state / "runs").iterdir()), "everything was healed"
