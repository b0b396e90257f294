"""Whether the prober measured what it claims: in the deciding window every probe was sent, and on time."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import pairwise

from chaoskit.metrics.arrivals import INTENDED, Arrival


def invalid_reasons(
    arrivals: Sequence[Arrival], start: int, stop: int, period: int, load: Sequence[Arrival] = ()
) -> tuple[str, ...]:
    """Why [start, stop] cannot be decided from these probes and this load; empty if it can.

    A probe that was missed, that was sent more than one period late, or that is not in the journal at all (a
    gap of more than one and a half periods) leaves an outage of more than two periods unseen. Customers whom the load
    slept through asked for nothing: that the system did not serve them is not its fault, nor that it served the others.
    """
    inside = arrivals[bisect_left(arrivals, start, key=INTENDED) : bisect_right(arrivals, stop, key=INTENDED)]
    reasons = []
    if missed := sum(a.missed for a in inside):
        reasons.append(f"{missed} of {len(inside)} probes were not sent")
    if own := sum(a.asleep and not a.missed for a in inside):
        reasons.append(f"{own} of {len(inside)} probes failed through the prober itself")
    late = [a.sampled - a.intended for a in inside if not a.missed and a.sampled - a.intended > period]
    if late:
        reasons.append(
            f"{len(late)} of {len(inside)} probes were late by more than their period of {_ms(period)}, "
            f"the latest by {_ms(max(late))}"
        )
    edges = [start, *(a.intended for a in inside), stop]
    gaps = [after - before for before, after in pairwise(edges) if 2 * (after - before) > 3 * period]
    if gaps:
        reasons.append(f"no probe for {_ms(max(gaps))}, though one was due every {_ms(period)}")
    due = load[bisect_left(load, start, key=INTENDED) : bisect_right(load, stop, key=INTENDED)]
    if asleep := sum(a.asleep for a in due):
        reasons.append(f"the load slept through {asleep} of {len(due)} arrivals: this machine was too busy")
    return tuple(reasons)


def _ms(ns: int) -> str:
    return f"{ns / 1e6:.0f} ms" if ns >= 10_000_000 else f"{ns / 1e6:.1f} ms"
