"""old-reads-new: after a roll-back the old version can read what the new one wrote; a fix that was put over it, too."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from chaoskit.metrics.reads import account_of
from chaoskit.model.history import Event, History, Operation
from chaoskit.model.measurement import Measurements
from chaoskit.model.system import Journey, Pick, System
from chaoskit.model.verdict import Verdict
from chaoskit.registry import register

_ROLL_OUT = "upgrade.roll-out"
_RULE = "payload-differs"
_BESIDE_NS = 250_000_000


@dataclass(frozen=True)
class _Span:
    """[start, halt]: the release was in place · from `back` on the old version alone, or a fix; `events` say so.

    `left`: services that were changed and are not known to be back. `fix`: the release that was put over it, if any.
    `until`: when another release began, which answers from then on.
    """

    start: int
    halt: int
    back: int
    events: tuple[int, ...]
    left: tuple[str, ...] = ()
    fix: str | None = None
    until: int | None = None

    @property
    def version(self) -> str:
        return "the old version" if self.fix is None else f"the fix {self.fix}"

    @property
    def done(self) -> str:
        return "rolled back" if self.fix is None else f"followed by {self.fix}"


@register("checks", "old-reads-new")
@dataclass(frozen=True)
class OldReadsNew:
    """Can the version that came back, or a fix that came after, read what was written while the release was in place?

    Judged are the accounts that moved in that time, whether the customer was told so or the books alone say it: whoever
    asks for one of them after the roll-back must be answered at least once; what failed before the journey had
    recovered says nothing of its account, nor what failed while somebody was turned away in the same way (the
    same status, or no answer, at most 250 ms before or after) whose account had not moved or was read at another time.
    And a payment that was posted in that time
    must not be refused when it is asked for again, with the same payload, under its key; nor may it stand in the books
    with another payload's hash, by which it would be, whether or not somebody has asked again. Whether the balances
    shown are true is `reads-are-true`. Where the data was restored as well, what counts is what is there once customers
    are let in again: a payment that the old version could not read, and that was sent again since, is one that it can.
    Where a fixed release was put over it (`roll-forward`) that is the version which must answer; and what it leaves in
    the books as the old version could not read it fails as well.

    fail: an account that is never answered again, a posted payment that is or would be refused. unknown: the release
    was not taken back everywhere, so that nobody knows which version answered; or an account was asked for only once,
    and nobody answered in time, or several times, and each time others were turned away as well.
    Not exercised: nothing was rolled back
    or forward, nothing was written in that time, or nobody asked for it afterwards.
    """

    def judge(self, history: History, measurements: Measurements) -> Verdict:
        """One verdict over all journeys."""
        name = "old-reads-new"
        span = _span(history.events)
        if span is None:
            why = (
                "not exercised: no release was rolled out, witnessed and rolled back, or followed by its fix"
            )
            return Verdict(name=name, outcome="unknown", exercised=False, reason=why)
        events = span.events
        if span.left:
            why = f"the release was not taken back everywhere: {', '.join(span.left)}"
            return Verdict(name=name, outcome="unknown", reason=why, events=events)
        problems = [p for one in measurements.losses.values() for p in one.problems]
        problems += [p for one in measurements.books.values() for p in one.problems]
        if problems:
            return Verdict(
                name=name, outcome="unknown", reason=problems[0], events=events, details=tuple(problems)
            )
        written = _written(history, measurements, span)
        moved = set(written.values())
        asked = _asked(history, measurements, span)
        readable = {account for account, read in asked if account not in moved or read.outcome == "ok"}
        others = [read for account, read in asked if account in readable and read.outcome != "ok"]
        judged: dict[str, list[Operation]] = {}
        excused: dict[str, list[Operation]] = {}
        for account, read in asked:
            if account in moved:
                turned_away = read.outcome != "ok" and _everybody_then(read, others)
                (excused if turned_away else judged).setdefault(account, []).append(read)
        excused = {account: reads for account, reads in excused.items() if account not in judged}
        keys = {key for key, _ in written}
        refused = _refused(history, keys, span)
        marked = _unreadable(measurements, keys.difference(refused))
        return _verdict(name, span, judged, excused, refused, marked)


def _verdict(
    name: str,
    span: _Span,
    asked: Mapping[str, list[Operation]],
    excused: Mapping[str, list[Operation]],
    refused: list[str],
    marked: list[str],
) -> Verdict:
    """`excused`: accounts whose reads failed as others' did each time, and that have no other read."""
    events = span.events
    answered = {account: any(one.outcome == "ok" for one in reads) for account, reads in asked.items()}
    # One that was asked for once, and not answered in time, may have been asked for at a bad moment.
    once = sorted(account for account, ok in answered.items() if not ok and _once_in_vain(asked[account]))
    unread = sorted(account for account, ok in answered.items() if not ok and account not in once)
    if unread or refused or marked:
        parts = [f"{len(unread)} of {len(answered)} accounts cannot be read any more"] if unread else []
        parts += [f"{len(refused)} posted payments are refused"] if refused else []
        parts += [f"{len(marked)} more would be, by the hash that they have in the books"] if marked else []
        details = [f"account {account}: moved under the release, never answered since" for account in unread]
        details += [f"key {key}: posted under the release, refused by {span.version}" for key in refused]
        details += [f"key {key}: posted under the release, with another payload's hash" for key in marked]
        who = span.version if unread or refused else "the old version"  # a fix may read what it leaves marked
        reason = f"{who} does not read what the new one wrote: " + ", ".join(parts)
        return Verdict(name=name, outcome="fail", reason=reason, events=events, details=tuple(details))
    again = sorted(account for account, reads in excused.items() if _at_several_times(reads))
    beside = (
        f"; {len(excused)} more were asked for only while others were turned away as well" if excused else ""
    )
    if not answered and not again:
        why = f"not exercised: no account that moved under the release was asked for after it was {span.done}{beside}"
        return Verdict(name=name, outcome="unknown", exercised=False, reason=why, events=events)
    if again or once:
        how = "asked for several times while others were turned away as well" if again else "asked for once"
        told = ", ".join(again or once)
        why = f"{how}, and not answered in time: nothing says whether {span.version} can read {told}"
        return Verdict(name=name, outcome="unknown", reason=why, events=events)
    reason = (
        f"{len(answered)} accounts that moved under the release were read after it was {span.done}{beside}"
    )
    return Verdict(name=name, outcome="pass", reason=reason, events=events)


