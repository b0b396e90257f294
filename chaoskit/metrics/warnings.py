"""Early warnings: when an indicator passed its mark, and how long after that the first customer was not served.

a customer is not served      [intended, decided]
an indicator passes its mark  [last look below, first look above]
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from chaoskit.metrics.arrivals import arrival, is_arrival
from chaoskit.metrics.diagnosis import since
from chaoskit.metrics.timeline import FaultSpan
from chaoskit.metrics.way import services_behind
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
    coming = _coming(history.events)
    begun, until = int(event.data["begun"]), above if above is not None else event.t
    acted = _acted(history.events, above) if above is not None else None
    arrivals = sorted(_arrivals(history), key=lambda one: one.decided)
    # What another fault does, as taking the disk, is what there is to warn of.
    rolled = _coming(history.events, "upgrade.roll-out")
    arrivals, never = _served(arrivals, rolled, until if acted is None else acted.t)
    common: dict[str, Any] = {
        "step": str(event.data["step"]),
        "target": str(event.data["target"]),
        "what": str(said["what"]),
        "warn": float(said["warn"]),
        "last": str(said["last"]),
        "looks": int(said["looks"]),
        "clock": started,
        "unseen": _unseen(arrivals, said.get("blind", ()), coming),
        "event": event.n,
    }
    if above is None:
        bad = [one for one in arrivals if not one.good and begun <= one.decided <= until]
        seen = [one for one in bad if not _meets(one.intended, one.decided, coming)]
        away = [one.journey for one in never if begun <= one.decided <= until]
        return WarningMeasure(
            **common,
            passed=False,
            failed=seen[0].journey if seen else None,
            unserved=away[0] if away else None,
        )
    failing = _failing(arrivals, above)
    system = history.plan.system
    end = math.inf if acted is None else acted.t
    late = [one for one in arrivals if not one.good and one.decided > above and one.intended < end]
    failed = failing or (late[0].journey if late else None)
    away = [one.journey for one in never if one.intended < end]
    return WarningMeasure(
        **common,
        passed=True,
        at_once=below is None,
        after=since(started, above),
        failing=failing is not None,
        lead=_lead(below, above, late, acted, history.events),
        failed=failed,
        unserved=away[0] if away else None,
        apart=failed is not None
        and common["target"] not in services_behind(system, system.journeys[failed].service),
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


def _served(
    arrivals: Sequence[_Arrival], coming: Sequence[tuple[int, int]], until: int
) -> tuple[list[_Arrival], list[_Arrival]]:
    """(arrivals that say something of what is used up, bad ones that do not), each in the order of their ends.

    A journey that was interrupted while a fault came about, and has served nobody since, goes on being interrupted, as
    when a release never comes up: it was not well first, and then short of something. Where that is so `until` the end,
    what was bad while the fault came about is of the same kind.
    """
    again: dict[tuple[str, int], int] = {}
    for one in arrivals:
        for _, end in coming:
            if one.good and one.intended >= end:
                first = again.get((one.journey, end), one.intended)
                again[one.journey, end] = min(first, one.intended)
    counted: list[_Arrival] = []
    never: list[_Arrival] = []
    for one in arrivals:
        latest = max((span for span in coming if span[0] <= one.intended), default=None)
        gone = False
        if latest is not None and not one.good:
            served = again.get((one.journey, latest[1]))
            gone = served is None or served >= until or latest[1] < one.intended < served
        (never if gone else counted).append(one)
    return counted, never


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


def _coming(events: Iterable[Event], only: str | None = None) -> list[tuple[int, int]]:
    """When faults were coming about: a roll-out interrupts whom it replaces, which nothing that is used up does."""
    begun: dict[tuple[object, object], int] = {}
    spans: list[tuple[int, int]] = []
    end = 0
    for event in events:
        about, end = (event.data.get("step"), event.data.get("target")), event.t
        if event.kind == "fault.begin" and only in (None, event.data.get("name")):
            begun[about] = event.t
        elif event.kind in ("fault.witnessed", "fault.unwitnessed") and about in begun:
            spans.append((begun.pop(about), event.t))
    return [*spans, *((lo, end) for lo in begun.values())]


def _unseen(
    arrivals: Sequence[_Arrival], blind: Iterable[Sequence[int]], coming: Sequence[tuple[int, int]]
) -> str | None:
    """A journey that failed while nobody saw the indicator, other than while a fault was coming about.

    What is killed for having used all of it, and begins anew, is seen below the mark again: its first failure had no
    warning.
    """
    dark = [(lo, hi) for lo, hi in blind if not _meets(lo, hi, coming)]
    bad = (one for one in arrivals if not one.good and _meets(one.intended, one.decided, dark))
    return next((one.journey for one in bad), None)


def _meets(lo: int, hi: int, spans: Iterable[tuple[int, int]]) -> bool:
    return any(lo <= end and start <= hi for start, end in spans)
