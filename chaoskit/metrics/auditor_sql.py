"""The reconciliation of a recorded run as one SQL script, which an auditor reads and runs with DuckDB alone.

What is printed is what `reconciliation` executes, statement by statement, with the run folder's own paths.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import duckdb

from chaoskit.metrics.books import books_of, parties_of
from chaoskit.metrics.measuring import measure
from chaoskit.metrics.operations_file import own_of
from chaoskit.metrics.reconciliation import (
    BEFORE,
    RULES,
    WITHOUT_LEDGER,
    BooksUnreadable,
    before_of,
    prepared,
    settings,
    sql,
)
from chaoskit.metrics.surviving import survivor_of, unsure_members
from chaoskit.metrics.timeline import read_timeline
from chaoskit.model.history import History
from chaoskit.scratch import scratch

NEVER = 2**63 - 1
_HEAD = """-- The books {books} of run {run}, reconciled as chaoskit does. In the run folder, with DuckDB of your own:
--
--     duckdb < this-file.sql
--
-- Nothing is written: tables live in memory. Every query below shows the rows that break one rule; none is good.
-- Reads (stale-read, wrong-read) are prepared outside SQL and are not part of it.
"""


def auditor_sql(history: History, folder: Path) -> str:
    """The script for all books of a run; raises BooksUnreadable, also when nobody knows which member survived.

    It begins at the journals, so that reading them is checked as well.
    """
    if history.problems:
        raise BooksUnreadable(
            f"{history.problems[0]}; what cannot be read whole cannot be reconciled by SQL either"
        )
    measured = measure(history)
    timeline = read_timeline(history)
    started = measured.clocks.started
    answered = [one.done for one in timeline.responses if one.done is not None]
    eras = {"before": NEVER if started is None else started.lo, "after": max(answered, default=NEVER)}
    parts = []
    for books, journeys in books_of(history).items():
        survivor, _, problems = survivor_of(books, history.books, unsure_members(books, history.events))
        if survivor is None:
            raise BooksUnreadable(f"{books}: {problems[0]}")
        place = survivor.folder.resolve().relative_to(folder.resolve())
        lines = _recorded(folder, place, journeys, parties_of(history))
        parts += [_HEAD.format(books=books, run=history.run), *lines, *_queries(lines, eras)]
    return "\n".join(parts)


class _Recorder:
    """Executes, and keeps what changes the database."""

    def __init__(self, base: duckdb.DuckDBPyConnection) -> None:
        self._base = base
        self.lines: list[str] = []

    def execute(self, query: str, values: Sequence[Any] | Mapping[str, Any] | None = None) -> Any:
        if not query.lstrip().startswith(("SELECT", "DESCRIBE")):
            self.lines.append(_filled(query, values).rstrip().rstrip(";") + ";\n")
        return self._base.execute(query) if values is None else self._base.execute(query, values)


def _recorded(
    folder: Path, books: Path, journeys: Sequence[str], parties: Mapping[str, tuple[str, str]]
) -> list[str]:
    with scratch("script") as made:
        # Through links, because a folder's name may hold what SQL or DuckDB's patterns would take for their own.
        (made / "ops").symlink_to((folder / "ops").resolve())
        (made / "books").symlink_to((folder / books).resolve())
        (made / BEFORE).symlink_to(before_of(folder / books))
        with duckdb.connect(config=settings(str(made))) as base:
            base.execute("SET enable_progress_bar = false")
            recorder = _Recorder(base)
            recorder.execute(sql("journals").replace("'ops/", f"'{made}/ops/"))
            prepared(
                cast(duckdb.DuckDBPyConnection, recorder),
                made / "books",
                own_of(journeys),
                "recorded",
                parties,
            )
        own = {"books": books.as_posix(), BEFORE: (books.parent / BEFORE).as_posix(), "": ""}
        lines = recorder.lines
        for name, path in own.items():
            lines = [line.replace(f"{made}/{name}", _quoted(path)) for line in lines]
        return lines


def _queries(lines: Sequence[str], eras: Mapping[str, int]) -> Iterator[str]:
    without = any(line.startswith("CREATE OR REPLACE TABLE books_are AS SELECT False") for line in lines)
    for rule in WITHOUT_LEDGER if without else RULES:
        yield f"{sql(f'rules/{rule}').rstrip()};\n"
    for name in ("lost", "holes", "in_doubt"):
        yield f"{_filled(sql(name), eras).rstrip()};\n"


def _filled(query: str, values: Sequence[Any] | Mapping[str, Any] | None) -> str:
    if isinstance(values, Mapping):
        for name, value in values.items():
            query = query.replace(f"${name}", _literal(value))
    elif values is not None:
        for value in values:
            query = query.replace("?", _literal(value), 1)
    return query


def _literal(value: Any) -> str:
    return str(value) if isinstance(value, int) else f"'{_quoted(str(value))}'"


def _quoted(text: str) -> str:
    return text.replace("'", "''")
