"""entries-unchanged: what was booked before the fault is still booked, row for row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from chaoskit.metrics.added_books import judge_added
from chaoskit.model.history import Event, History
from chaoskit.model.measurement import Measurements
from chaoskit.model.verdict import Verdict
from chaoskit.registry import register


@register("checks", "entries-unchanged")
@dataclass(frozen=True)
class EntriesUnchanged:
    """Is every entry from before the fault still there, unchanged?

    An attack, a restore or an upgrade may change history and leave every sum right. Every entry that was there before
    must be there after, with the same transaction, key, account, amount and currency, and once. A run whose drill
    names this check keeps the entries of each ledger once (`before.parquet`), in the steady state before the first
    fault, and waits for the steady state anew. What was posted after that is not its concern. An old payment that is
    sent again after a restore has new entries, and the old ones are gone.

    fail: every entry that is gone, was changed or is there twice is listed. unknown: there is no surviving ledger, or
    the entries from before the fault could not be kept. Not exercised: there were none.
    """

    def judge(self, history: History, measurements: Measurements) -> Verdict:
        """One verdict over all books."""
        taken = {str(e.data.get("books")): e for e in history.events if e.kind == "collect.before"}
        found = self._compared(history, measurements)
        found = found.model_copy(update={"events": (*(e.n for e in taken.values()), *found.events)})
        why = next(_not_taken(history, taken), None)
        if found.outcome == "fail" or why is None:
            return found
        return found.model_copy(
            update={"outcome": "unknown", "exercised": True, "reason": why, "details": ()}
        )

    def _compared(self, history: History, measurements: Measurements) -> Verdict:
        return judge_added(
            "entries-unchanged",
            history,
            measurements,
            count="before",
            rules=("entries-before",),
            green="all {} entries from before the fault are there, unchanged",
            nothing="there was no entry before the fault",
        )


def _not_taken(history: History, taken: Mapping[str, Event]) -> Iterator[str]:
    """Why there is nothing to compare with, for each source of books that may have a ledger."""
    for name, books in history.plan.system.books.items():
        if books.class_ is None and books.entries is None:
            continue
        which = f"the entries of {name} from before the fault"
        if name not in taken:
            yield f"{which} were not taken"
        elif "why" in taken[name].data:
            yield f"{which} could not be taken: {taken[name].data['why']}"
