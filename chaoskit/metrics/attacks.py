"""Attacks from outside: when the service said so and turned them away, whom else, and whether money moved."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from chaoskit.metrics.timeline import FaultSpan, Timeline
from chaoskit.model.history import Event, History, Operation
from chaoskit.model.measurement import AttackMeasure, BooksMeasure, Interval
from chaoskit.model.outsiders import ADDRESSES, BLOCKED, BLOCKED_STATUS

_CAPABILITY = "outsiders"
MISTAKE = "mistake.wrong-command"
_ENDING = ("process.kill", "service.stop", "host.loss")
"""Faults that end a service, and what it keeps in mind with it."""
_MANY = 20
"""So many requests of one address, and none turned away: fewer may be what the service has declared to take."""
_COUNTS = ("asked", "refused", "failed", "let_in")


def measure_attacks(
    history: History, timeline: Timeline, books: Mapping[str, BooksMeasure]
) -> tuple[AttackMeasure, ...]:
    """One for each attack from outside; the attacker's own word counts nowhere.

    Whom the service turned away, and what the books hold that nobody asked for, is of the whole run: with several
    attacks each has all of it.
    """
    outside = {step.id for step in history.plan.steps if _CAPABILITY in step.requires}
    moved = tuple(case for one in books.values() for broken in one.broken("unasked") for case in broken.cases)
    about = {
        "moved": moved,
        "unsaid": sum(one.counts.get("unsaid", 0) for one in books.values()),
        "books": bool(books) and not any(one.problems for one in books.values()),
    }
    attacks = [fault for fault in timeline.faults if fault.step in outside]
    return tuple(_measure(fault, attacks, history, timeline, about) for fault in attacks)


def pushed_settings(history: History) -> frozenset[str]:
    """The steps that push a setting to a database server: an operator's mistake that changes no row."""
    return frozenset(
        step.id
        for step in history.plan.steps
        if step.name == MISTAKE and step.params.get("setting") is not None
    )


def _measure(
    fault: FaultSpan,
    attacks: Sequence[FaultSpan],
    history: History,
    timeline: Timeline,
    about_books: Mapping[str, Any],
) -> AttackMeasure:
    feed = [event for event in history.events if event.data.get("service") == fault.target]
    counts = [event for event in _facts(feed, "attack-counts") if event.t >= fault.lo]
    network = _network(fault, counts)
    told = [(event, event.data) for event in _facts(feed, "attack-alert") if _after(fault, event)]
    about = [
        (event, data) for event, data in told if str(data.get("source")).startswith(network or ADDRESSES)
    ]
    first = min(about, key=_at, default=None)
    theirs = [one for one in told if network and one not in about and _outside(one[1])]
    block = min(((e, d) for e, d in about if d.get("says") == "block"), key=_at, default=None)
    last: Mapping[str, Any] = counts[-1].data if counts else {}
    # It counts from its start on: of several readings the most, should it have begun anew in between.
    most: Any = {name: max((_counted(e, name, network) for e in counts), default=0) for name in _COUNTS}
    turned = [one for one in history.operations if _blocked(one) and one.intended >= fault.lo]
    others = [one for one in attacks if one.target == fault.target and one is not fault]
    until = max((_at(one) for one in (first, block) if one is not None), default=fault.lo)
    return AttackMeasure(
        step=fault.step,
        target=fault.target,
        clock=Interval(lo=fault.lo, hi=fault.hi),
        alerted=_since(fault, first),
        alert=str(first[1].get("what")) if first else "",
        alert_event=first[0].n if first else None,
        blocked=_since(fault, block),
        block=str(block[1].get("what")) if block else "",
        block_event=block[0].n if block else None,
        counts_event=counts[-1].n if counts else None,
        **most,
        unturned=() if block is None else tuple(_unturned(counts, block[0].t, network or "")),
        # Of one kind they come from the same addresses, and so did all that were recorded before each had its own.
        mixed=tuple(
            one.step for one in others if one.lo <= until and (network is None or one.name == fault.name)
        ),
        later=any((one.lo, attacks.index(one)) < (fault.lo, attacks.index(fault)) for one in others),
        beside=_since(fault, min(theirs, key=_at, default=None)),
        forgot=bool(counts) and _ended(fault, history, timeline, counts[-1].t),
        read=bool(counts) and last.get("busy") is False,
        wrongly_blocked=tuple(sorted({_customer(one) for one in turned})),
        operations=len(turned),
        keys=tuple(one.key for one in turned),
        **about_books,
        events=tuple(sorted({told[0].n for told in (first, block) if told is not None})),
    )


