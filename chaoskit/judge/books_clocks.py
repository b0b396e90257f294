"""Backlog and books of a journey: their rows among the clocks, and what an RTO asks of books that lost data.

full service ───────┐
                    ├──► the later of the two ──► RTO, where something destroyed data
books right again ──┘
"""

from __future__ import annotations

from collections.abc import Iterator

from chaoskit.judge.clock_row import ClockRow
from chaoskit.judge.limit import with_people, within
from chaoskit.judge.wording import bounds, span
from chaoskit.model.measurement import Interval, JourneyMeasure, Measurements
from chaoskit.model.verdict import Outcome, Verdict


def later_of(one: Interval, other: Interval) -> Interval:
    """Bounds of the later of two instants that are counted from one fault."""
    hi = None if one.hi is None or other.hi is None else max(one.hi, other.hi)
    return Interval(lo=max(one.lo, other.lo), hi=hi)


def with_their_people(measure: JourneyMeasure, right: Interval) -> Interval:
    """When a journey's books were right, `right`, with modelled human time.

    Books that no step put right may have been right with full service: people who decided later miss nothing then.
    """
    whole = with_people(right, measure.reconciled_modelled)
    if measure.reconciled_by is not None or surely_wrong(right):
        return whole
    return Interval(lo=right.lo + min(measure.modelled, measure.reconciled_modelled), hi=whole.hi)


def surely_wrong(right: Interval) -> bool:
    """Whether the books were certainly not right when they were last looked at."""
    return right.hi is None and right.lo > 0


def with_books(full: Verdict, limit_ns: int, measure: JourneyMeasure | None) -> Verdict:
    """The verdict on full service, made one on the later of it and right books; the reason says which decided.

    pass ⇔ both upper bounds ≤ limit · fail ⇔ a lower bound > limit · else unknown; so is what the books do not say.
    """
    if measure is None or measure.invalid or measure.rta is None or not measure.destroyed_by:
        return full
    if full.outcome == "fail":  # the later of the two cannot be earlier
        return full
    by = " and ".join(measure.destroyed_by)
    if measure.reconciled is None:
        why = f"{full.reason}; but {by} destroyed data, and when the books were right again is not known"
        return full.model_copy(update={"outcome": "unknown", "reason": why})
    served = with_people(measure.rta, measure.modelled)
    right = with_their_people(measure, measure.reconciled)
    outcome = within(later_of(served, right), limit_ns)
    if right.hi is not None and served.hi is not None and right.hi <= served.hi:
        why = f"{full.reason}; its books were right by then, after {bounds(right)}"
        return full.model_copy(update={"outcome": outcome, "reason": why})
    return full.model_copy(
        update={
            "outcome": outcome,
            "reason": f"{_reconciled(measure, right, outcome, full.objective)}: {by} destroyed data, so that this "
            f"counts and not full service alone ({full.reason})",
            "measured": bounds(later_of(measure.rta, measure.reconciled)),
            "events": tuple(sorted({*full.events, *_event(measure)})),
        }
    )


def _reconciled(measure: JourneyMeasure, right: Interval, outcome: Outcome, limit: str | None) -> str:
    assert measure.reconciled is not None
    people = (
        f" (machine {bounds(measure.reconciled)} and people {span(measure.reconciled_modelled)} modelled)"
        if measure.reconciled_modelled
        else ""
    )
    if right.hi is None:
        told = (
            f"its books were not right when they were last looked at, {bounds(right)} after the fault{people}"
        )
    else:
        told = f"its books were right after {bounds(right)}{people}"
    return f"{told}; that does not settle {limit}" if outcome == "unknown" else told


def rows(measurements: Measurements) -> Iterator[ClockRow]:
    """Rows of the journeys that were out, or whose data were destroyed; what is not known of those is said."""
    for journey, measure in measurements.journeys.items():
        if (drained := measure.backlog_drained) is not None and not measure.never_bad:
            number = f"{journey}.backlog-drained"
            yield ClockRow("backlog drained", journey, _drained(drained), after=drained, same=number)
        right = measure.reconciled
        if measure.destroyed_by or (right is not None and not measure.never_bad):
            shown, number = bounds(right), f"{journey}.reconciled"
            yield ClockRow("reconciled", journey, righted(measure), after=right, shown=shown, same=number)


def righted(measure: JourneyMeasure) -> str:
    """What put a journey's books right, or that nothing did."""
    found = measure.reconciled
    lost = f"; {' and '.join(measure.destroyed_by)} destroyed data" if measure.destroyed_by else ""
    if found is None:
        return f"unknown: the books were not collected, or say nothing{lost}"
    if found.hi is None:
        sure = "not right" if surely_wrong(found) else "not known to be right"
        return f"the books were {sure} when they were last looked at{lost}"
    people = (
        f"; {span(measure.reconciled_modelled)} of people on top, modelled"
        if measure.reconciled_modelled
        else ""
    )
    if measure.reconciled_by is None:
        return f"no step put the books right, and they were when they were last looked at{people}{lost}"
    return f"{measure.reconciled_by} put the books right last{people}{lost}"


def _drained(found: Interval) -> str:
    if found.hi is None:
        return "something asked for during the outage was never answered"
    return "what was asked for during the outage had its last answer, retries included"


def _event(measure: JourneyMeasure) -> tuple[int, ...]:
    return () if measure.reconciled_event is None else (measure.reconciled_event,)
