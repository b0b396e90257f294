"""Availability: what customers asked for over the run, and how much of it was good."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from chaoskit.metrics.arrivals import slept
from chaoskit.metrics.crossed import NEVER_HELD, HeldUp
from chaoskit.metrics.latency import latency_ms
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
    own = [
        o
        for o in operations
        if o.journey == journey
        and o.source == "load"
        and o.attempt == 1
        and not o.tap
        and o.intended >= since
    ]
    outcomes = Counter([o.outcome for o in own if o.sent is not None])
    bad = [
        o
        for o in own
        if o.done is None or o.done - o.intended > within_ns or o.outcome != "ok" or (o.read and not o.full)
    ]
    good = len(own) - len(bad)
    return Availability(
        scheduled=len(own),
        good=good,
        ok=outcomes["ok"],
        failed=outcomes["fail"],
        unknown=outcomes["unknown"],
        missed=len(own) - outcomes.total(),
        accepted=outcomes["accepted"],
        slept=sum(slept(o, within_ns) for o in bad),
        held=sum(held.spoils(o.intended, within_ns) and not slept(o, within_ns) for o in bad),
        latency_ms=latency_ms(own),
    )
