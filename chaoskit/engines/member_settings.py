"""Reads and changes what one member of a database role keeps outside the database: settings and host rules.

    postgresql.auto.conf   ALTER SYSTEM, reload ──► what a new session is told
    pg_hba.conf            COPY … TO,    reload ──► who may log in, from where, and how

Both work on a standby too: they are files of the one server, and never replicated. That is why members drift apart.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from psycopg import sql

from chaoskit.engines.session import Connection, EngineError, QueryRefused, parameters, session
from chaoskit.model.estate import Estate
from chaoskit.model.system import DatabaseRole

T = TypeVar("T")
WITHIN_S = 5.0
_LOOK_S = 0.02
_HEEDED_S = 3.0
_HINDRANCES = {
    "statement_timeout": "0",
    "lock_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "default_transaction_read_only": "off",
}
"""What may keep an administrator from mending it, and what he has in his own session instead."""
_IF_PUSHED = {"idle_session_timeout": "0", "local_preload_libraries": ""}
"""The same where it is the setting itself; a server that does not have it would refuse the log-in."""
_LISTS = (
    "local_preload_libraries",
    "search_path",
    "session_preload_libraries",
    "shared_preload_libraries",
    "temp_tablespaces",
    "unix_socket_directories",
)
"""Settings that are lists of quoted names (pg_dump, variable_is_guc_list_quote): one literal would be one name."""
_WORD = re.compile(r'\s*"(?:[^"]|"")*"\s*|[^,]+')


class CannotSet(EngineError):
    """The member does not heed the setting; the message says where its value comes from."""


async def as_superuser(
    service: str, role: DatabaseRole, estate: Estate, work: Callable[[Connection], Awaitable[T]]
) -> T:
    """Do the work in a session of its own, directly. Raises EngineError."""
    address = estate.direct(service)
    return await session(address, parameters(address, role, superuser=True), work, WITHIN_S)


async def unhindered(
    service: str, role: DatabaseRole, estate: Estate, name: str, work: Callable[[Connection], Awaitable[T]]
) -> T:
    """`as_superuser`, in a session that no bad value of the setting `name` can end or hold up. Raises EngineError."""
    address = estate.direct(service)
    keys = parameters(address, role, superuser=True)
    own = {**_HINDRANCES, **({name: _IF_PUSHED[name]} if name in _IF_PUSHED else {})}
    keys["options"] += "".join(f" -c {one}={value}" for one, value in own.items())
    return await session(address, keys, work, WITHIN_S)


async def as_application(service: str, role: DatabaseRole, estate: Estate, query: str) -> Any:
    """The first value of a query in a new session of the application's role. Raises EngineError."""
    address = estate.direct(service)

    async def work(connection: Connection) -> Any:
        return await _value(connection, query)

    return await session(address, parameters(address, role, superuser=False), work, WITHIN_S)


async def refusal(service: str, role: DatabaseRole, estate: Estate) -> str | None:
    """Why the member lets the application not in; None if it does. Raises EngineError when it does not answer."""
    try:
        await as_application(service, role, estate, "SELECT 1")
    except QueryRefused as refused:
        return str(refused)
    return None


async def kept(service: str, role: DatabaseRole, estate: Estate, name: str) -> str | None:
    """What postgresql.auto.conf says of a setting, None if nothing: what `restore` takes. Raises EngineError."""

    async def work(connection: Connection) -> str | None:
        query = """SELECT setting FROM pg_file_settings
                   WHERE lower(name) = lower(%s) AND sourcefile LIKE '%%postgresql.auto.conf'
                   ORDER BY seqno DESC LIMIT 1"""
        row = await (await connection.execute(query, (name,))).fetchone()
        return None if row is None else str(row[0])

    return await unhindered(service, role, estate, name, work)


async def change(service: str, role: DatabaseRole, estate: Estate, name: str, value: str | None) -> None:
    """`keep`, and return when a new session is told the value. Raises EngineError."""
    await keep(service, role, estate, name, value)
    if value is not None:
        await _until_told(service, role, estate, name, value)


async def keep(service: str, role: DatabaseRole, estate: Estate, name: str, value: str | None) -> None:
    """Set, or with None forget, a setting in postgresql.auto.conf and have it heeded; harmless to repeat.

    Raises CannotSet where something that outranks the file (the command line) keeps another value, else EngineError.
    """

    await _write(service, role, estate, name, value)

    async def source(connection: Connection) -> Any:
        return await _value(connection, "SELECT source FROM pg_settings WHERE name = %s", (name,))

    if value is not None and await as_superuser(service, role, estate, source) == "command line":
        raise CannotSet(f"{name} of {service} comes from its command line, which outranks its files")


