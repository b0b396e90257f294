"""Arrivals: the scheduled first attempts of one journey, in order of their intended times, each good or bad."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from operator import attrgetter
from typing import Literal

import msgspec

from chaoskit.model.history import MEASURER_AT_FAULT, MISSED_LATE, Operation

INTENDED = attrgetter("intended")
LATE_SHARE = 0.2
"""Of the latency limit: a measurer that is late by less has not made an operation bad that was nearly so."""


class Arrival(msgspec.Struct, frozen=True, gc=False):
    """One scheduled operation. Times in CLOCK_MONOTONIC ns.

    The system was sampled somewhere in [intended, sampled]; bounds use the unfavourable end. `decided`: from
    when it was certain to be good or bad: its answer, its latency limit, or at once if it was never sent. `asleep`:
    the measurer itself was held up, or at fault, which says nothing about the system. `promised`: not good, and yet
    served in time: by a promise to do it later, or by an answer that admits to be old.
    """

    intended: int
    sampled: int
    decided: int
    good: bool
    ok: bool
    missed: bool
    asleep: bool = False
    promised: bool = False

    @property
    def served(self) -> bool:
        """Good enough for minimum service."""
        return self.good or self.promised


def is_arrival(operation: Operation) -> bool:
    """A first attempt. Retries and double taps are load, and not something a customer had asked for anew."""
    return operation.attempt == 1 and not operation.tap


def is_good(operation: Operation, within_ns: int) -> bool:
    """Good ⇔ outcome ok, in full, and done − intended ≤ the journey's limit: latency runs from the intended time."""
    return operation.full and operation.done is not None and operation.done - operation.intended <= within_ns


def arrival(operation: Operation, within_ns: int) -> Arrival:
    """The operation as an arrival."""
    intended, sent, done = operation.intended, operation.sent, operation.done
    sampled = sent if operation.woke is None else operation.woke
    limit = intended + within_ns
    ok = operation.outcome == "ok"
    full = ok and (not operation.read or operation.full)
    in_time = done is not None and done <= limit
    answered = limit if done is None or done > limit else done
    decided = intended if sent is None or answered < intended else answered
    if sampled is None or sampled < intended:
        sampled = intended
    if full and in_time:  # as nearly all are
        return Arrival(intended, sampled, decided, True, True, sent is None)
    return Arrival(
        intended,
        sampled,
        decided,
        False,
        full,
        sent is None,
        slept(operation, within_ns),
        in_time and not full and (ok or operation.outcome == "accepted"),
    )


def slept(operation: Operation, within_ns: int) -> bool:
    """Whether it is bad through the measurer: not sent, failed by it, or too late because it was sent late."""
    if operation.sent is None:
        return operation.error == MISSED_LATE
    if not operation.full:
        return MEASURER_AT_FAULT in (operation.error or "")
    if operation.done is None or operation.woke is None or is_good(operation, within_ns):
        return False
    late = operation.woke - operation.intended
    return late > LATE_SHARE * within_ns and operation.done - operation.woke <= within_ns


def arrivals_of(
    operations: Iterable[Operation], journey: str, source: Literal["load", "prober"], within_ns: int
) -> tuple[Arrival, ...]:
    """The journey's arrivals from one source, by intended time."""
    found = [
        arrival(operation, within_ns)
        for operation in operations
        if operation.attempt == 1
        and not operation.tap
        and operation.journey == journey
        and operation.source == source
    ]
    return tuple(sorted(found, key=INTENDED))


def by_journey(operations: Iterable[Operation]) -> Mapping[tuple[str, str], Sequence[Operation]]:
    """The operations of each journey and source, in their order; of others there are none."""
    found: defaultdict[tuple[str, str], list[Operation]] = defaultdict(list)
    for operation in operations:
        found[operation.journey, operation.source].append(operation)
    return found


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
    """Marks: ok in full, however late."""
    return Series([a.intended for a in arrivals], [a.ok for a in arrivals])
