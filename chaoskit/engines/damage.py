"""Rows that an attacker has made unreadable, counted by reading the tables and not by what he says."""

from __future__ import annotations

from chaoskit.engines.grip import MARK
from chaoskit.engines.session import Connection, parameters, session
from chaoskit.model.estate import Address
from chaoskit.model.system import DatabaseRole

# Tables with text in them, outside PostgreSQL's own schemas, each with the condition that finds a marked row.
_TABLES = """
SELECT attrelid::regclass::text, string_agg(quote_ident(attname) || ' LIKE ' || quote_literal(%(mark)s || '%%'), ' OR ')
  FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid JOIN pg_namespace ON pg_namespace.oid = relnamespace
 WHERE relkind IN ('r', 'p') AND nspname NOT LIKE 'pg\\_%%' AND nspname <> 'information_schema'
   AND attnum > 0 AND NOT attisdropped AND atttypid IN ('text'::regtype, 'varchar'::regtype, 'bpchar'::regtype)
 GROUP BY attrelid ORDER BY 1
"""


async def marked_rows(address: Address, role: DatabaseRole, within_s: float = 5.0) -> dict[str, int]:
    """Table → rows that bear the mark, of one member, read past every proxy. Tables without any are left out.

    Raises EngineError.
    """

    async def look(connection: Connection) -> dict[str, int]:
        tables = await (await connection.execute(_TABLES.encode(), {"mark": MARK})).fetchall()
        found = {}
        for table, condition in tables:
            row = await (
                await connection.execute(f"SELECT count(*) FROM {table} WHERE {condition}".encode())
            ).fetchone()
            if row is not None and row[0]:
                found[table] = int(row[0])
        return found

    return await session(address, parameters(address, role, superuser=True), look, within_s)


def in_words(damage: dict[str, int]) -> str:
    """`40 rows of entries, 25 of accounts`."""
    parts = [f"{rows} of {table}" for table, rows in damage.items()]
    return f"{sum(damage.values())} rows ({', '.join(parts)})" if parts else "no row"
