"""Arrivals: the scheduled first attempts of one journey, in order of their intended times, each good or bad."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal

from chaoskit.model.history import MEASURER_AT_FAULT, MISSED_LATE, Operation


@dataclass(frozen=True, slots=True)
class Arrival:
    """One scheduled operation. Times in CLOCK_MONOTONIC ns.

    The system was sampled somewhere in [intended, sampled]; bounds use the unfavourable end. `decided`: from
    when it was certain to be good or bad: its answer, its latency limit, or at once if it was never sent. `asleep`:
    the measurer itself was held up, or at fault, which says nothing about the system.
    """

    intended: int
    sampled: int
    decided: int
    good: bool
    ok: bool
    missed: bool
    asleep: bool = False


def is_arrival(operation: Operation) -> bool:
    """A first attempt. Retries and double taps are load, and not something a customer had asked for anew."""
    return operation.attempt == 1 and not operation.tap


def is_good(operation: Operation, within_ns: int) -> bool:
    """Good ⇔ outcome ok and done − intended ≤ the journey's limit: latency runs from the intended time."""
    return (
        operation.outcome == "ok"
        and operation.done is not None
        and operation.done - operation.intended <= within_ns
    )


def arrival(operation: Operation, within_ns: int) -> Arrival:
    """The operation as an arrival."""
    sampled = operation.woke if operation.woke is not None else operation.sent
    limit = operation.intended + within_ns
    if operation.sent is None:
        decided = operation.intended
    else:
        decided = limit if operation.done is None else min(operation.done, limit)
    return Arrival(
        intended=operation.intended,
        sampled=operation.intended if sampled is None else max(sampled, operation.intended),
        decided=max(decided, operation.intended),
        good=is_good(operation, within_ns),
        ok=operation.outcome == "ok",
        missed=operation.sent is None,
        asleep=_asleep(operation),
    )


def _asleep(operation: Operation) -> bool:
    if operation.sent is None:
        return operation.error == MISSED_LATE
    return operation.outcome != "ok" and MEASURER_AT_FAULT in (operation.error or "")


def arrivals_of(
    operations: Iterable[Operation], journey: str, source: Literal["load", "prober"], within_ns: int
) -> tuple[Arrival, ...]:
    """The journey's arrivals from one source, by intended time."""
    found = [
        arrival(operation, within_ns)
        for operation in operations
        if operation.journey == journey and operation.source == source and is_arrival(operation)
    ]
    return tuple(sorted(found, key=lambda a: a.intended))


class Series:
    """Times and marks of arrivals, for counting in windows [start, stop) in O(log n)."""

    def __init__(self, times: Sequence[int], marks: Sequence[bool]) -> None:
        self.times = times
        self.marks = marks
        self._sum = [0, *accumulate(marks)]

    def counts(self, start: int, stop: int) -> tuple[int, int]:
        """(marked, all) arrivals with start ≤ time < stop."""
        first, last = bisect_left(self.times, start), bisect_left(self.times, stop)
        return self._sum[last] - self._sum[first], last - first

    def marked(self, first: int, last: int) -> int:
        """Marked arrivals among indices first … last − 1."""
        return self._sum[last] - self._sum[first]


def good_series(arrivals: Sequence[Arrival]) -> Series:
    """Marks: good."""
    return Series([a.intended for a in arrivals], [a.good for a in arrivals])


def ok_series(arrivals: Sequence[Arrival]) -> Series:
    """Marks: ok, however late."""
    return Series([a.intended for a in arrivals], [a.ok for a in arrivals])
