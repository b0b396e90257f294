"""reads-are-true: what a customer is shown is true, and no older than what he was told."""

from __future__ import annotations

from dataclasses import dataclass

from chaoskit.metrics.reads import RULES
from chaoskit.model.history import History
from chaoskit.model.measurement import Measurements
from chaoskit.model.verdict import Verdict
from chaoskit.registry import register


@register("checks", "reads-are-true")
@dataclass(frozen=True)
class ReadsAreTrue:
    """Was every customer shown the truth?

    A balance must not be older than the last write to that account which had been acknowledged when it was asked for,
    unless the answer says how old it is; and it must be the opening balance and the entries up to the position it
    claims. Judged are the journeys whose `read:` records a `position`, against the surviving ledger.

    fail: every such read is listed by its key. unknown: there is no surviving ledger, or it was still changing; or an
    answer showed a balance that is no amount with two decimals, or is not what its account had by the position it
    claims, which is another account's entry, or none that the books have. Not exercised: no account was read after it
    had been written, or only before the recovery from a loss or from a backup, after which entries are numbered anew;
    or `entry_id` is no number, so that no position can be one.
    """

    def judge(self, history: History, measurements: Measurements) -> Verdict:
        """One verdict over all books."""
        name = "reads-are-true"
        books = measurements.books.values()
        events = tuple(e.n for e in history.events if e.kind == "collect.snapshot")
        if problems := tuple(p for b in books for p in b.problems):
            return Verdict(name=name, outcome="unknown", reason=problems[0], events=events, details=problems)
        if broken := [v for b in books for v in b.broken(*RULES)]:
            reason = "untrue: " + ", ".join(f"{v.count} × {v.rule}" for v in broken)
            cases = tuple(case for v in broken for case in v.cases)
            return Verdict(name=name, outcome="fail", reason=reason, events=events, details=cases)
        judged = sum(b.counts.get("reads", 0) for b in books)
        if not judged:
            why = "not exercised: no account was read, with its position, after it had been written"
            if any(b.counts.get("unordered-reads") for b in books):
                why = "not exercised: `entry_id` of the books is no number, so that no position can be an entry's"
            if before := sum(b.counts.get("unnumbered-reads", 0) for b in books):
                why = (
                    f"not exercised: {before} reads came before the end of the recovery from a loss, or from a backup, "
                    "and after a loss entries have their numbers anew"
                )
            return Verdict(name=name, outcome="unknown", exercised=False, reason=why, events=events)
        if odd := sum(b.counts.get("odd-values", 0) for b in books):
            why = f"{odd} answers showed a balance that is no amount with two decimals"
            return Verdict(name=name, outcome="unknown", reason=why, events=events)
        if apart := sum(b.counts.get("unplaced-reads", 0) for b in books):
            why = (
                f"{apart} answers claim another account's entry, or none that the books have, as their position, and "
                "are not what was there by then"
            )
            return Verdict(name=name, outcome="unknown", reason=why, events=events)
        reason = (
            f"{judged} reads of accounts that had been written before are true and none is older than that"
        )
        if marked := sum(b.counts.get("marked-stale", 0) for b in books):
            reason += f"; {marked} answers said how old they were, and none is older than it said"
        return Verdict(name=name, outcome="pass", reason=reason, events=events)
