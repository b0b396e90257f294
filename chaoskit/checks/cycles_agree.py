"""cycles-agree: the systems of a bank tell the same of each cycle."""

from __future__ import annotations

from dataclasses import dataclass

from chaoskit.metrics.added_books import judge_added
from chaoskit.model.history import History
from chaoskit.model.measurement import Measurements
from chaoskit.model.verdict import Verdict
from chaoskit.registry import register


@register("checks", "cycles-agree")
@dataclass(frozen=True)
class CyclesAgree:
    """Do core, payments, ATM and clearing agree on what each cycle turned over?

    Per cycle and currency the totals of all systems must be the same, and each system that tells of a currency in any
    cycle must tell of it in every one. Needs `cycles.parquet` beside the books: cycle, system, currency, total.

    fail: every cycle in which they differ, or in which one is missing, is listed with what each says. unknown: there is
    no surviving ledger. Not exercised: there is no cycle of which two systems tell.
    """

    def judge(self, history: History, measurements: Measurements) -> Verdict:
        """One verdict over all books."""
        return judge_added(
            "cycles-agree",
            history,
            measurements,
            count="cycles",
            rules=("cycle-totals",),
            green="all systems agree on the totals of {} cycles",
            nothing="there is no cycle of which two systems tell",
        )
