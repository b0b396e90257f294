"""Amounts of books are whole minor units: one that is not would be rounded, and −100.4 and +100.3 would cancel out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

INTEGERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT")
_WHOLE = (*INTEGERS, "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "HUGEINT", "UHUGEINT")
_FLOATING = ("FLOAT", "DOUBLE")
_EXACT_MAX = {"FLOAT": 2**24, "DOUBLE": 2**53}
"""Beyond it a floating-point number stands for several whole ones."""


def odd_amount(
    base: duckdb.DuckDBPyConnection, path: Path, names: Iterable[str], kinds: Mapping[str, str]
) -> str | None:
    """What is wrong with the first amount in these columns of a Parquet file that is not whole; None if all are.

    `kinds`: the file's columns with DuckDB's types.
    """
    for name in names:
        kind = kinds.get(name, "BIGINT")
        if kind in _WHOLE or (kind.startswith("DECIMAL") and kind.endswith(",0)")):
            continue
        found = base.execute(
            f"SELECT {name}::VARCHAR FROM read_parquet('{path}') WHERE {_odd(name, kind)} LIMIT 1"
        ).fetchone()
        if found is not None:
            return (
                f"{path.name}: the {name} {found[0]} is no whole number of minor units ({kind}): "
                "let the query of the books say whole ones"
            )
    return None


def _odd(name: str, kind: str) -> str:
    if kind.startswith("DECIMAL"):
        return f"{name} <> trunc({name})"
    if kind in _FLOATING:
        return f"NOT ({name} = trunc({name}) AND abs({name}) <= {_EXACT_MAX[kind]})"
    return f"NOT regexp_full_match({name}::VARCHAR, '[+-]?[0-9]+(\\.0*)?')"
