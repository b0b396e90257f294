"""entries-unchanged: what was booked before the fault is still booked, row for row."""

from __future__ import annotations

from dataclasses import dataclass

from chaoskit.metrics.added_books import judge_added
from chaoskit.model.history import History
from chaoskit.model.measurement import Measurements
from chaoskit.model.verdict import Verdict
from chaoskit.registry import register


@register("checks", "entries-unchanged")
@dataclass(frozen=True)
class EntriesUnchanged:
    """Is every entry from before the fault still there, unchanged?

    An attack, a restore or an upgrade may change history and leave every sum right. Every entry that was there before
    must be there after, with the same transaction, key, account, amount and currency, and once. Needs `before.parquet`
    beside the books: the entries as they were before the fault, with the columns of entries.

    fail: every entry that is gone, was changed or is there twice is listed. unknown: there is no surviving ledger. Not
    exercised: no entries from before the fault were kept.
    """

    def judge(self, history: History, measurements: Measurements) -> Verdict:
        """One verdict over all books."""
        return judge_added(
            "entries-unchanged",
            history,
            measurements,
            count="before",
            rules=("entries-before",),
            green="all {} entries from before the fault are there, unchanged",
            nothing="no entries from before the fault were kept",
        )
