"""one-writer: after a failover there is one primary, and no second one that takes payments."""

from __future__ import annotations

from dataclasses import dataclass

from chaoskit.metrics.second_writer import RULE
from chaoskit.model.history import History
from chaoskit.model.measurement import Measurements
from chaoskit.model.verdict import Verdict
from chaoskit.registry import register


@register("checks", "one-writer")
@dataclass(frozen=True)
class OneWriter:
    """Does exactly one member of each replicated database accept writes?

    Every member that lives and was not fenced is asked to commit a write, past every proxy. With two that do, payments
    go to either, and no set of books has them all: every other check of the books is then unknown, because there is no
    surviving ledger to judge, and this one says what happened. What a `probe: writers` has seen during the drill counts
    as well: two that took writes for a moment are two, although one of them has stopped since.

    fail: several members accept writes, or did at one time; every key that is not in the books of all of them is
    listed. unknown: none does, a member lives and did not say, or a `probe: writers` could not look. Not exercised: no
    books of a database with a standby were collected.
    """

    def judge(self, history: History, measurements: Measurements) -> Verdict:
        """One verdict over all books."""
        name = "one-writer"
        system = history.plan.system
        replicated = {
            books
            for books, spec in system.books.items()
            if spec.on in system.roles and system.roles[spec.on].standby is not None
        }
        found = [measure for books, measure in measurements.books.items() if books in replicated]
        events = tuple(
            e.n
            for e in history.events
            if e.kind in ("collect.snapshot", "collect.absent") and e.data.get("books") in replicated
        )
        looks = [e for e in history.events if e.kind == "probe.looked" and e.data.get("name") == "writers"]
        events += tuple(e.n for e in looks)
        seen = tuple(str(case) for e in looks for case in e.data.get("found") or ())
        if broken := [(measure, v) for measure in found for v in measure.broken(RULE)]:
            reason = "; ".join(
                f"{' and '.join(measure.writable)} both accept writes to the books {measure.books}, "
                f"{violation.count} × {RULE}"
                for measure, violation in broken
            )
            cases = tuple(case for _, violation in broken for case in violation.cases)
            return Verdict(name=name, outcome="fail", reason=reason, events=events, details=(*cases, *seen))
        if seen:
            return Verdict(name=name, outcome="fail", reason=seen[0], events=events, details=seen)
        if blind := [str(e.data.get("detail")) for e in looks if e.data.get("ok") is not True]:
            why = f"probe: writers could not look: {blind[0]}"
            return Verdict(name=name, outcome="unknown", reason=why, events=events)
        if problems := tuple(p for measure in found for p in measure.problems if measure.survivor is None):
            return Verdict(name=name, outcome="unknown", reason=problems[0], events=events, details=problems)
        if not found:
            why = "not exercised: no books of a database with a standby were collected"
            return Verdict(name=name, outcome="unknown", exercised=False, reason=why, events=events)
        alone = ", ".join(f"{measure.survivor} alone accepts writes" for measure in found)
        alone += "".join(f"; {e.data.get('detail')}" for e in looks)
        return Verdict(name=name, outcome="pass", reason=alone, events=events)