def _network(fault: FaultSpan, counts: Sequence[Event]) -> str | None:
    """How the addresses of this attack begin, and of no other kind; None: of a run in which all had the same."""
    said = counts[-1].data.get("networks") if counts else None
    found = said.get(fault.name) if isinstance(said, dict) else None
    return found if isinstance(found, str) else None


def _counted(counts: Event, name: str, network: str | None) -> int:
    if network is None:
        return int(counts.data.get(name) or 0)
    of = counts.data.get("sources") or {}
    return sum(int(one.get(name) or 0) for source, one in of.items() if source.startswith(network))


def _unturned(counts: Sequence[Event], block: int, network: str) -> Iterator[str]:
    """Each address of that network from which requests went on as if nobody had blocked any: since the first reading
    with the block (ns), or in all where there is no other reading, or the service has begun to count anew."""
    read = [one for one in counts if isinstance(one.data.get("sources"), dict)]
    if not read:
        return
    first: dict[str, Any] = next((one.data["sources"] for one in read[:-1] if one.t >= block), {})
    for source, last in read[-1].data["sources"].items():
        if not source.startswith(network):
            continue
        since = first.get(source) or {}
        if (last.get("asked") or 0) < (since.get("asked") or 0):
            since = {}
        more = {name: (last.get(name) or 0) - (since.get(name) or 0) for name in _COUNTS}
        if more["asked"] >= _MANY and not more["refused"] + more["failed"]:
            yield f"{source} asked {more['asked']} times"


def _outside(data: Mapping[str, Any]) -> bool:
    return str(data.get("source")).startswith(ADDRESSES)


def _ended(fault: FaultSpan, history: History, timeline: Timeline, until: int) -> bool:
    """Whether the attacked service ended, or was started anew, from the attack on until its feed was read last."""
    others = (one for one in timeline.faults if one.step != fault.step and one.target == fault.target)
    at = [one.lo for one in others if one.name in _ENDING]
    for event in history.events:
        data = event.data
        if event.kind == "service.exit" and data.get("service") == fault.target:
            at.append(data["at"] if isinstance(data.get("at"), int) else event.t)
        elif event.kind == "response.begin" and data.get("name") == "restart-service":
            at += [event.t] if fault.target in (data.get("on") or ()) else []
    return any(fault.lo <= one <= until for one in at)


def _facts(events: Iterable[Event], fact: str) -> Iterator[Event]:
    return (event for event in events if event.kind == "response.fact" and event.data.get("fact") == fact)


def told_between(alert: Event) -> tuple[int, int]:
    """When a service said it, at the earliest and at the latest, ns: its own word where it can be true; else from the
    last look at which it was not there until it was read. What the first look found may have been there for ever."""
    at, since = alert.data.get("at"), alert.data.get("since", alert.data.get("at"))
    latest = at if isinstance(at, int) and at <= alert.t else alert.t
    return (min(since, latest) if isinstance(since, int) else 0), latest


def _at(told: tuple[Event, Mapping[str, Any]]) -> int:
    return told_between(told[0])[1]


def _after(fault: FaultSpan, event: Event) -> bool:
    return told_between(event)[1] >= fault.lo


def _since(fault: FaultSpan, told: tuple[Event, Mapping[str, Any]] | None) -> Interval | None:
    """From the attack's first effect, somewhere between its start and its witness, to the service's word."""
    if told is None:
        return None
    earliest, at = told_between(told[0])
    return Interval(
        lo=max(0, earliest - (earliest if fault.hi is None else fault.hi)),
        hi=at - fault.lo,
    )


def _blocked(one: Operation) -> bool:
    return one.status in BLOCKED_STATUS or (one.error or "").startswith(f"{BLOCKED}:")


def _customer(one: Operation) -> str:
    """Who it was: the first value that was drawn, the one who pays or asks."""
    return next(iter(one.values.values()), one.journey)
