"""Whether customers' sessions could begin on a standby: the libraries they load first, and the way there.

    application ── its link ──► the address it has for the standby ──► log-in ──► session_preload_libraries ──► session

A superuser may leave the libraries out (`session.connect` does, where one is missing), the application may not.
"""

from __future__ import annotations

import asyncio

from psycopg import errors, sql

from chaoskit.engines import member_settings as settings
from chaoskit.engines.replication import Pair
from chaoskit.engines.session import (
    MISSING_LIBRARY,
    Connection,
    EngineError,
    QueryRefused,
    parameters,
    session,
)
from chaoskit.model.estate import Address, Estate, Toxic
from chaoskit.model.system import System

PRELOADED = "session_preload_libraries"
MISSING = "chaoskit_library_of_the_primary"
STALE = "chaoskit-stale-address"
"""What the toxic is called that stands for a stale address, so that it is never taken for a fault of the network."""
_WITHIN_S = 2.0
_LOOK_S = 0.02
_HEEDED_S = 3.0


def application_links(pair: Pair, system: System) -> tuple[str, ...]:
    """The declared links by which others than its primary reach the standby."""
    return tuple(
        link.name for link in system.links if link.callee == pair.standby and link.caller != pair.primary
    )


async def missing_libraries(pair: Pair, estate: Estate) -> tuple[tuple[str, ...], bool]:
    """Libraries that a new session is told to load and whose files the standby's host has not; whether none is left
    beside them. Raises EngineError.
    """

    async def work(connection: Connection) -> tuple[list[str], list[str]]:
        there, missing = [], []
        for name in await _preloaded(connection):
            try:
                await connection.execute(sql.SQL("LOAD {}").format(sql.Literal(name)))
                there.append(name)
            except errors.UndefinedFile:
                missing.append(name)
        return there, missing

    there, missing = await settings.as_superuser(pair.standby, pair.role, estate, work)
    return tuple(missing), not there


async def _preloaded(connection: Connection) -> list[str]:
    """As the files say it: our own session may have been begun without them."""
    query = """SELECT setting FROM pg_file_settings WHERE name = %s AND applied ORDER BY seqno DESC LIMIT 1"""
    row = await (await connection.execute(query, (PRELOADED,))).fetchone()
    names = "" if row is None else str(row[0])
    return [name.strip().strip('"') for name in names.split(",") if name.strip()]


async def preload(pair: Pair, estate: Estate, value: str | None) -> None:
    """Have new sessions load a library that is missing, or with None no more of them than the rest of the files says;
    returns when the application is refused for it, or no longer. Raises EngineError.
    """
    member = (pair.standby, pair.role, estate)
    await settings.keep(*member, PRELOADED, value)
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _HEEDED_S
    while True:
        refused = await settings.refusal(*member)
        if refused is not None if value else MISSING_LIBRARY not in (refused or ""):
            return
        if loop.time() > deadline:
            raise EngineError(
                f"{pair.standby} does not heed the change of {PRELOADED}: {refused or 'it lets all in'}"
            )
        await asyncio.sleep(_LOOK_S)  # a reload is a signal, heeded without an event for those outside


async def strays(pair: Pair, estate: Estate) -> tuple[tuple[str, str], ...]:
    """(link, why) for each application's link that does not lead to the standby, which is up. Raises EngineError."""
    try:
        own = await _started(estate.direct(pair.standby), pair)
    except QueryRefused:  # it turns the application away: whoever does the same may well be the standby
        own = ""
    found = []
    for link in application_links(pair, estate.plan.system):
        try:
            other = await _started(estate.links.address(link), pair)
        except QueryRefused as refused:
            if own:
                found.append((link, f"another server answers there: {refused}"))
        except EngineError as error:
            found.append((link, str(error)))
        else:
            if other != own:
                found.append((link, "another server answers there"))
    return tuple(found)


async def _started(address: Address, pair: Pair) -> str:
    """When the server there was started, to the microsecond: no two have that in common."""

    async def work(connection: Connection) -> str:
        row = await (await connection.execute("SELECT pg_postmaster_start_time()")).fetchone()
        assert row is not None
        return str(row[0])

    return await session(address, parameters(address, pair.role, superuser=False), work, _WITHIN_S)


async def mislead(pair: Pair, estate: Estate) -> None:
    """Every application's link to the standby leads to somebody who hangs up."""
    for link in application_links(pair, estate.plan.system):
        toxic = Toxic(STALE, "reset_peer", "downstream", {"timeout": 0})
        await estate.links.add_toxic(link, toxic)


async def lead_back(pair: Pair, estate: Estate) -> tuple[str, ...]:
    """Give the applications the right address again; the links, whether they had a wrong one or not."""
    links = application_links(pair, estate.plan.system)
    for link in links:
        await estate.links.remove_toxic(link, STALE)
    return links
