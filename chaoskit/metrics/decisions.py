"""Decisions by people: taken, refused or missed, with the time that was lived apart from the time that was modelled."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from chaoskit.metrics.diagnosis import since
from chaoskit.model.history import Event
from chaoskit.model.measurement import DecisionMeasure, Interval

_OUTCOMES: dict[str, Literal["taken", "refused", "missed"]] = {
    "decision.end": "taken",
    "decision.refused": "refused",
    "decision.missed": "missed",
}


def measure_decisions(events: Iterable[Event], started: Interval | None) -> tuple[DecisionMeasure, ...]:
    """Every decision that came to an end, in that order; `started` is the fault's interval that the clocks count from.

    One that was under way when the run ended has no outcome, and is not here.
    """
    begun: dict[str, Event] = {}
    found = []
    for event in events:
        step = event.data.get("step")
        if not isinstance(step, str):
            continue
        if event.kind == "decision.begin":
            begun[step] = event
        elif event.kind in _OUTCOMES and step in begun:
            found.append(_measured(begun[step], event, started))
    return tuple(found)


def _measured(begin: Event, end: Event, started: Interval | None) -> DecisionMeasure:
    data, outcome = end.data, _OUTCOMES[end.kind]
    asked = begin.data.get("asked") is True
    # Whoever is asked and says nothing lets time go by that was lived as well.
    lived = int(data["slept_ns"]) if "slept_ns" in data else (end.t - begin.t if asked else 0)
    taken = outcome != "missed"
    return DecisionMeasure(
        step=str(data["step"]),
        role=str(data.get("role") or ""),
        how="asked" if asked else "modelled",
        outcome=outcome,
        absent=tuple(data.get("absent") or ()),
        who=data.get("who"),
        why=data.get("reason"),
        lived=lived,
        modelled=max(0, int(data.get("takes_ns") or 0) - lived) if taken else 0,
        reached=int(data.get("reached_ns") or 0),
        answer=data.get("answer_ns"),
        within=begin.data.get("within_ns"),
        after=since(started, end.t),
        events=(begin.n, end.n),
    )
