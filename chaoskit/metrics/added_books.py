"""Verdicts on what a snapshot need not have (`reconciliation.ADDED`): without it, nothing was judged."""

from __future__ import annotations

from chaoskit.model.history import History
from chaoskit.model.measurement import Measurements
from chaoskit.model.verdict import Verdict


def judge_added(
    name: str,
    history: History,
    measurements: Measurements,
    *,
    count: str,
    rules: tuple[str, ...],
    green: str,
    nothing: str,
) -> Verdict:
    """One verdict over all books: `count` says how much there was to judge, `rules` what it must not break."""
    books = measurements.books.values()
    events = tuple(e.n for e in history.events if e.kind == "collect.snapshot")
    if problems := tuple(p for b in books for p in b.problems):
        return Verdict(name=name, outcome="unknown", reason=problems[0], events=events, details=problems)
    if broken := [v for b in books for v in b.broken(*rules)]:
        reason = ", ".join(f"{v.count} × {v.rule}" for v in broken)
        cases = tuple(case for v in broken for case in v.cases)
        return Verdict(name=name, outcome="fail", reason=reason, events=events, details=cases)
    judged = sum(b.counts.get(count, 0) for b in books)
    if not judged:
        why = f"not exercised: {nothing}"
        return Verdict(name=name, outcome="unknown", exercised=False, reason=why, events=events)
    return Verdict(name=name, outcome="pass", reason=green.format(judged), events=events)
