"""What was accepted to be done later: booked, double-spent or forgotten, and whether each customer's limit was kept.

operations ──► accepted, per customer ──► over the limit?
books      ──► in the ledger? ── no ──► listed as no longer covered, and can that be? ── yes ──► double-spent
replay's lists ──────────────────────────────────────────────────────────────────────── no ───► not booked
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from chaoskit.metrics.diagnosis import since
from chaoskit.model.history import Event, Operation
from chaoskit.model.journey import Journey
from chaoskit.model.measurement import Interval, LossMeasure, OverLimit, Promise, StandInMeasure
from chaoskit.quantity import Money

REPLAYED = "stand-in-replayed"
"""The fact that a replay records: lists of keys, by what became of them."""
SETTLED = ("booked", "replayed", "double-spent", "refused")
"""Its lists of keys that are no longer promised."""
NEVER = 2**63 - 1


def measure_stand_ins(
    operations: Sequence[Operation],
    events: Iterable[Event],
    journeys: Mapping[str, Journey],
    losses: Mapping[str, LossMeasure],
    started: Interval | None,
) -> dict[str, StandInMeasure]:
    """By journey, where a customer was told that his operation is accepted."""
    replays = [e for e in events if e.kind == "response.fact" and e.data.get("fact") == REPLAYED]
    promised = [promise for loss in losses.values() for promise in loss.promised]
    found = {}
    for name, journey in journeys.items():
        own = [promise for promise in promised if promise.journey == name]
        if journey.accepted is None or not own:
            continue
        mine = [e for e in replays if e.data.get("journey") == name]
        listed = {key for e in mine for key in _keys(e, "double-spent")}
        absent = [promise for promise in own if not promise.booked]
        spent = tuple(p for p in absent if p.key in listed and _can_be(p))
        limit = journey.accepted.limit
        found[name] = StandInMeasure(
            journey=name,
            accepted=len(own),
            amount=amounts(own),
            booked=len(own) - len(absent),
            double_spent=spent,
            unbooked=tuple(p for p in absent if p not in spent),
            limit=None if limit is None else minor(limit),
            over_limit=over_limit(operations, name, journey, _settled(mine)),
            healed=_healed(operations, name, mine),
            replayed=since(started, mine[-1].t) if mine else None,
            events=tuple(e.n for e in mine),
        )
    return found


def amounts(promises: Iterable[Promise]) -> dict[str, int]:
    """What they come to, in minor units, by currency."""
    sums: dict[str, int] = {}
    for one in promises:
        if one.amount is not None:
            sums[one.currency or ""] = sums.get(one.currency or "", 0) + one.amount
    return sums


def over_limit(
    operations: Iterable[Operation], name: str, journey: Journey, settled: Mapping[str, int]
) -> tuple[OverLimit, ...]:
    """Acceptances that took a customer over the limit, from the answers that customers had. What a replay has `settled`
    (by key, ns) counts no more from then on; a replay that did nothing for a promise leaves it open."""
    accepted = journey.accepted
    per = None if accepted is None else accepted.per
    if per is None and journey.parties is not None:
        per = journey.parties.from_
    if accepted is None or accepted.limit is None or per is None:
        return ()
    limit = minor(accepted.limit)
    first: dict[str, Operation] = {}
    for operation in operations:
        if operation.journey == name and operation.outcome == "accepted" and not operation.other:
            first.setdefault(operation.key, operation)
    open_: dict[str, list[tuple[int, int]]] = {}
    found = []
    for operation in sorted(first.values(), key=lambda o: (o.done or 0, o.key)):
        customer = operation.values.get(per)
        if customer is None or operation.amount is None:
            continue
        at = operation.done or 0
        still = [one for one in open_.get(customer, ()) if one[0] > at]
        open_[customer] = [*still, (settled.get(operation.key, NEVER), operation.amount)]
        total = sum(amount for _, amount in open_[customer])
        if total > limit:
            over = min(operation.amount, total - limit)
            found.append(OverLimit(key=operation.key, customer=customer, promised=total, over=over))
    return tuple(found)


def minor(money: Money) -> int:
    """An amount in minor units (two decimals)."""
    return int(money.amount * 100)


def _keys(event: Event, word: str) -> tuple[str, ...]:
    listed = event.data.get(word)
    return tuple(map(str, listed)) if isinstance(listed, list) else ()


def _can_be(promise: Promise) -> bool:
    """Whether the books show that the money may have been gone. An account that always had as much was always good for
    it; and where nobody can tell what its payer had, an excuse is only a word."""
    return promise.least is not None and promise.amount is not None and promise.least < promise.amount


def _settled(replays: Sequence[Event]) -> dict[str, int]:
    """By key, when a replay first said what became of it, ns."""
    return {key: e.t for e in reversed(replays) for word in SETTLED for key in _keys(e, word)}


def _healed(operations: Iterable[Operation], name: str, replays: Sequence[Event]) -> tuple[str, ...]:
    booked = {str(key): e.t for e in reversed(replays) for key in _keys(e, "booked")}
    return tuple(
        dict.fromkeys(
            o.key
            for o in operations
            if o.journey == name
            and o.outcome == "ok"
            and not o.other
            and o.done is not None
            and o.done < booked.get(o.key, 0)
        )
    )
