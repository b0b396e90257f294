"""Operations as Parquet: made from the journals after a run, so that an auditor can query them without chaoskit."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import duckdb
from pydantic_core import to_json

from chaoskit.conductor.journal import JournalReader
from chaoskit.model.history import Operation
from chaoskit.scratch import scratch

COLUMNS = {
    "key": "VARCHAR",
    "journey": "VARCHAR",
    "source": "VARCHAR",
    "attempt": "INTEGER",
    "tap": "BOOLEAN",
    "other": "BOOLEAN",
    "intended": "BIGINT",
    "woke": "BIGINT",
    "sent": "BIGINT",
    "done": "BIGINT",
    "outcome": "VARCHAR",
    "status": "INTEGER",
    "error": "VARCHAR",
    "payload_hash": "VARCHAR",
    "amount": "BIGINT",
    "currency": "VARCHAR",
    "values": "JSON",
    "read": "JSON",
}
"""Columns of ops.parquet; times are CLOCK_MONOTONIC ns, amounts minor units."""


def quoted(path: Path) -> str:
    """The path as a DuckDB string literal."""
    return "'" + str(path).replace("'", "''") + "'"


def write_parquet(operations: Iterable[Operation], target: Path) -> None:
    """Write operations as one Parquet file, atomically; its footer comes last, so a killed writer leaves nothing."""
    spec = ", ".join(f"'{name}': '{kind}'" for name, kind in COLUMNS.items())
    with scratch("operations") as folder:
        lines = folder / "operations.jsonl"
        with lines.open("wb") as file:
            for operation in operations:
                file.write(to_json(operation, by_alias=False) + b"\n")
        partial = target.with_name(f".{target.name}.partial")
        with duckdb.connect() as base:
            base.execute("SET enable_progress_bar = false")
            base.execute("SET threads = 2")
            base.execute(
                f"COPY (SELECT * FROM read_json({quoted(lines)}, format = 'newline_delimited', "
                f"maximum_object_size = 67108864, columns = {{{spec}}}) ORDER BY intended, key, attempt) "
                f"TO {quoted(partial)} (FORMAT parquet)"
            )
        partial.replace(target)


def write_operations_parquet(folder: Path) -> Path:
    """Make `ops.parquet` of a run folder from its journals; returns its path. Call it before the run is sealed."""
    operations = [
        operation
        for journal in sorted((folder / "ops").glob("*.jsonl"))
        for operation in JournalReader(journal).operations()
    ]
    target = folder / "ops.parquet"
    write_parquet(operations, target)
    return target
