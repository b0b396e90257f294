"""How much was judged: rows of the books, keys by what customers were told, used keys that were tried again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chaoskit.metrics.reconciliation import COLUMNS, scalar

if TYPE_CHECKING:
    import duckdb


_CYCLES = """SELECT count(*) FROM (SELECT 1 FROM cycles GROUP BY cycle, currency HAVING count(DISTINCT system) > 1)"""


_SOURCELESS = "SELECT count(*) FROM transactions WHERE source IS NULL AND key IN (SELECT key FROM paper)"


_REACHED = "sent IS NOT NULL AND NOT starts_with(coalesce(error, ''), 'connect:')"
"""A sending that may have left us: what found no connection was taken, or refused, by nobody."""
_RESENT = f"""SELECT count(*) FROM (SELECT key FROM resent WHERE {_REACHED} AND NOT coalesce(other, false)
                                     GROUP BY key HAVING count(*) > 1)"""
_UNSAID = """WITH other AS MATERIALIZED (  -- all that are not a 'client's are among the odd ones
    SELECT key, coalesce(trim(source), '') AS source FROM odd_postings
     WHERE coalesce(trim(source), '') <> 'client' AND coalesce(key, '') <> ''
), customers AS (
    SELECT DISTINCT source FROM other
      SEMI JOIN (SELECT key FROM all_operations
                  WHERE sent IS NOT NULL AND key IN (SELECT key FROM other)) AS a USING (key)
), silent AS MATERIALIZED (
    SELECT key FROM other WHERE source = '' OR source IN (FROM customers)
)
SELECT count(*) FROM silent
  ANTI JOIN (SELECT key FROM all_operations WHERE sent IS NOT NULL AND key IN (FROM silent)) AS a USING (key)"""


def counts(base: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """Rows that were judged. resent: keys of which a retry or a double tap was sent and reached somebody; unknown: keys
    in doubt; misused: used keys that were sent with another payload, and answered. Of what a snapshot need not have
    there is a count only if there is something: paper slips, cycles that two systems or more tell of, entries from
    before the fault, and transactions of slips that do not say whether they were keyed in; unsaid: transactions whose
    key nobody sent, and which do not say where they came from, or say the same as some that customers sent."""
    tables = {name: scalar(base, f"SELECT count(*) FROM {name}") for name in COLUMNS}
    marks = {
        "keys": "true",
        "acknowledged": "outcome = 'ok'",
        "accepted": "outcome = 'accepted'",
        "unknown": "outcome = 'unknown'",
        "refused": "outcome = 'fail'",
    }
    asked = ", ".join(f"count(*) FILTER (WHERE {mark})" for mark in marks.values())
    row: Any = base.execute(f"SELECT {asked} FROM keys").fetchone()
    # What was never sent was not refused by anybody.
    misused = scalar(
        base,
        f"SELECT count(*) FROM operations WHERE other AND outcome IN ('ok', 'accepted', 'fail') AND {_REACHED}",
    )
    added = {
        "paper": scalar(base, "SELECT count(*) FROM paper"),
        "cycles": scalar(base, _CYCLES),
        "before": scalar(base, "SELECT count(*) FROM before"),
        "paper-sourceless": scalar(base, _SOURCELESS),
        "unsaid": scalar(base, _UNSAID),
    }
    tables |= {name: count for name, count in added.items() if count}
    asked_again = {"resent": scalar(base, _RESENT), "misused": misused}
    return tables | dict(zip(marks, map(int, row), strict=True)) | asked_again
