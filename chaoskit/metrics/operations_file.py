"""Hands operations to DuckDB: one JSON line each, with just the columns that reconciliation asks for."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from operator import attrgetter
from pathlib import Path

import msgspec

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


_Row = msgspec.defstruct("_Row", list(COLUMNS), gc=False)
_FETCH = attrgetter(*COLUMNS)
_ENCODER = msgspec.json.Encoder()
_AT_ONCE = 10_000


def write_lines(operations: Iterable[Operation], target: Path) -> None:
    """Write one JSON object a line to `target`."""
    rows = (_Row(*_FETCH(operation)) for operation in operations)
    with target.open("wb") as file:
        while some := list(islice(rows, _AT_ONCE)):
            file.write(_ENCODER.encode_lines(some))


def relation(path: Path) -> str:
    """The file as something SQL can select from: Parquet, or the lines written here. Its path holds no quotes."""
    if path.suffix == ".parquet":
        return f"read_parquet('{path}')"
    columns = ", ".join(f"'{name}': '{kind}'" for name, kind in COLUMNS.items())
    return f"read_json('{path}', format = 'newline_delimited', maximum_object_size = 67108864, columns = {{{columns}}})"
