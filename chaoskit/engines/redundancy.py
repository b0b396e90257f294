"""Whether a database would survive the loss of its writer: who writes, who streams from it, how far that has replayed.

writer    pg_current_wal_lsn() ────────────────────► position
             │ pg_stat_replication: state, replay_lsn
follower     └── pg_is_in_recovery()                 both ends have to agree
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from chaoskit.clock import monotonic_ns
from chaoskit.engines.session import Connection, EngineError, QueryRefused, Unreachable, parameters, session
from chaoskit.errors import ServiceDown
from chaoskit.model.estate import Address, Estate
from chaoskit.model.system import DatabaseRole, System

LOOK_S = 0.02
LOOK_WITHIN_S = 2.0
_ENDING = ("starting up", "shutting down", "not yet accepting")
"""In the words of a server that is there and serves nobody."""


@dataclass(frozen=True)
class Member:
    """What one member says of itself; positions are bytes from the start of the log.

    `replayed` is the farthest that any standby that streams from it has replayed; None: none does.
    """

    writes: bool
    at: int
    replayed: int | None


@dataclass(frozen=True)
class Sight:
    """One look at both members, [asked, answered]. `seen` False: one of them did not say, and it matters."""

    asked: int
    answered: int
    seen: bool
    writer: str | None
    at: int
    replayed: int | None
    why: str = ""


async def ask(address: Address, role: DatabaseRole, within_s: float) -> Member:
    """What a member says. Raises EngineError."""

    async def work(connection: Connection) -> Member:
        row = await (await connection.execute(_MEMBER)).fetchone()
        assert row is not None
        return Member(not row[0], int(row[1]), None if row[2] is None else int(row[2]))

    return await session(address, parameters(address, role, superuser=True), work, within_s)


async def look(role: DatabaseRole, estate: Estate, within_s: float) -> Sight:
    """Ask both members side by side."""
    asked = monotonic_ns()
    names = [name for name in (role.primary, role.standby) if name is not None]
    said = dict(
        zip(names, await asyncio.gather(*(_say(name, role, estate, within_s) for name in names)), strict=True)
    )
    answered = monotonic_ns()
    writers = {name: one for name, one in said.items() if isinstance(one, Member) and one.writes}
    silent = {name: one for name, one in said.items() if isinstance(one, str)}
    if len(writers) > 1:
        return Sight(asked, answered, True, None, 0, None, f"{' and '.join(writers)} both accept writes")
    if not writers:
        why = "; ".join(f"{name} does not say: {one}" for name, one in silent.items())
        return Sight(asked, answered, not silent, None, 0, None, why or "nobody accepts writes")
    writer, one = next(iter(writers.items()))
    follows = any(isinstance(other, Member) and not other.writes for other in said.values())
    if one.replayed is not None and silent:
        why = "; ".join(f"{name} does not say: {word}" for name, word in silent.items())
        return Sight(asked, answered, False, writer, one.at, None, why)
    return Sight(asked, answered, True, writer, one.at, one.replayed if follows else None)


def member_of(on: Sequence[str], word: str, system: System) -> tuple[str, str, DatabaseRole]:
    """(the member meant, the other one, their role): named by `on:`, else the primary of the only pair. Raises
    ValueError, first while planning, where there is no pair."""
    pairs = [role for role in system.roles.values() if role.standby is not None]
    known = ", ".join(f"{role.primary} and {role.standby}" for role in pairs) or "none is declared"
    if len(on) > 1 or (not on and len(pairs) != 1):
        raise ValueError(
            f"`{word}` acts on one member of a pair, not on {', '.join(on) or 'none'}; pairs: {known}"
        )
    for role in pairs:
        standby = str(role.standby)
        if not on or on[0] == role.primary:
            return role.primary, standby, role
        if on[0] == standby:
            return standby, role.primary, role
    raise ValueError(f"{on[0]} is no member of a database role that has a standby; pairs: {known}")


async def checkpoint(address: Address, role: DatabaseRole, within_s: float) -> None:
    """Write all that is dirty now, so that what follows has little left to write. Raises EngineError."""

    async def work(connection: Connection) -> None:
        await connection.execute("CHECKPOINT")

    await session(address, parameters(address, role, superuser=True), work, within_s)


async def until_follows(role: DatabaseRole, estate: Estate, at_least: int, within_s: float) -> Sight | None:
    """Wait until one member writes and the other streams from it and has replayed so far; None after the deadline."""
    deadline = monotonic_ns() + int(within_s * 1e9)
    while True:
        seen = await look(role, estate, LOOK_WITHIN_S)
        if seen.writer is not None and seen.replayed is not None and seen.replayed >= at_least:
            return seen
        if monotonic_ns() > deadline:
            return None
        await asyncio.sleep(LOOK_S)  # the log arrives without an event for those outside


async def _say(service: str, role: DatabaseRole, estate: Estate, within_s: float) -> Member | str | None:
    """What it says; None: it serves nobody; a word: why nobody knows."""
    try:
        return await ask(estate.direct(service), role, within_s)
    except (ServiceDown, Unreachable):
        return None
    except QueryRefused as refused:
        return None if any(word in str(refused) for word in _ENDING) else str(refused)
    except EngineError as error:
        return str(error)


# A receiver of backups streams as well, and replays nothing: its replay_lsn is null.
_MEMBER = b"""
SELECT pg_is_in_recovery(),
       (CASE WHEN pg_is_in_recovery() THEN coalesce(pg_last_wal_replay_lsn(), '0/0')
             ELSE pg_current_wal_lsn() END) - '0/0'::pg_lsn,
       (SELECT max(replay_lsn - '0/0'::pg_lsn) FROM pg_stat_replication
         WHERE state = 'streaming' AND replay_lsn IS NOT NULL)
"""
