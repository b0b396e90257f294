"""paper-keyed-in: what was written on paper during an outage is in the books once."""

from __future__ import annotations

from dataclasses import dataclass

from chaoskit.metrics.added_books import judge_added
from chaoskit.model.history import History
from chaoskit.model.measurement import Measurements
from chaoskit.model.verdict import Verdict
from chaoskit.registry import register


@register("checks", "paper-keyed-in")
@dataclass(frozen=True)
class PaperKeyedIn:
    """Was every paper slip keyed in, exactly once?

    Where people take payments on paper while a system is down, the slips of a pad are numbered. The serials of each pad
    must be contiguous, each slip must have exactly one transaction, by its key, and that one must have been keyed in,
    not posted online. Needs `paper.parquet` beside the books: pad, serial, key.

    fail: every serial that is missing or was used twice, and every slip with no, several or another kind of transaction
    is listed. unknown: there is no surviving ledger, or a transaction does not say where it came from (`source`). Not
    exercised: no slip was recorded.
    """

    def judge(self, history: History, measurements: Measurements) -> Verdict:
        """One verdict over all books."""
        found = judge_added(
            "paper-keyed-in",
            history,
            measurements,
            count="paper",
            rules=("paper-serials", "paper-postings"),
            green="each of {} paper slips was keyed in once, and no serial is missing",
            nothing="no payment was taken on paper",
        )
        silent = sum(b.counts.get("paper-sourceless", 0) for b in measurements.books.values())
        if found.outcome != "pass" or not silent:
            return found
        why = f"{silent} transactions of paper slips do not say whether they were keyed in or posted online"
        return found.model_copy(update={"outcome": "unknown", "reason": why})
