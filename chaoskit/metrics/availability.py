"""Availability: what customers asked for over the run, and how much of it was good."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from chaoskit.metrics.arrivals import slept
from chaoskit.metrics.crossed import NEVER_HELD, HeldUp
from chaoskit.metrics.latency import percentiles_ms
from chaoskit.model.history import Operation


@dataclass(frozen=True)
class Availability:
    """Counts of scheduled arrivals of the load from the steady window on; retries and double taps are not counted."""

    scheduled: int
    good: int
    ok: int
    failed: int
    unknown: int
    missed: int
    accepted: int
    slept: int
    held: int
    latency_ms: dict[str, float]

    @property
    def good_ratio(self) -> float:
        """good ÷ scheduled; 0 if nothing was scheduled."""
        return self.good / self.scheduled if self.scheduled else 0.0


def availability_of(
    operations: Sequence[Operation], journey: str, within_ns: int, since: int, held: HeldUp = NEVER_HELD
) -> Availability:
    """The journey as the load saw it, arrivals intended at `since` (ns) or later. Warming up does not count.

    `held`: when the proxies that it goes through were held up.
    """
    answers: list[str] = []
    bad: list[Operation] = []
    spans: list[int] = []
    scheduled = 0
    for o in (
        operations
    ):  # once, because to go through an hour's operations takes longer than what is asked of each
        if o.intended < since or o.attempt != 1 or o.tap or o.journey != journey or o.source != "load":
            continue
        scheduled += 1
        outcome, done = o.outcome, o.done
        if o.sent is not None:
            answers.append(outcome)
        if outcome == "ok" and done is not None:
            spans.append(span := done - o.intended)
            if span <= within_ns and (not o.read or o.full):
                continue
        bad.append(o)
    outcomes = Counter(answers)
    return Availability(
        scheduled=scheduled,
        good=scheduled - len(bad),
        ok=outcomes["ok"],
        failed=outcomes["fail"],
        unknown=outcomes["unknown"],
        missed=scheduled - len(answers),
        accepted=outcomes["accepted"],
        slept=sum(slept(o, within_ns) for o in bad),
        held=sum(held.spoils(o.intended, within_ns) and not slept(o, within_ns) for o in bad),
        latency_ms=percentiles_ms(spans),
    )
