"""Takes the books out of a PostgreSQL member as of one instant: COPY → CSV → DuckDB → Parquet, with a digest.

  one REPEATABLE READ READ ONLY transaction
query ──COPY──► rows in canonical order ──► .csv ──DuckDB, typed──► <name>.parquet
                          └──────► SHA-256 over every query's name, columns and rows
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from psycopg import Column

from chaoskit.engines.session import Connection, EngineError, connect_patiently, session
from chaoskit.model.estate import Address

if TYPE_CHECKING:  # a plan takes no books; a conductor has it before anything starts (`conductor.own_books`)
    import duckdb

_DUCKDB_TYPES = {
    "bool": "BOOLEAN",
    "int2": "SMALLINT",
    "int4": "INTEGER",
    "int8": "BIGINT",
    "oid": "BIGINT",
    "float4": "FLOAT",
    "float8": "DOUBLE",
    "date": "DATE",
    "time": "TIME",
    "timestamp": "TIMESTAMP",
    "timestamptz": "TIMESTAMP WITH TIME ZONE",
}
_NULL = "\\N"
_END = re.compile(
    r";(?:\s|--[^\n]*|/\*.*?\*/)*\Z", re.DOTALL
)  # a last semicolon, and what is only said after it


@dataclass(frozen=True)
class Snapshot:
    """What was taken: `digest` is SHA-256 over the canonical content, `rows` counts them per query."""

    digest: str
    rows: Mapping[str, int]
    in_recovery: bool
    lsn: str


async def snapshot(
    address: Address, keys: dict[str, str], queries: Mapping[str, str], folder: Path, within_s: float
) -> Snapshot:
    """Write `<folder>/<name>.parquet` for each query. Raises EngineError; then the folder holds no half files.

    Rows are put in one order, whatever the query says, so that equal books have equal digests on every member.
    """
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    import duckdb

    digest = hashlib.sha256()
    rows: dict[str, int] = {}
    tables: dict[str, list[tuple[str, str]]] = {}

    async def take(connection: Connection) -> tuple[bool, str]:
        await connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        position = await (await connection.execute(_POSITION)).fetchone()
        for name, query in sorted(queries.items()):
            body = _END.sub("", query).encode()
            tables[name] = await _columns(connection, name, body)
            digest.update(repr((name, tables[name])).encode())
            rows[name] = await _copy(connection, body, _csv(folder, name), digest)
        await connection.execute("COMMIT")
        if position is None:
            raise EngineError(f"{address}: did not say where it is")
        return position[0], position[1]

    try:
        in_recovery, lsn = await session(address, keys, take, within_s, connect_patiently)
        for name, columns in tables.items():
            await asyncio.to_thread(_to_parquet, _csv(folder, name), columns, folder / f"{name}.parquet")
    except duckdb.Error as error:
        raise EngineError(f"{address}: the books came out in a form that cannot be kept: {error}") from error
    finally:
        for name in queries:
            _csv(folder, name).unlink(missing_ok=True)
    return Snapshot(digest.hexdigest(), rows, in_recovery, lsn)


_POSITION = """
SELECT pg_is_in_recovery(),
       CASE WHEN pg_is_in_recovery() THEN coalesce(pg_last_wal_replay_lsn(), '0/0')
            ELSE pg_current_wal_lsn() END::text
"""


def _csv(folder: Path, name: str) -> Path:
    return folder / f".{name}.csv"


async def _columns(connection: Connection, name: str, body: bytes) -> list[tuple[str, str]]:
    """(column, DuckDB type) of a query, as the server itself describes it."""
    cursor = await connection.execute(b"SELECT * FROM (\n" + body + b"\n) AS books LIMIT 0")
    described: Sequence[Column] = cursor.description or ()
    names = [column.name for column in described]
    if not names or len(set(names)) != len(names):
        raise EngineError(
            f"query {name!r} must name each of its columns once; it has {', '.join(names) or 'none'}"
        )
    return [(column.name, _duckdb_type(column)) for column in described]


def _duckdb_type(column: Column) -> str:
    if column.type_display.startswith("numeric"):
        precision, scale = column.precision, column.scale
        return f"DECIMAL({precision},{scale or 0})" if precision and precision <= 38 else "numeric"
    return _DUCKDB_TYPES.get(column.type_display.partition("(")[0], "VARCHAR")


async def _copy(connection: Connection, body: bytes, path: Path, digest: hashlib._Hash) -> int:
    # Text in byte order is an order for any type, and the same one on members with other collations.
    ordered = b"SELECT * FROM (\n" + body + b'\n) AS books ORDER BY books::text COLLATE "C"'
    command = b"COPY (" + ordered + b") TO STDOUT (FORMAT csv, NULL '" + _NULL.encode() + b"', FORCE_QUOTE *)"
    cursor = connection.cursor()
    with path.open("wb") as file:
        async with cursor.copy(command) as copy:
            while block := await copy.read():
                digest.update(block)
                file.write(block)
    return cursor.rowcount


def _to_parquet(source: Path, columns: list[tuple[str, str]], target: Path) -> None:
    import duckdb

    types = {name: "VARCHAR" if kind == "numeric" else kind for name, kind in columns}
    partial = target.with_name(f".{target.name}.partial")
    with duckdb.connect(":memory:") as engine:
        engine.execute("SET enable_progress_bar = false")
        table = engine.read_csv(
            str(source),
            header=False,
            columns=types,
            na_values=_NULL,
            allow_quoted_nulls=False,
            quotechar='"',
            escapechar='"',
            delimiter=",",
            parallel=False,
            auto_detect=False,
        )
        table.create("books")
        for name, kind in columns:
            if kind == "numeric":
                _settle_numeric(engine, name)
        engine.table("books").write_parquet(str(partial))
    partial.replace(target)


def _settle_numeric(engine: duckdb.DuckDBPyConnection, name: str) -> None:
    """A numeric without a precision, like a sum: as many decimals as its longest value has."""
    quoted = '"' + name.replace('"', '""') + '"'
    longest = engine.execute(
        f"SELECT coalesce(max(length(split_part({quoted}, '.', 2))), 0) FROM books"
    ).fetchone()
    scale = longest[0] if longest else 0
    engine.execute(f"ALTER TABLE books ALTER {quoted} TYPE DECIMAL(38, {min(int(scale), 37)})")
