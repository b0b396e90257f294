"""When a database that had lost its standby could lose a member again: the clock `redundancy-restored`.

looks     ✓ ✓ ✓ × × × × × × ~ ~ ✓ ✓ ✓ …     × nobody streams · ~ streams, and has not replayed far enough
              fault          │   │
                     rejoin ended: the primary stands at P
                                 └ replayed ≥ P: restored, between the last ~ and the first ✓
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from chaoskit.metrics.people import modelled_ns
from chaoskit.metrics.timeline import FaultSpan, Timeline, Volley
from chaoskit.model.history import Event, History
from chaoskit.model.interval import Interval
from chaoskit.model.redundancy import (
    REDUNDANCY_RESTORED,
    RedundancyMeasure,
    RejoinMeasure,
    SecondFailure,
    SwitchMeasure,
)

LOOK = "redundancy.look"
_LOOK_NEEDS = {"role": str, "asked": int, "answered": int, "seen": bool, "position": int}


@dataclass(frozen=True)
class Look:
    """One look at both members, [asked, answered]. `replayed` None: nobody streams from the one who writes."""

    asked: int
    answered: int
    seen: bool
    writer: str | None
    position: int
    replayed: int | None
    event: int


@dataclass
class Lost:
    """A time without redundancy. `volley` None: a planned one. `target`: how far must be replayed, once known. `by`: by
    when the volley had surely taken it, ns."""

    volley: Volley | None
    not_yet: Look
    by: int = 0
    target: int | None = None
    back: Look | None = None
    rejoin: RejoinMeasure | None = None

    def see(self, look: Look, rejoins: Sequence[RejoinMeasure], under_way: bool) -> bool:
        """Take a look that told something; True when it shows that redundancy is back."""
        if look.writer is None or look.replayed is None:
            self.not_yet, self.target = look, None
            return False
        since = self.not_yet.asked if self.volley is None else self.volley.lo
        self.rejoin = next((one for one in reversed(rejoins) if since <= one.ended <= look.asked), None)
        own = look.position if self.target is None else self.target
        self.target = own if self.rejoin is None else max(own, self.rejoin.position)
        if under_way or look.replayed < self.target:
            self.not_yet = look
            return False
        self.back = look
        return True


def looks_of(events: Sequence[Event], role: str) -> tuple[Look, ...]:
    """The looks at a role, in the order in which they were asked; those whose data do not fit are left out."""
    found = []
    for event in events:
        data = event.data
        if event.kind != LOOK or not all(isinstance(data.get(k), t) for k, t in _LOOK_NEEDS.items()):
            continue
        if data["role"] == role:
            replayed = data.get("replayed")
            found.append(
                Look(
                    data["asked"],
                    data["answered"],
                    data["seen"],
                    data.get("writer"),
                    data["position"],
                    replayed if isinstance(replayed, int) else None,
                    event.n,
                )
            )
    return tuple(sorted(found, key=lambda look: look.asked))


def measure_redundancy(history: History, timeline: Timeline) -> tuple[RedundancyMeasure, ...]:
    """One measure for each role with a standby, where the plan asks for the clock; the looks are its only source."""
    if REDUNDANCY_RESTORED not in history.plan.drill.objectives:
        return ()
    rejoins = tuple(_rejoins(history.events))
    switches = {one.step: one.service for one in measure_switches(history.events)}
    held = [e.t for e in history.events if e.kind == "phase" and e.data == {"name": "hold", "state": "end"}]
    return tuple(
        measure_role(
            name,
            (role.primary, str(role.standby)),
            looks_of(history.events, name),
            timeline,
            tuple(one for one in rejoins if one.service in (role.primary, role.standby)),
            frozenset(s for s, service in switches.items() if service in (role.primary, role.standby)),
            held[-1] if held else None,
        )
        for name, role in history.plan.system.roles.items()
        if role.standby is not None
    )


def measure_role(
    name: str,
    members: tuple[str, ...],
    looks: Sequence[Look],
    timeline: Timeline,
    rejoins: Sequence[RejoinMeasure] = (),
    planned: frozenset[str] = frozenset(),
    end: int | None = None,
) -> RedundancyMeasure:
    """The longest of the role's times without redundancy that a fault began.

    `planned`: steps that changed its roles as planned; `end`: until when it was to be looked at, ns.
    """
    seen = [look for look in looks if look.seen]
    about = RedundancyMeasure(role=name, looks=len(looks), unseen=len(looks) - len(seen))
    if not timeline.volleys:
        return about.model_copy(update={"invalid": ("no fault began",)})
    first = timeline.volleys[0]
    if not any(look.replayed is not None and look.answered <= first.lo for look in seen):
        why = "it was not seen that a standby streamed before the fault"
        return about.model_copy(update={"invalid": (why,)})
    after = [look for look in seen if look.answered > first.lo]
    if not after or (looks[-1].answered > after[-1].answered and not looks[-1].seen):
        why = "a member did not say what it is until the run ended: whether it was restored could not be seen"
        return about.model_copy(update={"invalid": (why,)})
    gaps = [after[0].answered - first.lo, *(b.answered - a.asked for a, b in pairwise(after))]
    if end is not None:
        gaps.append(end - after[-1].asked)
    about = about.model_copy(update={"blind": max(gaps)})
    lost = _times(after, timeline, rejoins, planned)
    if not lost:
        never = {
            "restored": Interval(lo=0, hi=max(gaps)),
            "never_lost": True,
            "clock": Interval(lo=first.lo, hi=first.hi),
        }
        return about.model_copy(update={**never, "writer": after[-1].writer, "events": first.events})
    return _measured(about, max(lost, key=_length), members, after, timeline)


def _times(
    looks: Sequence[Look], timeline: Timeline, rejoins: Sequence[RejoinMeasure], planned: frozenset[str]
) -> list[Lost]:
    """Those that a fault began, and one that is open at the end, whatever began it."""
    begins = {one.step: one.begin for one in timeline.responses}
    found: list[Lost] = []
    lost: Lost | None = None
    since = 0
    for look in looks:
        if lost is None:
            if look.writer is not None and look.replayed is not None:
                since = look.asked
                continue
            well = max((one.back.asked for one in found if one.back is not None), default=0)
            lost = _begun(look, since, well, timeline, planned)
        if lost.volley is None:
            later = [one for one in timeline.volleys if lost.not_yet.asked < one.lo <= look.answered]
            lost.volley = later[0] if later else None
        busy = any(begins.get(one.step, one.ended) <= look.asked < one.ended for one in rejoins)
        if lost.see(look, rejoins, busy):
            found += [lost] if lost.volley is not None else []
            lost, since = None, look.asked
    if lost is not None:
        lost.volley = lost.volley or timeline.volleys[-1]
        found.append(lost)
    return found


def _begun(look: Look, since: int, well: int, timeline: Timeline, planned: frozenset[str]) -> Lost:
    """What began it: the fault since the last look at which all was well (`since`), or one since it was restored last
    (`well`) whose effect was slow to be seen, as a primary takes a standby that was cut off for one that streams."""
    volleys = [one for one in timeline.volleys if well < one.lo <= look.answered]
    if at_once := [one for one in volleys if since < one.lo]:
        return Lost(at_once[0], look)
    changing = any(
        one.step in planned and one.begin <= look.answered and (one.done is None or one.done >= since)
        for one in timeline.responses
    )
    # Which of them it was, and since when, is not known: at the earliest the first, at the latest now.
    return Lost(volleys[0], look, by=look.answered) if volleys and not changing else Lost(None, look)


def _length(lost: Lost) -> float:
    if lost.back is None or lost.volley is None:
        return float("inf")
    return lost.back.answered - lost.volley.lo


def _measured(
    about: RedundancyMeasure, lost: Lost, members: tuple[str, ...], looks: Sequence[Look], timeline: Timeline
) -> RedundancyMeasure:
    volley, back = lost.volley, lost.back
    assert volley is not None
    earliest = max(lost.not_yet.asked, lost.rejoin.ended if lost.rejoin is not None else 0)
    by = max(volley.hi, lost.by)
    lo = max(0, earliest - by)
    hi = None if back is None else max(lo, back.answered - volley.lo)
    until = None if back is None else back.answered
    second = tuple(
        _second(fault, volley, looks)
        for fault in timeline.faults
        if fault.target in members and fault.lo > volley.hi and (until is None or fault.lo <= until)
    )
    cited = [lost.not_yet.event, *([back.event] if back is not None else [])]
    cited += [lost.rejoin.event] if lost.rejoin is not None else []
    return about.model_copy(
        update={
            "restored": Interval(lo=lo, hi=hi),
            "clock": Interval(lo=volley.lo, hi=by),
            "not_yet": lost.not_yet.event,
            "back": back.event if back is not None else None,
            "needed": lost.target or 0,
            "writer": back.writer if back is not None else None,
            "rejoin": lost.rejoin,
            "second": second,
            "modelled": modelled_ns(timeline.decisions, timeline.responses, volley.lo, until),
            "events": tuple(sorted({*volley.events, *cited})),
        }
    )


def _second(fault: FaultSpan, volley: Volley, looks: Sequence[Look]) -> SecondFailure:
    hi = fault.lo if fault.hi is None else fault.hi
    later = [look for look in looks if look.asked >= fault.lo]
    without = [look for look in later if look.writer is None]
    no_writer = None
    if without:
        again = next(
            (look for look in later if look.writer is not None and look.asked >= without[0].asked), None
        )
        last = [look for look in without if again is None or look.asked < again.asked][-1]
        no_writer = Interval(
            lo=max(0, last.asked - hi), hi=None if again is None else again.answered - fault.lo
        )
    return SecondFailure(
        step=fault.step,
        name=fault.name,
        target=fault.target,
        after=Interval(lo=max(0, fault.lo - volley.hi), hi=hi - volley.lo),
        no_writer=no_writer,
        events=fault.events,
    )


def measure_switches(events: Sequence[Event]) -> tuple[SwitchMeasure, ...]:
    """Planned changes of roles: for how long they kept writes waiting."""
    needs = {"step": str, "service": str, "follows": str, "paused_ms": int | float}
    return tuple(
        SwitchMeasure(
            step=event.data["step"],
            service=event.data["service"],
            follows=event.data["follows"],
            paused=round(event.data["paused_ms"] * 1e6),
            event=event.n,
        )
        for event in _facts(events, "switched", needs)
    )


def _rejoins(events: Sequence[Event]) -> Iterator[RejoinMeasure]:
    needs = {
        "step": str,
        "service": str,
        "follows": str,
        "method": str,
        "bytes": int,
        "seconds": int | float,
        "position": int,
    }
    for event in _facts(events, "rejoined", needs):
        told = {name: event.data[name] for name in needs}
        told["seconds"] = float(told["seconds"])
        yield RejoinMeasure(**told, fell_back=event.data.get("fell_back"), ended=event.t, event=event.n)


def _facts(events: Sequence[Event], fact: str, needs: dict[str, Any]) -> Iterator[Event]:
    for event in events:
        told = event.kind == "response.fact" and event.data.get("fact") == fact
        if told and all(isinstance(event.data.get(name), kind) for name, kind in needs.items()):
            yield event
