"""Two members that both accept writes: which operations are in the books of one of them alone."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from chaoskit.metrics.reconciliation import CASES_MAX
from chaoskit.model.history import BooksSnapshot
from chaoskit.model.measurement import Violation
from chaoskit.scratch import scratch

RULE = "second-writer"
_SOURCES = ("transactions", "keys", "entries")
"""Files that know keys, the plainest first."""


def second_writers(books: str, snapshots: Iterable[BooksSnapshot]) -> tuple[Violation, ...]:
    """() unless several members of these books accept writes. Else one violation: a case for each key that is not in
    the books of every one of them, or, where they still agree, one that names the members."""
    writers = sorted(
        (one for one in snapshots if one.books == books and one.writable and not one.in_recovery),
        key=lambda one: one.member,
    )
    if len(writers) < 2:
        return ()
    held = {one.member: _keys(one.folder) for one in writers}
    everywhere = set.intersection(*held.values())
    apart = sorted(set.union(*held.values()) - everywhere)
    if not apart:
        agreed = f"{' and '.join(held)} both accept writes; so far their books hold the same keys"
        return (Violation(rule=RULE, count=1, cases=(agreed,)),)
    cases = [
        f"key {key} is in the books of {', '.join(m for m in held if key in held[m])}, "
        f"and not of {', '.join(m for m in held if key not in held[m])}"
        for key in apart[:CASES_MAX]
    ]
    return (Violation(rule=RULE, count=len(apart), cases=tuple(cases)),)


def _keys(folder: Path) -> set[str]:
    """Every key in one member's snapshot; none of books that cannot be read, so that all of the other's stand apart."""
    import duckdb

    source = next((path for name in _SOURCES if (path := folder / f"{name}.parquet").is_file()), None)
    if source is None:
        return set()
    with scratch("writers") as place, duckdb.connect() as base:
        # Through a link, because DuckDB would take '[', '*' and '?' in a folder's name for a pattern.
        link = place / source.name
        link.symlink_to(source.resolve())
        try:
            rows = base.execute(
                "SELECT DISTINCT key::VARCHAR FROM read_parquet(?) WHERE key IS NOT NULL", [str(link)]
            )
            return {str(row[0]) for row in rows.fetchall()}
        except duckdb.Error:
            return set()
