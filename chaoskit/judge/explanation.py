"""Explains a number of a scorecard as a person would on paper: what it was made from, and the arithmetic."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from chaoskit.errors import InputError
from chaoskit.judge import explained_minimum, stand_in
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
        found += [f"{journey}.outages"] if measure.rta is not None or measure.outages else []
    found += [REDUNDANCY_RESTORED] if paper.measurements.redundancy else []
    found += [
        f"{journey}.{number}" for journey in paper.measurements.stand_ins for number in stand_in.NUMBERS
    ]
    if paper.measurements.minimum_service is not None:
        found.append(f"{MINIMUM_SERVICE}.rto")
    found += ["detection", "machine", "people", "wall"]
    return tuple(dict.fromkeys([*found, *(verdict.name for verdict in paper.result.verdicts)]))


def explain(paper: Paper, name: str) -> str:
    """The explanation of one number or verdict. InputError lists what can be asked for."""
    if name not in names(paper):
        raise InputError(f"{name!r}: nothing of that name in this run; there are: {', '.join(names(paper))}")
    parts = []
    verdict = next((one for one in paper.result.verdicts if one.name == name), None)
    if verdict is not None:
        parts.append(_verdict(paper, verdict))
    journey, _, number = name.rpartition(".")
    number = _OBJECTIVES.get(number, number)
    if journey in paper.measurements.journeys and number in NUMBERS:
        parts.append(NUMBERS[number](paper, journey))
    elif journey in paper.measurements.stand_ins and number in stand_in.NUMBERS:
        parts.append(stand_in.NUMBERS[number](paper, journey))
    elif journey == MINIMUM_SERVICE and paper.measurements.minimum_service is not None:
        parts.append(explained_minimum.explain(paper, paper.measurements.minimum_service))
    elif (whole := name.removesuffix(".rto")) in _WHOLE:
        parts.append(_WHOLE[whole](paper))
    return "\n\n".join(parts)


def _detection(paper: Paper) -> str:
    clocks = paper.measurements.clocks
    if clocks.detected is None or clocks.started is None:
        return "detection: no alert was raised after a fault"
    alert = next(
        (e for e in paper.history.events if e.kind == "detect.alert" and e.t >= clocks.started.lo), None
    )
    text = [f"f_lo {paper.at(clocks.started.lo)}, f_hi {paper.at(clocks.started.hi or clocks.started.lo)}"]
    if alert is not None:
        text += [
            f"alert {paper.at(alert.t)} (event {alert.n}): {alert.data.get('misses')} misses of "
            f"{alert.data.get('service')}",
            f"lower bound = alert − f_hi, upper bound = alert − f_lo: {bounds(clocks.detected)}",
        ]
    return listed(f"detection: {bounds(clocks.detected)}", text)


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
    return listed(f"people: {paper.result.modelled_s:g} s modelled and not waited for", text)


def _wall(paper: Paper) -> str:
    rows = [f"{name}: {seconds:g} s" for name, seconds in paper.result.wall_s.items()]
    return listed(f"wall: {sum(paper.result.wall_s.values()):.1f} s, from the phase events", rows)


def _verdict(paper: Paper, verdict: Verdict) -> str:
    asked = f", asked for: {verdict.objective}" if verdict.objective else ""
    text = [f"{verdict.name}: {verdict.outcome}{asked}", f"  {verdict.reason}"]
    text += [f"  {detail}" for detail in verdict.details]
    for number in verdict.events:
        if (event := paper.event(number)) is not None:
            facts = ", ".join(f"{key} {value}" for key, value in event.data.items())
            text.append(f"  event {number} at {paper.at(event.t)}: {event.kind} {facts}"[:400])
    return "\n".join(text)


_WHOLE: Mapping[str, Callable[[Paper], str]] = {
    "detection": _detection,
    "machine": _machine,
    "people": _people,
    "wall": _wall,
    REDUNDANCY_RESTORED: explain_redundancy,
}
