"""Customers whom no probe speaks for, on paper: which operations they were, and the bound that they give."""

from __future__ import annotations

from chaoskit.judge.paper import Paper, doubt, seconds
from chaoskit.judge.wording import share
from chaoskit.metrics.arrivals import arrivals_of
from chaoskit.metrics.unseen import SURPRISE
from chaoskit.model.measurement import Interval, JourneyMeasure

SHOWN = 4
"""Operations shown of either end of the stretch."""


def unseen(paper: Paper, measure: JourneyMeasure, rta: Interval) -> list[str]:
    """The customers whom no probe speaks for, and the upper bound that they give, where no probe was bad."""
    if (met := measure.unseen) is None or met.over is None:
        return []
    within = paper.history.plan.system.journeys[measure.journey].good.within.ns
    load = arrivals_of(paper.history.operations, measure.journey, "load", within)
    bad = [a for a in load if met.since <= a.intended <= met.until and not a.asleep and not a.ok][: met.bad]
    left_out = max(0, len(bad) - 2 * SHOWN)
    rows = [
        f"      intended {paper.at(a.intended):>14}  sampled by {paper.at(a.sampled):>14}  not ok"
        for a in bad
    ]
    if left_out:
        rows[SHOWN:-SHOWN] = [f"      … {left_out} more …"]
    text = [
        f"  no probe was bad, but {met.bad} of {met.of} operations of the load were not ok, in a stretch that ends",
        "    with the last of them, counted from the first fault or over one window. That is more than before the",
        f"    fault, and than chance: less likely than {share(SURPRISE)}, over all such stretches together:",
        *rows,
        *doubt(len(bad) == met.bad),
    ]
    if rta.hi is None:
        return [*text, "  upper bound: none; see why it cannot be used"]
    probes = arrivals_of(paper.history.operations, measure.journey, "prober", within)
    back = next(p for p in probes if p.good and p.intended >= met.over)
    f_lo = min(fault.lo for fault in paper.measurements.faults)
    return [
        *text,
        "    So all that were not ok count, strays too, from the first fault on; the last of them was sent by "
        f"{paper.at(met.over)}.",
        "  upper bound = the first good probe after it − f_lo = "
        f"{paper.at(back.sampled)} − {paper.at(f_lo)} = {seconds(back.sampled - f_lo)}, or what the criterion gives",
        *doubt(back.sampled - f_lo <= rta.hi),
    ]
