"""books-balance: the surviving ledger is consistent in itself."""

from __future__ import annotations

from dataclasses import dataclass

from chaoskit.model.history import History
from chaoskit.model.measurement import Measurements
from chaoskit.model.verdict import Verdict
from chaoskit.registry import register

RULES = ("one-legged", "unbalanced", "entries-differ", "stored-balance", "total", "unasked")


@register("checks", "books-balance")
@dataclass(frozen=True)
class BooksBalance:
    """Do the books of the surviving ledger balance?

    Judges, in every set of books that was collected: each transaction has both legs and its entries sum to zero in
    each currency; they move its amount from its payer to its payee and nothing else (where the transaction names
    both), and every entry belongs to a transaction; each stored balance is the opening balance plus all entries,
    and there is one of each account and currency; the sum of all balances is what it was; no transaction is without
    a key, and none of a client has a key that no client of the run ever sent.

    fail: a rule does not hold; every case is listed. unknown: there is no surviving ledger to judge, or it was still
    changing. Not exercised: the ledger holds no entry. That the sums are right does not mean that nothing was
    lost: whole transactions can be missing (`nothing-lost`).
    """

    def judge(self, history: History, measurements: Measurements) -> Verdict:
        """One verdict over all books."""
        name = "books-balance"
        books = measurements.books.values()
        events = tuple(e.n for e in history.events if e.kind == "collect.snapshot")
        if problems := tuple(p for b in books for p in b.problems):
            return Verdict(name=name, outcome="unknown", reason=problems[0], events=events, details=problems)
        entries = sum(b.counts.get("entries", 0) for b in books)
        if broken := [v for b in books for v in b.broken(*RULES)]:
            reason = "the books do not balance: " + ", ".join(f"{v.count} × {v.rule}" for v in broken)
            cases = tuple(case for v in broken for case in v.cases)
            return Verdict(name=name, outcome="fail", reason=reason, events=events, details=cases)
        if not entries:
            why = "no books were collected" if not books else "the ledger holds no entry"
            return Verdict(
                name=name, outcome="unknown", exercised=False, reason=f"not exercised: {why}", events=events
            )
        transactions = sum(b.counts.get("transactions", 0) for b in books)
        reason = f"{entries} entries of {transactions} transactions balance, and so does every stored balance"
        if unsaid := sum(b.counts.get("unsaid", 0) for b in books):
            reason += f"; {unsaid} of them nobody asked for, and they do not say that they are no customer's (`source`)"
        return Verdict(name=name, outcome="pass", reason=reason, events=events)
