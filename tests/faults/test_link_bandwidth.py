"""The witness of a thin line: what a busy machine held up before the fault does not hide the limit."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest

from chaoskit.engines.dialect import Dialect, Position
from chaoskit.engines.line import Answer, Line, Way
from chaoskit.faults import link_bandwidth
from chaoskit.faults.link_bandwidth import LinkBandwidth
from chaoskit.model.estate import Address
from chaoskit.model.member import Witness
from chaoskit.quantity import Size

MS = 1_000_000
FAULT = LinkBandwidth(Size.parse("20KB"), "answers")  # 5,000 bytes take 250 ms


class ScriptedLine(Line):
    """Its transfers take these times, ms, one after the other; None is one that is not answered."""

    def __init__(self, *took_ms: int | None) -> None:
        self.took_ms: Iterator[int | None] = iter(took_ms)
        self.closed = False

    async def ask(self, within_s: float) -> Answer:
        raise AssertionError("no small question shows a limit")

    async def move(self, size: int, way: Way, within_s: float) -> Answer:
        took = next(self.took_ms)
        if took is None:
            return Answer("closed", 0, 1, "closed instead of answering")
        return Answer("answered", 0, took * MS, "answered", size)

    async def ending(self, within_s: float) -> Answer:
        raise AssertionError("nobody waits for its end")

    def close(self) -> None:
        self.closed = True


def seen(monkeypatch: pytest.MonkeyPatch, *took_ms: int | None) -> Witness:
    """What is seen on a line with these transfers, of which the last ones come after the fault."""
    line = ScriptedLine(*took_ms)

    async def position(*_: Any, **__: Any) -> Position:
        return Position(Address("127.0.0.1", 1), Dialect("web", "http"), line, (MS,))

    monkeypatch.setattr(link_bandwidth, "position_on", position)
    estate = cast(Any, SimpleNamespace())

    async def work() -> Witness:
        return await FAULT.witness("gate -> web", estate, await FAULT.baseline("gate -> web", estate))

    witness = asyncio.run(work())
    assert line.closed
    assert next(line.took_ms, "none is left") == "none is left"
    return witness


def test_a_transfer_that_was_held_up_before_the_fault_does_not_hide_the_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    witness = seen(monkeypatch, 180, 4, 5, 250)
    assert witness.seen, witness.how
    assert witness.how == "5000 bytes of answers in 0.250 s, 0.005 s before"


def test_a_quick_line_is_measured_once(monkeypatch: pytest.MonkeyPatch) -> None:
    assert seen(monkeypatch, 4, 251).seen
    assert not seen(monkeypatch, 4, 190).seen


@pytest.mark.parametrize("before", [(180, 4, 160), (180, 150, 4), (240, 250, 260)])
def test_a_line_that_was_slow_before_more_often_than_not_has_no_limit_of_ours(
    before: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    witness = seen(monkeypatch, *before, 260)
    assert not witness.seen
    assert "no limit of 20KB a second can be told from that" in witness.how


@pytest.mark.parametrize("before", [(None,), (180, None), (180, 4, None)])
def test_a_line_that_ends_before_the_fault_says_so(
    before: tuple[int | None, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    witness = seen(monkeypatch, *before)
    assert not witness.seen
    assert witness.how == "a transfer before the fault was closed: closed instead of answering"
