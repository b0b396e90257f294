"""A database's schema: run a migration in one transaction, and tell by a digest whether the catalogue has changed."""

from __future__ import annotations

from typing import Any, LiteralString, cast

from chaoskit.engines.session import Connection, parameters, session
from chaoskit.model.estate import Address
from chaoskit.model.system import DatabaseRole

_CATALOGUE: LiteralString = """SELECT md5(string_agg(what, E'\\n' ORDER BY what)) FROM (
    SELECT concat_ws(' ', 'column', attrelid::regclass, attname, format_type(atttypid, atttypmod), attnotnull) AS what
      FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
     WHERE attnum > 0 AND NOT attisdropped AND relkind IN ('r', 'p', 'v', 'm', 'i', 'c', 'S')
       AND relnamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
       AND relnamespace::regnamespace::text !~ '^pg_'
    UNION ALL SELECT concat_ws(' ', 'function', pg_proc.oid::regprocedure, md5(prosrc)) FROM pg_proc
     WHERE pronamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
    UNION ALL SELECT concat_ws(' ', 'constraint', conrelid::regclass, conname, pg_get_constraintdef(oid))
      FROM pg_constraint WHERE connamespace <> 'pg_catalog'::regnamespace
    UNION ALL SELECT concat_ws(' ', 'trigger', tgrelid::regclass, tgname, tgenabled) FROM pg_trigger
) AS found"""


async def catalogue(address: Address, role: DatabaseRole, within_s: float) -> str:
    """A digest of tables, columns, functions, constraints and triggers. Raises EngineError."""

    async def ask(connection: Connection) -> str:
        row = await (await connection.execute(_CATALOGUE)).fetchone()
        return str(row[0]) if row else ""

    return await session(address, parameters(address, role, superuser=True), ask, within_s)


async def run_script(address: Address, role: DatabaseRole, script: str, within_s: float) -> None:
    """Run statements as the role's `user`, all or none. Raises EngineError; after a deadline either may be so."""

    async def work(connection: Connection) -> None:
        # As one simple query, which is one transaction: a script may have many statements.
        await connection.execute(cast(Any, script.encode()))

    await session(address, parameters(address, role, superuser=False), work, within_s)