async def restore(service: str, role: DatabaseRole, estate: Estate, name: str, value: str | None) -> None:
    """Set or forget it, whatever the value of now does to sessions; returns when the server has read its files anew.

    Raises EngineError, also when it has not done so in time.
    """

    async def loaded(connection: Connection) -> Any:
        return await _value(connection, "SELECT pg_conf_load_time()")

    before = await unhindered(service, role, estate, name, loaded)
    await _write(service, role, estate, name, value)
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _HEEDED_S
    while await unhindered(service, role, estate, name, loaded) == before:
        if loop.time() > deadline:
            raise EngineError(f"{service} has not read its files anew within {_HEEDED_S:g} s")
        await asyncio.sleep(_LOOK_S)  # a reload is a signal, heeded without an event for those outside


def parts(name: str, value: str) -> tuple[str, ...]:
    """The words of a setting as `ALTER SYSTEM` wants them: of a list of names each, unquoted, else the value itself."""
    if name not in _LISTS:
        return (value,)
    found = [one.group().strip() for one in _WORD.finditer(value) if one.group().strip()]
    return tuple(one[1:-1].replace('""', '"') if one[0] == '"' else one for one in found) or ("",)


async def _write(service: str, role: DatabaseRole, estate: Estate, name: str, value: str | None) -> None:
    what = sql.SQL("ALTER SYSTEM RESET {}").format(sql.Identifier(name))
    if value is not None:
        words = sql.SQL(", ").join(map(sql.Literal, parts(name, value)))
        what = sql.SQL("ALTER SYSTEM SET {} = {}").format(sql.Identifier(name), words)

    async def work(connection: Connection) -> None:
        await connection.execute(what)
        await connection.execute("SELECT pg_reload_conf()")

    await unhindered(service, role, estate, name, work)


async def _until_told(service: str, role: DatabaseRole, estate: Estate, name: str, value: str) -> None:
    """A reload is a signal: wait until a new session is told the value."""

    async def work(connection: Connection) -> str:
        return str(await _value(connection, "SELECT current_setting(%s)", (name,)))

    loop = asyncio.get_running_loop()
    deadline = loop.time() + _HEEDED_S
    while (told := await as_superuser(service, role, estate, work)) != value:
        if loop.time() > deadline:
            raise CannotSet(f"{service} says {name} = {told!r} although {value!r} was set")
        await asyncio.sleep(_LOOK_S)


async def host_rules(service: str, role: DatabaseRole, estate: Estate) -> str:
    """The text of pg_hba.conf. Raises EngineError."""

    async def work(connection: Connection) -> str:
        return str(await _value(connection, "SELECT pg_read_file(current_setting('hba_file'))"))

    return await as_superuser(service, role, estate, work)


async def write_host_rules(service: str, role: DatabaseRole, estate: Estate, text: str) -> None:
    """Replace pg_hba.conf and have it heeded; harmless to repeat. Raises EngineError, and then nothing was reloaded."""

    async def work(connection: Connection) -> None:
        path = await _value(connection, "SELECT current_setting('hba_file')")
        # As CSV whose special characters no such file has: every line goes out as it is.
        copy = sql.SQL(
            "COPY (SELECT line FROM string_to_table({}, chr(10)) WITH ORDINALITY AS t(line, n) ORDER BY n) "
            "TO {} (FORMAT csv, DELIMITER E'\\x01', QUOTE E'\\x02', NULL 'no line of any file')"
        ).format(sql.Literal(text.removesuffix("\n")), sql.Literal(path))
        await connection.execute(copy)
        wrong = await _value(connection, "SELECT string_agg(error, '; ') FROM pg_hba_file_rules")
        if wrong is not None:
            raise EngineError(f"{service} would not heed these host rules: {wrong}")
        await connection.execute("SELECT pg_reload_conf()")

    await as_superuser(service, role, estate, work)


async def rules_that_refuse(service: str, role: DatabaseRole, estate: Estate) -> tuple[int, ...]:
    """Numbers of the lines of pg_hba.conf that turn the application away by name. Raises EngineError."""

    async def work(connection: Connection) -> tuple[int, ...]:
        query = """SELECT line_number FROM pg_hba_file_rules WHERE auth_method = 'reject'
                   AND user_name && ARRAY['all', %s] AND database && ARRAY['all', %s] ORDER BY 1"""
        rows = await (await connection.execute(query, (role.user, role.database))).fetchall()
        return tuple(int(row[0]) for row in rows)

    return await as_superuser(service, role, estate, work)


async def _value(connection: Connection, query: str, values: tuple[Any, ...] = ()) -> Any:
    row = await (await connection.execute(query.encode(), values or None)).fetchone()
    if row is None:
        raise EngineError(f"no row for: {' '.join(query.split())}")
    return row[0]
