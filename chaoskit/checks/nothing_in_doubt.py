"""nothing-in-doubt: what customers could not know is settled, one way or the other."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from chaoskit.model.history import History
from chaoskit.model.measurement import Measurements
from chaoskit.model.verdict import Verdict
from chaoskit.registry import register

RULES = ("dangling-hold", "hold-and-posting")
SETTLED = ("posted", "absent")


@register("checks", "nothing-in-doubt")
@dataclass(frozen=True)
class NothingInDoubt:
    """Is every operation of unknown outcome settled in the surviving ledger?

    A customer who got no answer does not know whether the money moved. Each such key is resolved by key, after the old
    primary is fenced and queues have drained: it has no transaction, or exactly one. Every hold is posted, voided or
    expired; none keeps money set aside, and each agrees with the transactions of its key.

    fail: a key has several transactions, or money is still held. unknown: there is no surviving ledger, or it was still
    changing. Not exercised: no operation was of unknown outcome.
    """

    def judge(self, history: History, measurements: Measurements) -> Verdict:
        """One verdict over all books."""
        name = "nothing-in-doubt"
        books = measurements.books.values()
        events = tuple(e.n for e in history.events if e.kind == "collect.snapshot")
        problems = [p for loss in measurements.losses.values() for p in loss.problems]
        if problems := list(dict.fromkeys([*problems, *(p for b in books for p in b.problems)])):
            return Verdict(
                name=name, outcome="unknown", reason=problems[0], events=events, details=tuple(problems)
            )
        doubt = {key: how for loss in measurements.losses.values() for key, how in loss.in_doubt.items()}
        unsettled = {key: how for key, how in doubt.items() if how not in SETTLED}
        broken = [v for b in books for v in b.broken(*RULES)]
        if unsettled or broken:
            parts = [f"{n} keys {how}" for how, n in sorted(Counter(unsettled.values()).items())]
            parts += [f"{v.count} × {v.rule}" for v in broken]
            details = [f"key {key}: {how}" for key, how in sorted(unsettled.items())]
            details += [case for v in broken for case in v.cases]
            outcome = "unknown" if not broken and set(unsettled.values()) == {"unresolved"} else "fail"
            return Verdict.model_validate(
                {"name": name, "outcome": outcome, "reason": "still in doubt: " + ", ".join(parts)}
                | {"events": events, "details": tuple(details)}
            )
        if not doubt:
            why = "not exercised: no operation was of unknown outcome"
            return Verdict(name=name, outcome="unknown", exercised=False, reason=why, events=events)
        n = Counter(doubt.values())
        reason = (
            f"{len(doubt)} operations of unknown outcome settled: {n['posted']} posted, {n['absent']} not"
        )
        return Verdict(name=name, outcome="pass", reason=reason, events=events)
