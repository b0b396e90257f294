"""The witness of a late line: what chance draws is not taken for no fault, nor a busy machine for one."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from itertools import count
from typing import Any, cast

import pytest

from chaoskit.engines.dialect import Dialect, Position
from chaoskit.engines.line import Answer, Line, Way
from chaoskit.faults.link_latency import LinkLatency
from chaoskit.model.estate import Address
from chaoskit.model.member import Witness
from chaoskit.quantity import Duration

MS = 1_000_000
BEFORE = tuple(ms * MS for ms in (1, 1, 1, 2, 2, 3, 6))
OF_CHANCE = [
    LinkLatency(Duration.parse(latency), Duration.parse(jitter))
    for latency, jitter in [
        ("120ms", "40ms"),
        ("20ms", "20ms"),
        ("400ms", "100ms"),
        ("2s", "2s"),
        ("6ms", "1ms"),
    ]
]


class DrawnLine(Line):
    """Its n-th answer takes what `draw` says, ns; no time passes."""

    def __init__(self, draw: Callable[[int], int]) -> None:
        self.draw, self.number = draw, count(1)

    async def ask(self, within_s: float) -> Answer:
        return Answer("answered", 0, self.draw(next(self.number)))

    async def move(self, size: int, way: Way, within_s: float) -> Answer:
        raise AssertionError("nothing is moved")

    async def ending(self, within_s: float) -> Answer:
        raise AssertionError("nobody waits for its end")

    def close(self) -> None:
        pass


def look(fault: LinkLatency, draw: Callable[[int], int]) -> Witness:
    position = Position(Address("127.0.0.1", 1), Dialect("web", "http"), DrawnLine(draw), BEFORE)
    return asyncio.run(fault.witness("gate -> web", cast(Any, None), position))


@pytest.mark.parametrize("fault", OF_CHANCE, ids=lambda fault: f"{fault.latency}-{fault.jitter}")
def test_of_a_thousand_lines_with_jitter_almost_none_goes_unseen(fault: LinkLatency) -> None:
    chance = random.Random(120)
    low, high = fault.latency.ns - fault.jitter.ns, fault.latency.ns + fault.jitter.ns
    seen = [look(fault, lambda _: 2 * MS + chance.randint(low, high)).seen for _ in range(1000)]
    assert seen.count(False) <= 2


@pytest.mark.parametrize("fault", OF_CHANCE, ids=lambda fault: f"{fault.latency}-{fault.jitter}")
def test_a_line_as_before_is_not_late(fault: LinkLatency) -> None:
    chance = random.Random(40)
    seen = [look(fault, lambda _: chance.choice(BEFORE[:5])).seen for _ in range(200)]
    assert not any(seen)


def test_every_third_answer_late_is_a_busy_machine_and_no_fault() -> None:
    fault = OF_CHANCE[0]
    witness = look(fault, lambda number: (2 if number % 3 else 120) * MS)
    assert (witness.seen, witness.how) == (False, "only 4 of 12 answers took 80 ms or more")


def test_without_jitter_every_answer_must_be_late() -> None:
    fault = LinkLatency(Duration.parse("120ms"))
    assert look(fault, lambda _: 121 * MS).seen
    assert not look(fault, lambda number: (121 if number > 1 else 90) * MS).seen


def test_a_delay_that_a_busy_machine_has_anyway_is_refused() -> None:
    with pytest.raises(ValueError, match="the latency 5ms less half the jitter 5ms is less than 5ms"):
        LinkLatency(Duration.parse("5ms"), Duration.parse("5ms"))
