"""When a journey's books were right again: from the fault to the end of the last response that put them right.

fault ──► restored ──► let in ──► sent again ──► … ──► last snapshot
  └─────────── reconciled ────────────┘   right there, and nothing but customers changed them since
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from chaoskit.metrics.people import modelled_ns
from chaoskit.metrics.reconciliation import RULES
from chaoskit.metrics.recovery import Recovery
from chaoskit.metrics.timeline import ResponseSpan, Timeline, Volley
from chaoskit.model.history import Event, History
from chaoskit.model.measurement import BooksMeasure, Interval, LossMeasure
from chaoskit.model.plan import PlannedStep
from chaoskit.model.system import System

_SENT = {"resubmitted": "resubmitted", "stand-in-replayed": "booked"}
"""What a response records, and the keys in it that it has carried out itself."""


@dataclass(frozen=True)
class Reconciled:
    """The clock of one journey's books; `after` in ns after `since`, None where the books say nothing."""

    after: Interval | None = None
    since: Interval | None = None
    """f_lo to f_hi of the fault it is counted from, CLOCK_MONOTONIC ns: the journey's, or an earlier one that destroyed
    data."""
    modelled: int = 0
    by: str | None = None
    """The step that put the books right last; None: nothing had to, or they are not right."""
    event: int | None = None
    destroyed_by: tuple[str, ...] = ()


def measure_reconciled(
    history: History,
    timeline: Timeline,
    recovery: Recovery,
    books: str,
    found: tuple[LossMeasure, BooksMeasure] | None,
) -> Reconciled:
    """The clock of the books that a journey's operations belong in; `found` None: they were not collected."""
    system = history.plan.system
    striking = [step for step in history.plan.steps if _strikes(step, books, system)]
    destroyed = _destroyed(striking, timeline)
    volley = _volley(timeline, recovery, destroyed)
    if found is None or volley is None or recovery.rta is None:
        return Reconciled(destroyed_by=destroyed)
    looks = [e for e in history.events if e.kind == "collect.snapshot" and e.data.get("books") == books]
    loss, measured = found
    if not looks or loss.problems or measured.problems:
        return Reconciled(destroyed_by=destroyed)
    mending = _mending(history, timeline, {step.id for step in striking if step.mends_books}, volley.lo)
    since = Interval(lo=volley.lo, hi=volley.hi)
    ends = _ends(timeline, recovery.rta, volley, mending, destroyed, looks[-1])
    if not _right(loss, measured):
        # What is missing may be so through us alone: then nothing says that the books are wrong.
        sure = bool(measured.broken(*RULES) or _in_doubt(loss) or loss.surely())
        lo = max(0, looks[-1].t - volley.hi) if sure else 0
        ends = Interval(lo=lo, hi=None), None, looks[-1].n, None
    after, by, event, until = ends
    modelled = modelled_ns(timeline.decisions, timeline.responses, volley.lo, until)
    return Reconciled(after, since, modelled, by, event, destroyed)


def _strikes(step: PlannedStep, books: str, system: System) -> bool:
    """Whether what the step does to data can be to these books: not, if it is to another database's."""
    spec = system.books.get(books)
    if spec is None or spec.on is None:
        return True
    if step.kind == "response":
        backup = system.backups.get(step.params.get("backup") or next(iter(system.backups), ""))
        return "backups" not in step.requires or backup is None or backup.of == spec.on
    own = _members(system, (spec.on,))
    others = _members(system, (name for name in system.roles if name != spec.on)) - own
    return not others.issuperset(step.on)


def _members(system: System, roles: Iterable[str]) -> set[str]:
    found = [system.roles[name] for name in roles if name in system.roles]
    return {member for role in found for member in (role.primary, role.standby) if member is not None}


def _destroyed(striking: Sequence[PlannedStep], timeline: Timeline) -> tuple[str, ...]:
    """The faults that destroyed data; where none did, the responses that are known to have."""
    wanted = [step.id for step in striking if step.destroys_data]
    begun = {fault.step for fault in timeline.faults}
    # A restore that failed may have touched nothing; that it failed is told by its own verdict.
    done = {response.step for response in timeline.responses if response.done is not None}
    faults = tuple(step for step in wanted if step in begun)
    return faults or tuple(step for step in wanted if step in done)


def _volley(timeline: Timeline, recovery: Recovery, destroyed: Sequence[str]) -> Volley | None:
    """The earliest of the journey's own clock and the faults that destroyed its data; None: no clock started."""
    own = [recovery.volley] if recovery.volley is not None else []
    hurt = [one for one in timeline.volleys if not set(destroyed).isdisjoint(one.steps)]
    if destroyed and not own and not hurt:  # a restore did it, for a fault that no customer noticed
        hurt = list(timeline.volleys[:1])
    return min((*own, *hurt), key=lambda one: one.lo, default=None)


def _ends(
    timeline: Timeline,
    rta: Interval,
    volley: Volley,
    mends: Sequence[_Mend],
    destroyed: Sequence[str],
    look: Event,
) -> tuple[Interval, str | None, int, int | None]:
    """(bounds, who put them right, the event that says so, until when people count) of books that are right."""
    last_hurt = max((fault.lo for fault in timeline.faults if fault.step in destroyed), default=volley.lo)
    done = [one for one in mends if one.span.done is not None and one.span.done >= last_hurt]
    seen = look.t - volley.lo
    if not done:
        return Interval(lo=min(rta.lo, seen), hi=seen), None, look.n, None
    last = max(done, key=_done)
    # What the last ones found right, as there was nothing to send again, was right before.
    changed = max((_done(one) for one in done if not one.idle), default=None)
    lo = min(rta.lo, seen) if changed is None else max(0, changed - volley.hi)
    if any(one.span.done is None and one.span.begin > last.span.begin for one in mends):
        # One that failed may have put right what was missing: when, nobody knows.
        return Interval(lo=lo, hi=max(lo, seen)), last.span.step, look.n, None
    hi = max(lo, _done(last) - volley.lo)
    return Interval(lo=min(lo, hi), hi=hi), last.span.step, last.span.events[-1], last.span.done


class _Mend(NamedTuple):
    """A response that may have put books right; `idle`: it says itself that it sent nothing again, so it did not."""

    span: ResponseSpan
    idle: bool


def _mending(history: History, timeline: Timeline, steps: set[str], since: int) -> list[_Mend]:
    facts = [event.data for event in history.events if event.kind == "response.fact"]
    idle = {
        fact.get("step")
        for fact in facts
        if (sent := _SENT.get(str(fact.get("fact")))) is not None and fact.get(sent) == []
    }
    spans = (one for one in timeline.responses if one.step in steps and one.begin >= since)
    return [_Mend(one, one.step in idle) for one in spans]


def _done(mend: _Mend) -> int:
    assert mend.span.done is not None
    return mend.span.done


def _right(loss: LossMeasure, books: BooksMeasure) -> bool:
    # What customers were shown meanwhile (an old balance) is judged by its own check, and makes no entry wrong.
    return not loss.missing() and not books.broken(*RULES) and not _in_doubt(loss)


def _in_doubt(loss: LossMeasure) -> bool:
    return not {"doubled", "held", "unresolved"}.isdisjoint(loss.in_doubt.values())
