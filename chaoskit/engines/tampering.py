"""Changes to a database's rows that its own rules do not see, as somebody makes them who may do anything there."""

from __future__ import annotations

import re
from collections.abc import Sequence

from psycopg import sql

from chaoskit.engines.session import Connection, EngineError, parameters, session
from chaoskit.model.estate import Address
from chaoskit.model.system import DatabaseRole, System

_WITHIN_S = 8.0
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)?")
# Triggers and foreign keys do not act for whoever sets this; it takes a superuser. A lock that is not to be had soon is
# given up: the drill is about the change, not about waiting customers.
_UNRULED = "SET LOCAL session_replication_role = replica; SET LOCAL lock_timeout = '3s'"


def identifier(name: str) -> sql.Identifier:
    """`table` or `schema.table`, quoted. Raises ValueError for anything else."""
    if not _NAME.fullmatch(name):
        raise ValueError(
            f"{name!r} is no name of a table or a column; write it like ledger.entries or balance"
        )
    return sql.Identifier(*name.split("."))


def role_of_primary(target: str, system: System) -> DatabaseRole:
    """The role whose primary the target is. Raises ValueError."""
    for role in system.roles.values():
        if role.primary == target:
            return role
    known = ", ".join(role.primary for role in system.roles.values()) or "none"
    raise ValueError(f"{target} is the primary of no database role; known: {known}")


async def add(
    address: Address, role: DatabaseRole, table: str, columns: Sequence[str], by: int, rows: int
) -> None:
    """Add `by` to the columns of the first `rows` rows. Raises EngineError, also where there are fewer."""
    changes = sql.SQL(", ").join(
        sql.SQL("{0} = {0} + {1}").format(identifier(column), sql.Literal(by)) for column in columns
    )
    change = sql.SQL(
        "UPDATE {table} SET {changes} WHERE ctid = ANY(ARRAY(SELECT ctid FROM {table} ORDER BY ctid LIMIT {rows}))"
    ).format(table=identifier(table), changes=changes, rows=sql.Literal(rows))

    async def work(connection: Connection) -> None:
        async with connection.transaction():
            await connection.execute(_UNRULED)
            # A row that a customer's payment changes meanwhile has another ctid when its turn comes, and is not found.
            await connection.execute(
                sql.SQL("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE").format(identifier(table))
            )
            changed = (await connection.execute(change)).rowcount
            if changed != rows:
                raise EngineError(f"{table} has {changed} rows, not {rows}")

    await session(address, parameters(address, role, superuser=True), work, _WITHIN_S)


async def truncate(address: Address, role: DatabaseRole, table: str) -> None:
    """Take every row out of a table. Raises EngineError."""

    async def work(connection: Connection) -> None:
        async with connection.transaction():
            await connection.execute(_UNRULED)
            await connection.execute(sql.SQL("TRUNCATE {}").format(identifier(table)))

    await session(address, parameters(address, role, superuser=True), work, _WITHIN_S)


async def total(address: Address, role: DatabaseRole, table: str, column: str) -> int:
    """The sum of a column of whole numbers. Raises EngineError."""
    query = sql.SQL("SELECT coalesce(sum({}), 0)::numeric::text FROM {}").format(
        identifier(column), identifier(table)
    )
    return int(await _one(address, role, query))


async def count(address: Address, role: DatabaseRole, table: str) -> int:
    """How many rows a table has. Raises EngineError."""
    return int(await _one(address, role, sql.SQL("SELECT count(*)::text FROM {}").format(identifier(table))))


async def _one(address: Address, role: DatabaseRole, query: sql.Composed) -> str:
    async def look(connection: Connection) -> str:
        row = await (await connection.execute(query)).fetchone()
        return str(row[0]) if row else "0"

    return await session(address, parameters(address, role, superuser=True), look, _WITHIN_S)