def _at_several_times(reads: list[Operation]) -> bool:
    """Whether they failed further apart than what counts as one moment: chance then hardly says so each time."""
    sent = [read.sent or 0 for read in reads]
    return max(sent) - min(sent) > _BESIDE_NS


def _everybody_then(read: Operation, others: list[Operation]) -> bool:
    """Whether one of these reads, of accounts that can be read, failed in the same way about the same time."""
    return any(
        one.outcome == read.outcome
        and one.status == read.status
        and (one.sent or 0) - _BESIDE_NS <= _known(read)
        and (read.sent or 0) <= _known(one) + _BESIDE_NS
        for one in others
    )


def _known(read: Operation) -> int:
    """When its outcome was known, ns; of one that had none, when it was sent."""
    return read.done or read.sent or 0


def _once_in_vain(reads: list[Operation]) -> bool:
    return len(reads) == 1 and reads[0].status is None


def _span(recorded: Iterable[Event]) -> _Span | None:
    steps: set[str] = set()
    seen = halted = back = fix = until = None
    changed: dict[str, None] = {}
    halts: dict[str, None] = {}
    ended: set[str] = set()
    for event in recorded:
        step, fact = event.data.get("step"), event.data.get("fact")
        if event.kind == "fault.begin" and event.data.get("name") == _ROLL_OUT:
            steps.add(str(step))
            until = event.t if back is not None and until is None else until
        elif event.kind == "fault.witnessed" and step in steps:
            seen = seen or event  # rolled out twice, both have written
        elif event.kind == "response.fact" and fact == "halted":
            halted, fix, until = event, None, None
            halts[str(step)] = None
            changed |= dict.fromkeys(str(one) for one in event.data.get("changed") or ())
        elif event.kind == "response.fact" and fact in ("restored", "forwarded"):
            back = event
            fix = str(event.data.get("release")) if fact == "forwarded" else fix
            changed.pop(str(event.data.get("service")), None)
        elif event.kind == "response.fact" and fact == "opened":
            back = event if back is not None else None  # until then nobody could ask
        elif event.kind == "response.done":
            ended.add(str(step))
    if seen is None or halted is None or back is None:
        return None
    left = [*changed]
    left += [] if left else [f"{one} did not come to its end" for one in halts if one not in ended]
    events = tuple(sorted(one.n for one in (seen, halted, back)))
    return _Span(int(seen.data["hi"]), halted.t, back.t, events, tuple(left), fix, until)


