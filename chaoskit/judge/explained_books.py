"""Backlog and right books on paper: the event or operation that ended each clock, and the subtraction."""

from __future__ import annotations

from chaoskit.judge.books_clocks import later_of, righted, with_their_people
from chaoskit.judge.limit import with_people
from chaoskit.judge.paper import Paper, doubt, listed, seconds
from chaoskit.judge.wording import bounds, span
from chaoskit.model.measurement import Interval


def reconciled(paper: Paper, journey: str) -> str:
    """From which fault to which event the books of a journey were not known to be right."""
    measure = paper.measurements.journeys[journey]
    found, since = measure.reconciled, measure.reconciled_since
    text = [righted(measure)]
    event = None if measure.reconciled_event is None else paper.event(measure.reconciled_event)
    if found is not None and since is not None and event is not None:
        hi = since.lo if since.hi is None else since.hi
        about = event.data.get("step") or f"{event.data.get('books')} of {event.data.get('member')}"
        text += [
            "right: every rule of the books holds at the end, nothing is missing that customers were told is done, and "
            "no key is in doubt",
            f"event {event.n} at {paper.at(event.t)}: {event.kind} {about}",
            f"counted from f_lo {paper.at(since.lo)}, f_hi {paper.at(hi)}",
            *_subtracted(paper, event.t, Interval(lo=since.lo, hi=hi), found),
        ]
        if measure.reconciled_modelled and found.hi is not None:
            total = with_their_people(measure, found)
            text.append(f"with {span(measure.reconciled_modelled)} of modelled human time: {bounds(total)}")
    return listed(f"{journey}.reconciled: {bounds(found)}", text)


def judged(paper: Paper, journey: str) -> str | None:
    """What an RTO of a journey whose data were destroyed is judged by; None: by full service alone."""
    measure = paper.measurements.journeys[journey]
    if not measure.destroyed_by or measure.rta is None:
        return None
    by = " and ".join(measure.destroyed_by)
    if measure.reconciled is None:
        return f"{by} destroyed data, and when the books of {journey} were right again is not known"
    served = with_people(measure.rta, measure.modelled)
    right = with_their_people(measure, measure.reconciled)
    return (
        f"{by} destroyed data: the RTO is judged by the later of full service, {bounds(served)}, and right books, "
        f"{bounds(right)}, modelled human time included: {bounds(later_of(served, right))}"
    )


def backlog_drained(paper: Paper, journey: str) -> str:
    """Which operation had its last answer last."""
    measure = paper.measurements.journeys[journey]
    found, since = measure.backlog_drained, measure.clock
    text = [
        "the load's operations asked for between f_lo and a_l, retries included: until the last one's last answer"
    ]
    if found is not None and since is not None:
        hi = since.lo if since.hi is None else since.hi
        text.append(f"f_lo {paper.at(since.lo)}, f_hi {paper.at(hi)}")
        if found.hi is None:
            text.append("one of them was never answered: more than the last answer that came − f_hi")
        else:
            text += _subtracted(paper, since.lo + found.hi, Interval(lo=since.lo, hi=hi), found)
    return listed(f"{journey}.backlog-drained: {bounds(found)}", text)


def _subtracted(paper: Paper, at: int, since: Interval, found: Interval) -> list[str]:
    """The subtraction from both ends of the fault; told where it does not give what was measured."""
    lo, hi = max(0, at - (since.hi or since.lo)), at - since.lo
    exact = lo == found.lo and hi == found.hi
    if found.hi is None:
        return [f"more than {paper.at(at)} − f_hi = {seconds(lo)}", *doubt(found.lo in (0, lo))]
    if exact:
        return [f"{paper.at(at)} − f_hi = {seconds(lo)}; − f_lo = {seconds(hi)}"]
    return [
        f"upper bound = {paper.at(at)} − f_lo = {seconds(hi)}; lower bound {seconds(found.lo)}: the earliest that it "
        "can have been",
        *doubt(hi == found.hi and found.lo <= hi),
    ]
