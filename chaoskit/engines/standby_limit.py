"""A limit of the primary that its standby has not: it stops the standby's replay, and no reload undoes that.

    primary    ALTER SYSTEM, restart ──► its log says: 16 from here on
    standby    has 8 ──► pauses its replay at that record; it answers and receives, and ends when promoted

A standby that has met the record goes on only after a restart with as much or more. So it is undone in this order: the
standby gets the primary's limit and is restarted, the primary goes back and is restarted, and when the standby has
replayed that, it goes back as well.
"""

from __future__ import annotations

import asyncio
from typing import Any, NamedTuple

from chaoskit.engines import member_settings as settings
from chaoskit.engines import replication
from chaoskit.engines.replication import Pair
from chaoskit.engines.session import Connection, EngineError
from chaoskit.model.estate import Estate
from chaoskit.model.lease import MirrorUndo, RaisedLimitUndo, Undo
from chaoskit.model.system import DatabaseRole

RAISED = ("max_connections", "max_worker_processes", "max_locks_per_transaction")
"""Of `standby_ready.LIMITS`, those that can be doubled anywhere; the first that no command line gives is raised."""
REPLAYS_WITHIN_S = 20.0


class _Limit(NamedTuple):
    """What a server runs with, and where it has it from."""

    value: int
    source: str


async def undo_of(pair: Pair, estate: Estate) -> Undo:
    """How to bring back what both members have now. Raises EngineError."""
    name, _ = await _raisable(pair, estate)
    kept = [await settings.kept(member, pair.role, estate, name) for member in (pair.primary, pair.standby)]
    undo = RaisedLimitUndo(
        service=pair.primary, standby=pair.standby, name=name, value=kept[0], standby_value=kept[1]
    )
    return Undo(steps=(undo, MirrorUndo(service=pair.primary)))


async def lay(pair: Pair, estate: Estate) -> None:
    """Double a limit of the primary and restart it. Raises EngineError, EnvironmentBroken."""
    name, value = await _raisable(pair, estate)
    await settings.keep(pair.primary, pair.role, estate, name, str(2 * value))
    await _restart(pair.primary, estate)


async def found(pair: Pair, estate: Estate) -> str | None:
    """The limit at which the standby's replay has stopped, in words; None if it has at none. Raises EngineError."""
    low = await below(pair, estate)
    if not low or not await settings.as_superuser(pair.standby, pair.role, estate, _paused):
        return None
    told = ", ".join(
        f"{name} is {own} on {pair.standby} and {theirs} on {pair.primary}"
        for name, (own, theirs) in low.items()
    )
    return f"{told}: the replay has stopped there, and a promotion would end the server"


async def below(pair: Pair, estate: Estate) -> dict[str, tuple[int, int]]:
    """Limits of the standby that are below its primary's: its own and the primary's. Raises EngineError."""
    theirs, own = await _both(pair, estate)
    return {
        name: (own[name].value, theirs[name].value) for name in RAISED if own[name].value < theirs[name].value
    }


async def mend(pair: Pair, estate: Estate) -> str:
    """Give the standby its primary's limits and restart it; what was done. Raises EngineError, EnvironmentBroken."""
    raised = {name: theirs for name, (_, theirs) in (await below(pair, estate)).items()}
    for name, value in raised.items():
        await settings.keep(pair.standby, pair.role, estate, name, str(value))
    await _restart(pair.standby, estate)
    await _until_replayed(pair, estate)
    return ", ".join(f"{name} set to {value}" for name, value in raised.items()) + ", and restarted"


async def lower(step: RaisedLimitUndo, role: DatabaseRole, estate: Estate) -> None:
    """Bring both members back; where they are back already, nothing. Raises EngineError, EnvironmentBroken.

    A standby that is down cannot be asked and cannot be changed: the primary goes back all the same, and that is told.
    """
    pair = replication.pair_of(step.standby, estate.plan.system)
    if await _differs(step.service, role, estate, step.name, step.value):
        alive = await estate.processes.tree(step.standby)
        if alive and step.name in (low := await below(pair, estate)):
            await settings.keep(step.standby, role, estate, step.name, str(low[step.name][1]))
            await _restart(step.standby, estate)
            await _until_replayed(pair, estate)
        await settings.keep(step.service, role, estate, step.name, step.value)
        await _restart(step.service, estate)
    if not await estate.processes.tree(step.standby):
        raise EngineError(
            f"{step.standby} is down: what its files say of {step.name} stays, and where its log has met the raised "
            f"limit it starts only with as much ({step.service} is back)"
        )
    if await _differs(step.standby, role, estate, step.name, step.standby_value):
        await _until_replayed(pair, estate)  # with less, it would meet the primary's old limit and stop
        await settings.keep(step.standby, role, estate, step.name, step.standby_value)
        await _restart(step.standby, estate)


async def _raisable(pair: Pair, estate: Estate) -> tuple[str, int]:
    """The limit to raise and its value on the primary. Raises CannotSet where a command line gives all of them."""
    both = await _both(pair, estate)
    for name in RAISED:
        if not any(one[name].source == "command line" for one in both):
            return name, both[0][name].value
    given = ", ".join(RAISED)
    raise settings.CannotSet(f"{given} come from a command line, which outranks the files that could drift")


async def _restart(service: str, estate: Estate) -> None:
    await estate.lifecycle.stop(service)
    await estate.links.mirror(service, "refused")  # back by itself when it listens again
    await estate.lifecycle.start(service)


async def _until_replayed(pair: Pair, estate: Estate) -> None:
    """Until the standby has replayed what the primary has written by now. Raises EngineError."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + REPLAYS_WITHIN_S
    mark = await replication.mark(pair, estate)
    while (await replication.lag(pair, estate)).replayed_bytes < mark.at:
        if loop.time() > deadline:
            raise EngineError(f"{pair.standby} does not replay its log within {REPLAYS_WITHIN_S:g} s")
        await asyncio.sleep(replication.LOOK_S)  # the log arrives without an event for those outside


async def _differs(service: str, role: DatabaseRole, estate: Estate, name: str, value: str | None) -> bool:
    """Whether its file says another value, or the server has not been restarted since it does not."""
    if await settings.kept(service, role, estate, name) != value:
        return True

    async def work(connection: Connection) -> bool:
        row: Any = await (
            await connection.execute("SELECT pending_restart FROM pg_settings WHERE name = %s", (name,))
        ).fetchone()
        return bool(row[0])

    return await settings.as_superuser(service, role, estate, work)


async def _both(pair: Pair, estate: Estate) -> tuple[dict[str, _Limit], dict[str, _Limit]]:
    """The primary's, and the standby's."""
    return await asyncio.gather(
        settings.as_superuser(pair.primary, pair.role, estate, _limits),
        settings.as_superuser(pair.standby, pair.role, estate, _limits),
    )


async def _limits(connection: Connection) -> dict[str, _Limit]:
    query = "SELECT name, setting::int, source FROM pg_settings WHERE name = ANY(%s)"
    rows = await (await connection.execute(query, (list(RAISED),))).fetchall()
    return {str(name): _Limit(int(value), str(source)) for name, value, source in rows}


async def _paused(connection: Connection) -> bool:
    query = """SELECT CASE WHEN pg_is_in_recovery() THEN pg_get_wal_replay_pause_state() = 'paused'
                           ELSE false END"""  # a primary refuses to be asked for the state
    row: Any = await (await connection.execute(query)).fetchone()
    return bool(row[0])
