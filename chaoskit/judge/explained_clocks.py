"""A row among the clocks on paper: the event it was taken from, the fault it is counted from, and the subtraction."""

from __future__ import annotations

from collections.abc import Iterator

from chaoskit.judge.clock_row import ClockRow, row_name
from chaoskit.judge.paper import Paper, doubt, listed, seconds
from chaoskit.judge.wording import ceil_s, floor_s, span
from chaoskit.metrics.timeline import read_timeline
from chaoskit.model.measurement import Interval

_KEYS_SHOWN = 50


def explain(paper: Paper, row: ClockRow) -> str:
    """Where a row of the scorecard comes from; one whose explanation is another number's says whose."""
    body = [row.what, *_printed(paper, row), *reckoned(paper, row)]
    if row.same:
        body.append(f"it is {row.same}, which is explained below")
    return listed(f"{row.name}: {row.cell}", body)


def not_made(paper: Paper, name: str) -> str:
    """What is said of a row that stands in result.json, and that the history does not give."""
    shown = [row for row in paper.result.clocks if row_name(str(row.get("clock"))) == name]
    return listed(
        f"{name}: {', '.join(str(row.get('after the fault')) for row in shown)}",
        ["the scorecard shows it, and the history gives no such row", *doubt(False)],
    )


def reckoned(paper: Paper, row: ClockRow) -> Iterator[str]:
    """The lines below the headline: what was counted, what the events say, and the arithmetic."""
    yield from row.how
    yield from paper.cited(sorted({*row.events, *([row.until] if row.until is not None else [])}))
    yield from _operations(paper, row.keys)
    if not row.same or row.until is not None:
        yield from _arithmetic(paper, row)
    if row.people:
        yield from _people(paper, row)


def _printed(paper: Paper, row: ClockRow) -> list[str]:
    """Told when the scorecard on disk shows another number than the history gives."""
    shown = [str(one.get("after the fault")) for one in paper.result.clocks if one.get("clock") == row.clock]
    if row.cell in shown:
        return []
    return [f"the scorecard shows {' and '.join(shown) or 'no such row'}", *doubt(False)]


def _operations(paper: Paper, keys: tuple[str, ...]) -> Iterator[str]:
    wanted = set(keys[:_KEYS_SHOWN])
    for one in paper.history.operations:
        if one.key in wanted:
            said = ", ".join(str(part) for part in (one.outcome, one.status, one.error) if part is not None)
            yield f"operation {one.key}: {one.journey}, asked for at {paper.at(one.intended)}: {said}"
    if len(keys) > _KEYS_SHOWN:
        yield f"… and {len(keys) - _KEYS_SHOWN} more in measurements.json"


def _arithmetic(paper: Paper, row: ClockRow) -> Iterator[str]:
    event = paper.event(row.until) if row.until is not None else None
    at = row.read(event) if event is not None else None
    if at is None:
        return
    if row.since is None:
        yield "no fault had begun that it could be counted from"
    elif row.after is not None:
        yield from _fault(paper, row.since)
        yield from _subtracted(paper, row.since, at, row.after)
    elif at[1] < row.since.lo:
        yield f"its instant, {paper.at(at[1])}, lies before f_lo {paper.at(row.since.lo)}: not counted from that fault"
    else:
        yield "no interval is counted from it"


def _fault(paper: Paper, since: Interval) -> Iterator[str]:
    """The fault's interval, and the faults of the volley that it is of."""
    timeline = read_timeline(paper.history)
    volleys = [one for one in timeline.volleys if one.lo == since.lo]
    yield "counted from the fault:"
    for fault in timeline.faults:
        if any(fault.volley == one.number for one in volleys):
            seen = (
                "never witnessed" if fault.hi is None else f"witnessed {paper.at(fault.hi)}: {fault.witness}"
            )
            cited = ", ".join(map(str, fault.events))
            yield f"    {fault.name} on {fault.target} (events {cited}): command started {paper.at(fault.lo)}, {seen}"
    hi = "unknown" if since.hi is None else paper.at(since.hi)
    yield f"    f_lo {paper.at(since.lo)}, f_hi {hi}"


def _subtracted(paper: Paper, since: Interval, at: tuple[int, int], after: Interval) -> Iterator[str]:
    earliest, latest = at
    instant = f"its instant: {paper.at(latest)}"
    if earliest < latest:
        early = paper.at(earliest) if earliest else "nobody knows since when"
        instant = f"its instant: between {early} and {paper.at(latest)}"
    yield instant
    low = 0 if since.hi is None else max(0, earliest - since.hi)
    high = max(low, latest - since.lo)
    if low and since.hi is not None:
        yield f"lower bound = {paper.at(earliest)} − f_hi {paper.at(since.hi)} = {seconds(low)}"
    else:
        yield "lower bound = 0 s: it may have been as early as the fault's effect"
    yield f"upper bound = {paper.at(latest)} − f_lo {paper.at(since.lo)} = {seconds(high)}"
    yield f"printed rounded outward to 10 ms: {floor_s(low):.2f} – {ceil_s(high):.2f} s"
    yield from doubt((low, high) == (after.lo, after.hi))


def _people(paper: Paper, row: ClockRow) -> Iterator[str]:
    yield f"{span(row.people)} of it are modelled and were not waited for: they are not in this number"
    added = [
        f"{name} + {span(one.modelled)}" for name, one in paper.measurements.journeys.items() if one.modelled
    ]
    if added:
        yield f"added to the recovery time, of all decisions on the way to it: {', '.join(added)}"
    books = {name: one.awaited_books_ns for name, one in paper.measurements.journeys.items()}
    if until := [f"{name} + {span(ns)}" for name, ns in books.items() if ns]:
        yield f"added to the time until its books were right: {', '.join(until)}"
