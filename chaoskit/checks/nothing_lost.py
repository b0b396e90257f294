"""nothing-lost: every acknowledged operation is in the surviving ledger, once and as it was asked for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from chaoskit.model.history import History
from chaoskit.model.measurement import LossMeasure, LostOperation, Measurements
from chaoskit.model.verdict import Verdict
from chaoskit.registry import register

RULES = ("amount-differs", "parties-differ", "payload-differs")


@register("checks", "nothing-lost")
@dataclass(frozen=True)
class NothingLost:
    """Is everything that customers were told is done in the surviving ledger?

    Every key that was acknowledged must be there, with the same amount, currency, parties and payload; and, once it was
    replayed, every key that was accepted to be done later, unless the system lists it as double-spent and the books do
    not contradict it. It is looked for
    by key, before anything is sent again or replayed. The hole check: an operation that is lost while one
    that was sent only after its acknowledgement survives on the same database cannot be explained by
    replication lag.

    fail: something is missing or different; every key and amount is listed. unknown: there is no surviving
    ledger, it was still changing, or a proxy of chaoskit's own was held up when what is missing was acknowledged.
    Not exercised: no operation that belongs in books was acknowledged.
    """

    def judge(self, history: History, measurements: Measurements) -> Verdict:
        """One verdict over all books."""
        name = "nothing-lost"
        losses = measurements.losses.values()
        events = tuple(e.n for e in history.events if e.kind == "collect.snapshot")
        if problems := tuple(p for loss in losses for p in loss.problems):
            return Verdict(name=name, outcome="unknown", reason=problems[0], events=events, details=problems)
        acknowledged = sum(loss.acknowledged for loss in losses)
        unbooked = [operation for loss in losses for operation in loss.unbooked]
        if not acknowledged and not unbooked:
            why = "not exercised: no operation that belongs in books was acknowledged"
            return Verdict(name=name, outcome="unknown", exercised=False, reason=why, events=events)
        lost = [operation for loss in losses for operation in loss.lost]
        promised = sum(len(loss.promised) for loss in losses)
        differing = [v for b in measurements.books.values() for v in b.broken(*RULES)]
        holes = [hole for loss in losses for hole in loss.holes]
        if not lost and not unbooked and not differing:
            reason = f"0 of {acknowledged} acknowledged operations lost"
            if promised:
                reason += f"; {promised} were accepted to be done later, and none of them is forgotten"
            return Verdict(name=name, outcome="pass", reason=reason, events=events)
        parts = (
            [f"{len(lost)} of {acknowledged} acknowledged operations lost{_amounts(losses)}"] if lost else []
        )
        if unbooked:
            parts.append(f"{len(unbooked)} of {promised} that were accepted to be done later are not booked")
        parts += [f"{v.count} × {v.rule}" for v in differing]
        if holes:
            parts.append(f"{len(holes)} of them cannot be lag: later ones survived on the same database")
        details = [describe(operation) for operation in lost]
        details += [f"not booked: {describe(operation).removeprefix('lost: ')}" for operation in unbooked]
        details += [
            f"hole: {x} is lost, {y} was sent after its acknowledgement and survived" for x, y in holes
        ]
        details += [case for v in differing for case in v.cases]
        doubt = [loss.doubt for loss in losses if loss.missing() and not loss.surely()]
        if doubt and not differing and not any(loss.surely() for loss in losses):
            reason = f"{'; '.join(parts)}; but {doubt[0]}"
            return Verdict(name=name, outcome="unknown", reason=reason, events=events, details=tuple(details))
        return Verdict(
            name=name, outcome="fail", reason="; ".join(parts), events=events, details=tuple(details)
        )


def describe(operation: LostOperation) -> str:
    """One lost operation for the reader: key, journey, amount."""
    amount = "" if operation.amount is None else f" {decimal(operation.amount)} {operation.currency or ''}"
    return f"lost: {operation.key} {operation.journey}{amount}"


def decimal(minor: int) -> str:
    """Minor units with two decimals: 1234 → 12.34."""
    return f"{minor // 100}.{minor % 100:02d}" if minor >= 0 else f"-{decimal(-minor)}"


def _amounts(losses: Iterable[LossMeasure]) -> str:
    sums: dict[str, int] = {}
    for loss in losses:
        for currency, amount in loss.amount.items():
            sums[currency] = sums.get(currency, 0) + amount
    return "".join(f", {decimal(amount)} {currency}" for currency, amount in sorted(sums.items()))
