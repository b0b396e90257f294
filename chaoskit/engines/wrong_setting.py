"""A setting that somebody pushes to a server with the administrator's log-in, and what a customer's session has of it.

pg_settings.context   postmaster, internal ──► a restart, or never: refused, before anything is changed
                      any other            ──► ALTER SYSTEM, reload ──► a new session of the application is told
"""

from __future__ import annotations

import re
from typing import Any

from psycopg import sql

from chaoskit.engines import member_settings as settings
from chaoskit.engines.member_settings import CannotSet
from chaoskit.engines.session import Connection, parameters, session
from chaoskit.model.estate import Estate
from chaoskit.model.system import DatabaseRole

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_$]*(\.[A-Za-z_][A-Za-z0-9_$]*)?")
_RESTART = ("postmaster", "internal")
_LOCKS_OUT = ("transaction_timeout", "pre_auth_delay", "post_auth_delay")
"""They act on the log-in itself, before an administrator's session could do without them."""
_OUTRANKS = ("command line", "database", "user", "database user", "client")


def checked_name(name: str) -> str:
    """The name as it is. Raises ValueError for what cannot be one."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name of a setting; write it like statement_timeout")
    return name


def as_written(value: str | float | bool | None) -> str | None:
    """A value of a drill file as postgresql.auto.conf would have it; None stays None."""
    if value is None or isinstance(value, str):
        return value
    return ("on" if value else "off") if isinstance(value, bool) else str(value)


async def known(service: str, role: DatabaseRole, estate: Estate, name: str) -> str:
    """The setting's name as the server writes it. Raises CannotSet for one that no reload sets, else EngineError."""

    async def look(connection: Connection) -> Any:
        query = "SELECT name, context FROM pg_settings WHERE lower(name) = lower(%s)"
        return await (await connection.execute(query, (name,))).fetchone()

    row = await settings.unhindered(service, role, estate, name.lower(), look)
    if row is None:
        raise CannotSet(f"{service} knows no setting {name!r}")
    own, context = map(str, row)
    if context in _RESTART:
        raise CannotSet(
            f"{own} of {service} takes effect by a restart alone, if at all (pg_settings.context is {context}); "
            "allowed are those that a reload sets: sighup, superuser, user, superuser-backend, backend"
        )
    if own in _LOCKS_OUT:
        raise CannotSet(f"{own} may end every log-in, an administrator's as well: nobody could take it back")
    return own


async def pushable(service: str, role: DatabaseRole, estate: Estate, name: str) -> tuple[str, str]:
    """(`known`, what a new session of the application is told of it now).

    Raises CannotSet also where the application would not be told what the server's files say, else EngineError.
    """
    own = await known(service, role, estate, name)

    async def look(connection: Connection) -> Any:
        query = "SELECT source, current_setting(name) FROM pg_settings WHERE name = %s"
        return await (await connection.execute(query, (own,))).fetchone()

    row = await _as_customers(service, role, estate, look)
    if row is None:
        raise CannotSet(
            f"{role.user} may not see {own}, so that nobody could tell whether it hurts a customer"
        )
    if row[0] in _OUTRANKS:
        raise CannotSet(
            f"what {role.user} is told of {own} on {service} comes from its {row[0]}, which outranks the server's files"
        )
    return own, str(row[1])


async def told(service: str, role: DatabaseRole, estate: Estate, name: str) -> str:
    """What a new session of the application is told of a setting. Raises EngineError, also where it is cut short."""
    query = sql.SQL("SELECT current_setting({})").format(sql.Literal(name))

    async def look(connection: Connection) -> Any:
        return await (await connection.execute(query)).fetchone()  # one round trip: it may have a millisecond

    return str((await _as_customers(service, role, estate, look))[0])


async def _as_customers(service: str, role: DatabaseRole, estate: Estate, work: Any) -> Any:
    """In a new session of the application's role that brings no setting of its own."""
    address = estate.direct(service)
    keys = {**parameters(address, role, superuser=False), "options": ""}
    return await session(address, keys, work, settings.WITHIN_S)
