"""Early warnings: when an indicator passed its mark, and how long after that the first customer was not served.

a customer is not served      [intended, decided]
an indicator passes its mark  [last look below, first look above]
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from chaoskit.metrics.arrivals import arrival, is_arrival
from chaoskit.metrics.diagnosis import since
from chaoskit.metrics.timeline import FaultSpan
from chaoskit.model.history import Event, History
from chaoskit.model.measurement import Interval, WarningMeasure

_LAST = 3
"""Of each journey so many arrivals before the mark are looked at: if one of them was bad, it was failing already."""


class _Arrival(NamedTuple):
    journey: str
    intended: int
    decided: int
    good: bool


def measure_warnings(history: History, faults: Sequence[FaultSpan]) -> tuple[WarningMeasure, ...]:
    """One for each indicator that was watched; its clock begins with the first fault."""
    first = min(faults, key=lambda one: one.lo, default=None)
    started = Interval(lo=first.lo, hi=first.hi) if first is not None else None
    watched = [
        event for event in history.events if event.kind == "probe.looked" and "indicator" in _facts(event)
    ]
    return tuple(_measured(history, event, started) for event in watched)


def _facts(event: Event) -> dict[str, object]:
    found = event.data.get("facts")
    return found if isinstance(found, dict) else {}


def _measured(history: History, event: Event, started: Interval | None) -> WarningMeasure:
    said = event.data["facts"]["indicator"]
    below, above = said["below_ns"], said["above_ns"]
    begun = int(event.data["begun"])
    arrivals = sorted(_arrivals(history), key=lambda one: one.decided)
    begun, until = int(event.data["begun"]), above if above is not None else event.t
    common: dict[str, Any] = {
        "step": str(event.data["step"]),
        "target": str(event.data["target"]),
        "what": str(said["what"]),
        "warn": float(said["warn"]),
        "last": str(said["last"]),
        "looks": int(said["looks"]),
        "event": event.n,
    }
    if above is None:
        seen = [one for one in arrivals if not one.good and begun <= one.decided <= until]
        return WarningMeasure(**common, passed=False, failed=seen[0].journey if seen else None)
    failing = _failing(arrivals, above)
    acted = _acted(history.events, above)
    late = [
        one
        for one in arrivals
        if not one.good and one.decided > above and (acted is None or one.intended < acted.t)
    ]
    return WarningMeasure(
        **common,
        passed=True,
        at_once=below is None,
        after=since(started, above),
        failing=failing is not None,
        lead=_lead(below, above, late, acted, history.events),
        failed=failing or (late[0].journey if late else None),
        acted=str(acted.data.get("step")) if acted is not None else None,
    )


def _lead(
    below: int | None,
    above: int,
    late: Sequence[_Arrival],
    acted: Event | None,
    events: Sequence[Event],
) -> Interval | None:
    """From the mark to the first failure; without one it is more than until somebody acted, or the load ended."""
    if below is None:
        return None
    if not late:
        until = acted.t if acted is not None else max(e.t for e in events)
        return Interval(lo=max(0, until - above), hi=None)
    return Interval(lo=max(0, min(one.intended for one in late) - above), hi=late[0].decided - below)


def _arrivals(history: History) -> Iterator[_Arrival]:
    """Everybody who wanted something, load and probes; not where the measurer itself was held up."""
    journeys = history.plan.system.journeys
    for one in history.operations:
        if not is_arrival(one) or one.journey not in history.plan.load:
            continue
        seen = arrival(one, journeys[one.journey].good.within.ns)
        if not seen.asleep:
            yield _Arrival(one.journey, seen.intended, seen.decided, seen.good)


def _failing(arrivals: Sequence[_Arrival], above: int) -> str | None:
    """A journey that had a bad arrival among its last before the mark. `arrivals` are in the order of their ends."""
    last: dict[str, deque[bool]] = {}
    for one in arrivals:
        if one.decided <= above:
            last.setdefault(one.journey, deque(maxlen=_LAST)).append(one.good)
    return next((journey for journey, good in last.items() if not all(good)), None)


def _acted(events: Iterable[Event], after: int) -> Event | None:
    """The first response that began after the mark was passed."""
    return next((one for one in events if one.kind == "response.begin" and one.t > after), None)
