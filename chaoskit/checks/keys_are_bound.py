"""keys-are-bound: a key that was used for one payment is not taken for another."""

from __future__ import annotations

from dataclasses import dataclass

from chaoskit.model.history import History
from chaoskit.model.measurement import Measurements
from chaoskit.model.verdict import Verdict
from chaoskit.registry import register

RULES = ("another-payload",)


@register("checks", "keys-are-bound")
@dataclass(frozen=True)
class KeysAreBound:
    """Does every key belong to its first payload?

    Where a journey says `bound-key`, the load sends some keys that were acknowledged once more, with another payload. A
    system that acknowledges that tells a customer that a payment was made which was not, or makes a second one
    under the first one's key.

    fail: every key that was acknowledged for a second payload, or under which one was posted, is listed. unknown: there
    is no surviving ledger, or it was still changing. Not exercised: no used key was sent with another payload, or none
    of them was answered.
    """

    def judge(self, history: History, measurements: Measurements) -> Verdict:
        """One verdict over all books."""
        name = "keys-are-bound"
        books = measurements.books.values()
        events = tuple(e.n for e in history.events if e.kind == "collect.snapshot")
        if problems := tuple(p for b in books for p in b.problems):
            return Verdict(name=name, outcome="unknown", reason=problems[0], events=events, details=problems)
        misused = sum(b.counts.get("misused", 0) for b in books)
        if broken := [v for b in books for v in b.broken(*RULES)]:
            accepted = sum(v.count for v in broken)
            reason = f"{accepted} used keys were acknowledged or posted for another payload too ({misused} answered)"
            cases = tuple(case for v in broken for case in v.cases)
            return Verdict(name=name, outcome="fail", reason=reason, events=events, details=cases)
        if not misused:
            why = "not exercised: no used key was sent with another payload and answered"
            return Verdict(name=name, outcome="unknown", exercised=False, reason=why, events=events)
        reason = f"{misused} used keys were sent with another payload, and none was acknowledged for it"
        return Verdict(name=name, outcome="pass", reason=reason, events=events)
