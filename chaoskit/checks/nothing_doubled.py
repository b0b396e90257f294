"""nothing-doubled: no customer pays twice."""

from __future__ import annotations

from dataclasses import dataclass

from chaoskit.model.history import History
from chaoskit.model.measurement import Measurements
from chaoskit.model.verdict import Verdict
from chaoskit.registry import register

RULES = ("doubled", "refused-but-posted")


@register("checks", "nothing-doubled")
@dataclass(frozen=True)
class NothingDoubled:
    """Was anything posted twice?

    No key may have two transactions, though operations of unknown outcome are sent again under their key, and some that
    were acknowledged are too. A key that the customer was told had certainly failed must have no transaction:
    the customer pays again, under another key.

    fail: every such key is listed. unknown: there is no surviving ledger, or it was still changing. Not
    exercised: not one key was sent a second time to somebody who was there, so that nothing could have been
    doubled.
    """

    def judge(self, history: History, measurements: Measurements) -> Verdict:
        """One verdict over all books."""
        name = "nothing-doubled"
        books = measurements.books.values()
        events = tuple(e.n for e in history.events if e.kind == "collect.snapshot")
        if problems := tuple(p for b in books for p in b.problems):
            return Verdict(name=name, outcome="unknown", reason=problems[0], events=events, details=problems)
        if broken := [v for b in books for v in b.broken(*RULES)]:
            reason = "posted twice: " + ", ".join(f"{v.count} × {v.rule}" for v in broken)
            cases = tuple(case for v in broken for case in v.cases)
            return Verdict(name=name, outcome="fail", reason=reason, events=events, details=cases)
        resent = sum(b.counts.get("resent", 0) for b in books)
        if not resent:
            why = "not exercised: no key was sent a second time to anybody who was there, by a retry or a double tap"
            return Verdict(name=name, outcome="unknown", exercised=False, reason=why, events=events)
        reason = f"none of {resent} keys that were sent more than once has two transactions"
        return Verdict(name=name, outcome="pass", reason=reason, events=events)
