"""Judges the agreed minimum service of the whole system, and says of it what the scorecard shows."""

from __future__ import annotations

from chaoskit.judge.clock_row import ClockRow
from chaoskit.judge.wording import bounds, share, span
from chaoskit.model.journey import MINIMUM_SERVICE
from chaoskit.model.measurement import Interval, MinimumMeasure
from chaoskit.model.verdict import Verdict
from chaoskit.quantity import Duration


def judge_minimum(limit: Duration, measure: MinimumMeasure | None) -> Verdict:
    """pass ⇔ the upper bound, with modelled human time, ≤ limit · fail ⇔ the lower bound > limit · else unknown."""
    name, asked = f"{MINIMUM_SERVICE}.rto", str(limit)
    if measure is None:
        why = "not exercised: the run did not drive all journeys of an agreed minimum service"
        return Verdict(name=name, outcome="unknown", reason=why, objective=asked, exercised=False)
    if measure.invalid or measure.rta is None:
        why = "; ".join(measure.invalid) or "no interval"
        reason = f"the measurement cannot be used: {why}"
        return Verdict(name=name, outcome="unknown", reason=reason, objective=asked, events=measure.events)
    total = measure.total
    assert total is not None
    met = total.hi is not None and total.hi <= limit.ns
    outcome = "pass" if met else "fail" if total.lo > limit.ns else "unknown"
    people = (
        f" (machine {bounds(measure.rta)} and people {span(measure.modelled)} modelled)"
        if measure.modelled
        else ""
    )
    reason = f"{in_words(measure)}: after {bounds(total)}{people}"
    if total.hi is None:
        reason = f"{in_words(measure)}: not back when the run ended, {bounds(total)} after the fault{people}"
    elif measure.never_bad:
        reason = f"{in_words(measure)}: no probe of them was bad{people or f' ({bounds(total)})'}"
    if outcome == "unknown":
        reason += f": inconclusive against {limit}"
    return Verdict.model_validate(
        {
            "name": name,
            "outcome": outcome,
            "reason": reason,
            "objective": asked,
            "measured": bounds(measure.rta),
            "events": measure.events,
        }
    )


def in_words(measure: MinimumMeasure) -> str:
    """What was agreed: `balance and history, 80.00 % for 2s`."""
    return f"{' and '.join(measure.journeys)}, {share(measure.share)} for {span(measure.hold)}"


def row(measure: MinimumMeasure) -> ClockRow:
    """Its row among the clocks."""
    after: Interval | None = measure.rta
    last = f"; {measure.last} {'came back last' if after and after.hi is not None else 'did not come back'}"
    people = f"; {span(measure.modelled)} of people on top, modelled" if measure.modelled else ""
    return ClockRow(
        "minimum service",
        "",
        f"{in_words(measure)}{last if measure.last else ''}{people}",
        after=after,
        shown=f"{bounds(after)}{' (invalid)' if measure.invalid else ''}",
        same=f"{MINIMUM_SERVICE}.rto",
    )
