"""Each journey as its customers see it now: the last second of the operations that the journals tell of."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from typing import NamedTuple

from chaoskit.model.history import Operation
from chaoskit.model.plain_text import one_line
from chaoskit.model.plan import Plan

SPAN_NS = 1_000_000_000
"""How long "now" lasts."""
EXPECTED_MIN = 5.0
"""Arrivals expected in a span, from which on their absence means that nobody gets an answer."""
NOTHING = "–"
NO_ANSWER = "no answer"
_REASON_MAX = 40


class Seen(NamedTuple):
    """One finished operation."""

    done: int
    good: bool
    latency_ns: int | None
    trouble: str


class Row(NamedTuple):
    """What is shown of one journey: share of good operations, median latency, the commonest trouble."""

    journey: str
    good: str
    median: str
    trouble: str

    @property
    def bad(self) -> bool:
        """Whether somebody was not served."""
        return self.good not in (NOTHING, "100 %")


class JourneysNow:
    """Fed with operations; `rows` says how it is at an instant, CLOCK_MONOTONIC ns."""

    def __init__(self, plan: Plan) -> None:
        probed = {probe.journey: 1e9 / probe.every.ns for probe in plan.probes}
        journeys = list(dict.fromkeys([*plan.load, *probed]))
        self._within = {name: plan.system.journeys[name].good.within.ns for name in journeys}
        self._seen: dict[str, deque[Seen]] = {name: deque() for name in journeys}
        self._expected = {
            name: (plan.load[name].per_second if name in plan.load else 0.0) + probed.get(name, 0.0)
            for name in journeys
        }
        self._ever: set[str] = set()

    def see(self, operations: Iterable[Operation]) -> None:
        """Take finished operations in; retries and double taps are no arrivals of customers."""
        for operation in operations:
            seen = self._seen.get(operation.journey)
            if seen is None or operation.attempt > 1 or operation.tap:
                continue
            done = operation.done if operation.done is not None else operation.intended
            latency = done - operation.intended if operation.outcome == "ok" else None
            in_time = latency is not None and latency <= self._within[operation.journey]
            good = in_time and operation.full
            trouble = "" if good else operation.error or _status(operation)
            seen.append(Seen(done, good, latency, trouble))
            self._ever.add(operation.journey)

    def rows(self, now_ns: int) -> list[Row]:
        """Every journey over the last second; where nothing was finished, whether that is a bad sign."""
        return [self._row(name, seen, now_ns - SPAN_NS) for name, seen in self._seen.items()]

    def _row(self, name: str, seen: deque[Seen], since_ns: int) -> Row:
        while seen and seen[0].done < since_ns:
            seen.popleft()
        recent = [one for one in seen if one.done >= since_ns]
        if not recent:
            waiting = name in self._ever and self._expected[name] * SPAN_NS / 1e9 >= EXPECTED_MIN
            return Row(name, NO_ANSWER if waiting else NOTHING, NOTHING, "")
        latencies = sorted(one.latency_ns for one in recent if one.latency_ns is not None)
        median = _ms(latencies[len(latencies) // 2]) if latencies else NOTHING
        # Rounded down: 100 % is said of all of them only.
        good = f"{100 * sum(one.good for one in recent) // len(recent)} %"
        troubles = Counter(one.trouble for one in recent if one.trouble)
        return Row(
            name, good, median, one_line(troubles.most_common(1)[0][0], _REASON_MAX) if troubles else ""
        )


def _status(operation: Operation) -> str:
    if operation.outcome == "ok":
        return "too late" if operation.full else "an old answer"
    return f"answer {operation.status}" if operation.status is not None else operation.outcome


def _ms(latency_ns: int) -> str:
    ms = latency_ns / 1e6
    return f"{ms:.0f} ms" if ms >= 1 else "< 1 ms"