def _written(history: History, measurements: Measurements, span: _Span) -> dict[tuple[str, int], str]:
    """(key, number) → account, for every payment that was posted in the span."""
    system = history.plan.system
    posted = {
        key for one in measurements.losses.values() for key, how in one.in_doubt.items() if how == "posted"
    }
    pools = {_pool(system.journeys[name], account_of(system, name)) for name in _readers(system)}
    found: dict[tuple[str, int], str] = {}
    for one in history.operations:
        journey = system.journeys[one.journey]
        inside = one.sent is not None and span.start <= one.sent <= span.halt
        if journey.books is None or not inside or not (one.outcome == "ok" or one.key in posted):
            continue
        names = [name for name in journey.draw if _pool(journey, name) in pools]
        found |= {(one.key, n): one.values[name] for n, name in enumerate(names) if name in one.values}
    return found


def _asked(history: History, measurements: Measurements, span: _Span) -> list[tuple[str, Operation]]:
    """(account, read) for every read after the roll-back.

    Until the journey had recovered nobody was answered: what failed by then says nothing of its account.
    """
    readers = _readers(history.plan.system)
    well = {name: one.recovered_at or 0 for name, one in measurements.journeys.items()}
    return [
        (one.values[readers[one.journey]], one)
        for one in history.operations
        if one.journey in readers
        and _after(one, span)
        and readers[one.journey] in one.values
        and (one.outcome == "ok" or (one.sent or 0) >= well.get(one.journey, 0))
    ]


def _refused(history: History, keys: set[str], span: _Span) -> list[str]:
    again = (one for one in history.operations if one.key in keys and _after(one, span) and not one.other)
    return sorted({one.key for one in again if one.outcome == "fail" and one.status is not None})


def _unreadable(measurements: Measurements, keys: set[str]) -> list[str]:
    """Of the keys, those whose payment has another payload's hash in the books at the end."""
    cases = (case for one in measurements.books.values() for rule in one.broken(_RULE) for case in rule.cases)
    return sorted(keys.intersection(case.removeprefix("key ").rpartition(": ")[0] for case in cases))


def _after(one: Operation, span: _Span) -> bool:
    return one.sent is not None and span.back < one.sent and (span.until is None or one.sent < span.until)


def _readers(system: System) -> dict[str, str]:
    """Journeys that move nothing, with the drawn value that says whose account they read."""
    found = {name: account_of(system, name) for name, one in system.journeys.items() if one.books is None}
    return {name: account for name, account in found.items() if account is not None}


def _pool(journey: Journey, name: str | None) -> str | None:
    source = journey.draw.get(name or "")
    return source.from_ if isinstance(source, Pick) else source if isinstance(source, str) else None
