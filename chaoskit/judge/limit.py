"""An interval against a limit: a pass when all of it is within, a fail when none is, and unknown in between."""

from __future__ import annotations

from chaoskit.model.measurement import Interval
from chaoskit.model.verdict import Outcome


def within(interval: Interval, limit_ns: int) -> Outcome:
    """pass ⇔ the upper bound ≤ limit · fail ⇔ the lower bound > limit · unknown otherwise."""
    if interval.hi is not None and interval.hi <= limit_ns:
        return "pass"
    return "fail" if interval.lo > limit_ns else "unknown"


def with_people(interval: Interval, modelled_ns: int) -> Interval:
    """Measured machine time plus modelled human time."""
    return Interval(
        lo=interval.lo + modelled_ns, hi=None if interval.hi is None else interval.hi + modelled_ns
    )
