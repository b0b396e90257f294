"""Which fault starts a journey's clock: the latest volley that can have made its first bad arrival bad."""

from __future__ import annotations

from collections.abc import Sequence

from chaoskit.metrics.arrivals import Arrival
from chaoskit.metrics.timeline import Volley

FINEST_NS = 5_000_000
"""No latency finer than this is claimed (MEASUREMENT, Clock)."""


def first_bad(arrivals: Sequence[Arrival], zero: int) -> int | None:
    """Index of the first bad arrival that was undecided at `zero` or came after it; None: none."""
    for index, found in enumerate(arrivals):
        if not found.good and max(found.intended, found.decided) >= zero:
            return index
    return None


def starting_volley(
    arrivals: Sequence[Arrival], bad: int, volleys: Sequence[Volley], period: int
) -> Volley | None:
    """The latest volley whose lo ≤ the first bad arrival; None: it was bad before any fault began.

    An arrival that was in flight when a fault struck was sent before it. So the arrival counts as lasting for as
    long as it was on its way, but no longer than any good arrival before it ever took: one that had been hanging for
    longer than that was hurt by an earlier fault, or by none. Of none there is no telling where the arrival before it
    was good and it was still on its way when the first fault struck, less than a `period` (ns) after it was sent: no
    clock is finer, and a machine on which a fault is just being applied is slower than ever before.
    """
    first = arrivals[bad]
    usual = max((a.decided - a.intended for a in arrivals[:bad] if a.good), default=0)
    in_flight = min(max(usual, FINEST_NS), first.decided - first.intended)
    candidates = [volley for volley in volleys if volley.lo <= first.intended + in_flight]
    if candidates:
        return candidates[-1]
    struck = volleys[0].lo
    well_before = bad > 0 and arrivals[bad - 1].good
    return (
        volleys[0] if well_before and first.intended > struck - period and first.decided >= struck else None
    )
