"""Diagnosis: which suspects were named when, and whether they were what had been broken."""

from __future__ import annotations

from chaoskit.metrics.timeline import Timeline
from chaoskit.model.history import Event
from chaoskit.model.measurement import Interval, SuspectMeasure


def measure_suspects(
    events: tuple[Event, ...], timeline: Timeline, started: Interval | None
) -> tuple[SuspectMeasure, ...]:
    """Every suspect that a response named, in order.

    Right means that a fault on exactly that target had begun by then, and had not been undone. A service in place of a
    link to it, or the other way round, is wrong: they are mended in different places.
    """
    found = []
    ends = {
        (e.data.get("step"), e.data.get("target")): e.t for e in reversed(events) if e.kind == "fault.undone"
    }
    for event in events:
        data, suspect = event.data, None
        if event.kind == "response.fact" and data.get("fact") == "suspect":
            suspect = data.get("suspect")
        if not isinstance(suspect, str):
            continue
        begun = [f for f in timeline.faults if f.lo <= event.t]
        standing = [f for f in begun if ends.get((f.step, f.target), event.t) >= event.t]
        broken = tuple(dict.fromkeys(f.target for f in standing))
        undone = tuple(dict.fromkeys(f.target for f in begun if f.target not in broken))
        found.append(
            SuspectMeasure(
                step=str(data.get("step") or ""),
                suspect=suspect,
                others=tuple(map(str, data.get("others") or ())),
                evidence=tuple(map(str, data.get("evidence") or ())),
                broken=broken,
                undone=undone,
                right=suspect in broken,
                after=since(started, event.t),
                event=event.n,
            )
        )
    return tuple(found)


def since(started: Interval | None, at: int) -> Interval | None:
    """An instant as an interval after the fault; None before it, or without one."""
    if started is None or started.hi is None or at < started.lo:
        return None
    lo = max(0, at - started.hi)
    return Interval(lo=lo, hi=max(lo, at - started.lo))
