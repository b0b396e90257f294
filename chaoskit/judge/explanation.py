"""Explains a number of a scorecard as a person would on paper: what it was made from, and the arithmetic."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from chaoskit.errors import InputError
from chaoskit.judge import clocks, explained_books, explained_clocks, explained_minimum, stand_in
from chaoskit.judge.clock_row import row_name
from chaoskit.judge.explained_journey import NUMBERS
from chaoskit.judge.paper import Paper, listed
from chaoskit.judge.redundancy import explain_redundancy
from chaoskit.judge.wording import bounds, span
from chaoskit.model.journey import MINIMUM_SERVICE
from chaoskit.model.redundancy import REDUNDANCY_RESTORED
from chaoskit.model.verdict import Verdict

_OBJECTIVES = {"rto": "rta", "success": "good", "rpo": "lost"}


def names(paper: Paper) -> tuple[str, ...]:
    """Everything that can be explained, in the order of the scorecard."""
    found = []
    for journey, measure in paper.measurements.journeys.items():
        found += [f"{journey}.good", f"{journey}.rta", f"{journey}.minimum-service"]
        if paper.loss(journey) is not None:
            found += [f"{journey}.lost", f"{journey}.in-doubt"]
        found += [f"{journey}.backlog-drained"] if measure.backlog_drained is not None else []
        found += [f"{journey}.reconciled"] if measure.reconciled is not None or measure.destroyed_by else []
        found += [f"{journey}.outages"] if measure.rta is not None or measure.outages else []
    found += [REDUNDANCY_RESTORED] if paper.measurements.redundancy else []
    found += [
        f"{journey}.{number}" for journey in paper.measurements.stand_ins for number in stand_in.NUMBERS
    ]
    if paper.measurements.minimum_service is not None:
        found.append(f"{MINIMUM_SERVICE}.rto")
    found += _rows(paper)
    found += ["detection", "machine", "people", "wall"]
    return tuple(dict.fromkeys([*found, *(verdict.name for verdict in paper.result.verdicts)]))


def _rows(paper: Paper) -> Iterator[str]:
    """What the rows among the clocks can be asked for by: those that the history gives, and any that are only shown."""
    yield from (row.name for row in clocks.clock_rows(paper.measurements))
    yield from (row_name(str(row.get("clock"))) for row in paper.result.clocks)


def explain(paper: Paper, name: str) -> str:
    """The explanation of one number, clock or verdict; a clock can be asked for by its row's own text as well.

    InputError lists what can be asked for.
    """
    known = names(paper)
    asked = name if name in known else row_name(name)
    if asked not in known:
        raise InputError(f"{name!r}: nothing of that name in this run; there are: {', '.join(known)}")
    rows = [row for row in clocks.clock_rows(paper.measurements) if row.name == asked]
    parts = [_verdict(paper, one) for one in paper.result.verdicts if one.name == asked]
    parts += [explained_clocks.explain(paper, row) for row in rows]
    numbers = dict.fromkeys([asked, *(row.same for row in rows)])
    parts += [text for number in numbers if (text := _number(paper, number))]
    if not parts:
        parts = [explained_clocks.not_made(paper, asked)]
    return "\n\n".join(parts)


def _number(paper: Paper, name: str) -> str | None:
    """The paper of a number by itself; None where the name is only a verdict's or a row's."""
    journey, _, number = name.rpartition(".")
    number = _OBJECTIVES.get(number, number)
    if journey in paper.measurements.journeys and number in NUMBERS:
        text = NUMBERS[number](paper, journey)
        if name.endswith(".rto") and (judged := explained_books.judged(paper, journey)) is not None:
            text = "\n\n".join([text, judged, explained_books.reconciled(paper, journey)])
        return text
    if journey in paper.measurements.stand_ins and number in stand_in.NUMBERS:
        return stand_in.NUMBERS[number](paper, journey)
    if journey == MINIMUM_SERVICE and paper.measurements.minimum_service is not None:
        return explained_minimum.explain(paper, paper.measurements.minimum_service)
    if (whole := name.removesuffix(".rto")) in _WHOLE:
        return _WHOLE[whole](paper)
    return None


def _detection(paper: Paper) -> str:
    row = clocks.detected(paper.measurements)
    if row.after is None:
        return "detection: no alert was raised after a fault"
    return listed(f"detection: {bounds(row.after)}", [row.what, *explained_clocks.reckoned(paper, row)])


def _machine(paper: Paper) -> str:
    rows = [f"{name}: {bounds(m.rta)}" for name, m in paper.measurements.journeys.items()]
    head = paper.result.machine_s
    told = "unknown" if head is None else f"{head[0]:.2f} – {head[1]:.2f} s"
    return listed(f"machine: {told}: the recovery time of the journey that took longest", rows)


def _people(paper: Paper) -> str:
    text = []
    for event in paper.history.events:
        if event.kind == "decision.end":
            takes, slept = int(event.data.get("takes_ns", 0)), int(event.data.get("slept_ns", 0))
            text.append(
                f"{event.data.get('role')} decided (event {event.n}): takes {span(takes)}, "
                f"of which {span(slept)} were waited for"
            )
    text += [
        f"{name}: {span(m.modelled)} of it lie on its way to recovery and are added to its recovery time"
        for name, m in paper.measurements.journeys.items()
        if m.modelled
    ]
    text += [
        f"{name}: {span(m.awaited_books_ns)} of it lie on its way to right books, which its RTO waits for as well"
        for name, m in paper.measurements.journeys.items()
        if m.awaited_books_ns
    ]
    return listed(f"people: {paper.result.modelled_s:g} s modelled and not waited for", text)


def _wall(paper: Paper) -> str:
    rows = [f"{name}: {seconds:g} s" for name, seconds in paper.result.wall_s.items()]
    return listed(f"wall: {sum(paper.result.wall_s.values()):.1f} s, from the phase events", rows)


def _verdict(paper: Paper, verdict: Verdict) -> str:
    asked = f", asked for: {verdict.objective}" if verdict.objective else ""
    text = [f"{verdict.name}: {verdict.outcome}{asked}", f"  {verdict.reason}"]
    text += [f"  {detail}" for detail in verdict.details]
    text += [f"  {line}" for line in paper.cited(verdict.events)]
    return "\n".join(text)


_WHOLE: Mapping[str, Callable[[Paper], str]] = {
    "detection": _detection,
    "machine": _machine,
    "people": _people,
    "wall": _wall,
    REDUNDANCY_RESTORED: explain_redundancy,
}
