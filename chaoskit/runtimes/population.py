"""What a system needs before its drill begins: replication that streams, and its population."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import psycopg

from chaoskit.errors import EnvironmentBroken
from chaoskit.model.estate import Address
from chaoskit.model.system import DatabaseRole, Pool, System

_CONNECT_S = 5
_LOOK_EVERY_S = 0.02  # the server announces no change of a replication state


def members(pool: Pool) -> list[str]:
    """The pool's identifiers, in order."""
    return [pool.format.format(n=n) for n in range(1, pool.count + 1)]


async def _connect(role: DatabaseRole, at: Address, *, superuser: bool) -> psycopg.AsyncConnection[Any]:
    """A direct connection. Parameters are put into the text by the client: a script may have many
    statements.
    """
    user = role.superuser if superuser and role.superuser else role.user
    password = role.superuser_password if superuser and role.superuser else role.password
    return await psycopg.AsyncConnection.connect(
        host=at.host,
        port=at.port,
        dbname=role.database,
        user=user,
        password=password or "",
        connect_timeout=_CONNECT_S,
        application_name="chaoskit",
        autocommit=True,
        cursor_factory=psycopg.AsyncClientCursor,
    )


async def until_streaming(name: str, role: DatabaseRole, primary: Address, within_s: float) -> None:
    """Wait until the primary streams to its standby; raises EnvironmentBroken after `within_s` seconds."""
    query = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'"
    try:
        async with asyncio.timeout(within_s):
            connection = await _connect(role, primary, superuser=True)
            async with connection:
                while True:
                    row = await (await connection.execute(query)).fetchone()
                    if row and row[0]:
                        return
                    await asyncio.sleep(_LOOK_EVERY_S)
    except TimeoutError:
        raise EnvironmentBroken(
            f"role {name}: {role.standby} did not stream from {role.primary} within {within_s:g} s; "
            "see both logs, and PRIMARY_CONNINFO in the Compose file"
        ) from None
    except psycopg.Error as error:
        raise EnvironmentBroken(
            f"role {name}: cannot ask {role.primary} about replication: {error}"
        ) from error


async def populate(system: System, direct: Callable[[str], Address], within_s: float) -> None:
    """Run the population's script on its role's primary: each pool a text[] of its name, the seed as %(seed)s.

    Raises EnvironmentBroken when the script cannot be read, fails, or takes longer than `within_s` seconds.
    """
    population = system.population
    if population is None or population.load is None:
        return
    load = population.load
    role = system.roles.get(load.on)
    if role is None:
        raise EnvironmentBroken(
            f"population: load: on: {load.on!r} is no role; known: {', '.join(system.roles)}"
        )
    path = Path(system.folder) / load.script
    try:
        script = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise EnvironmentBroken(f"population: load: script: {error}") from error
    used = {name: pool for name, pool in population.pools.items() if f"%({name})s" in script}
    values: dict[str, Any] = {name: members(pool) for name, pool in used.items()}
    values["seed"] = population.seed
    try:
        async with asyncio.timeout(within_s):
            connection = await _connect(role, direct(role.primary), superuser=False)
            async with connection, connection.transaction():
                await connection.execute(cast(Any, script), values)
    except TimeoutError:
        raise EnvironmentBroken(f"{path} did not finish within {within_s:g} s") from None
    except (psycopg.Error, ValueError, TypeError) as error:
        raise EnvironmentBroken(f"{path} failed: {error}") from error
