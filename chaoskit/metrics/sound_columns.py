"""What columns of books must hold to be judged by them: amounts are whole minor units, and every entry has an id.

One that is not whole would be rounded, and −100.4 and +100.3 would cancel out. Entries without an id cannot be told
from each other, so that nobody could say that one of them was changed.
"""

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


def unnamed(base: duckdb.DuckDBPyConnection, path: Path, name: str) -> str | None:
    """What is wrong if rows of a Parquet file have nothing in the column `name`; None if all have something."""
    # Files say whether they have any: nothing is read of those that have none.
    if base.execute(f"SELECT 1 FROM read_parquet('{path}') WHERE {name} IS NULL LIMIT 1").fetchone() is None:
        return None
    return (
        f"{path.name}: there are rows without {name}, told from no others: let the query of the books say one"
    )


def _odd(name: str, kind: str) -> str:
    if kind.startswith("DECIMAL"):
        return f"{name} <> trunc({name})"
    if kind in _FLOATING:
        return f"NOT ({name} = trunc({name}) AND abs({name}) <= {_EXACT_MAX[kind]})"
    return f"NOT regexp_full_match({name}::VARCHAR, '[+-]?[0-9]+(\\.0*)?')"
