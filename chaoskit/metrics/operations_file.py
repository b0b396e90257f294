"""Hands operations to DuckDB: one JSON line each, with just the columns that reconciliation asks for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import attrgetter
from pathlib import Path

from pydantic_core import to_json

from chaoskit.model.history import Operation

COLUMNS = {
    "key": "VARCHAR",
    "journey": "VARCHAR",
    "tap": "BOOLEAN",
    "other": "BOOLEAN",
    "sent": "BIGINT",
    "done": "BIGINT",
    "outcome": "VARCHAR",
    "error": "VARCHAR",
    "payload_hash": "VARCHAR",
    "amount": "BIGINT",
    "currency": "VARCHAR",
    "values": "JSON",
}
"""What reconciliation asks of an operation; a Parquet file with these columns does as well."""


def write_lines(
    operations: Iterable[Operation], target: Path, columns: Sequence[str] = tuple(COLUMNS)
) -> None:
    """Write one JSON object a line to `target`; columns that are left out read as NULL."""
    fetch = attrgetter(*columns)
    with target.open("wb") as file:
        for operation in operations:
            file.write(to_json(dict(zip(columns, fetch(operation), strict=True))) + b"\n")


def relation(path: Path) -> str:
    """The file as something SQL can select from: Parquet, or the lines written here. Its path holds no quotes."""
    if path.suffix == ".parquet":
        return f"read_parquet('{path}')"
    columns = ", ".join(f"'{name}': '{kind}'" for name, kind in COLUMNS.items())
    return f"read_json('{path}', format = 'newline_delimited', maximum_object_size = 67108864, columns = {{{columns}}})"
