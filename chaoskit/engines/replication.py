"""How far a standby is behind its primary, seen by SQL on both members: received late, or received and replayed late.

primary   commits a mark ── written at P
               │
standby        ├── pg_last_wal_receive_lsn() ≥ P     received: a crash of the primary loses it no more
               └── pg_last_wal_replay_lsn()  ≥ P     replayed: the standby shows it, and can be promoted at once
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from chaoskit.clock import monotonic_ns
from chaoskit.engines.postgresql import Lag, PostgreSQL
from chaoskit.engines.session import Connection, parameters, session
from chaoskit.model.estate import Estate
from chaoskit.model.system import DatabaseRole, Link, System

LOOK_S = 0.02
_ASK_S = 2.0
REPORT = "chaoskit-report"
"""What the log-in of a report that holds up a standby's replay is called; it is ended by that name."""


@dataclass(frozen=True)
class Pair:
    """The two members of a database role."""

    name: str
    role: DatabaseRole
    primary: str
    standby: str

    @property
    def link(self) -> str:
        """The link over which the standby receives the log."""
        return Link(caller=self.standby, callee=self.primary).name


@dataclass(frozen=True)
class Mark:
    """A record that the primary has committed; `at` is its place in the log, bytes from its start. `asked_ns` is just
    before it: whoever logs in first has that behind him."""

    at: int
    asked_ns: int


def pair_of(standby: str, system: System) -> Pair:
    """The pair in which this service stands by. Raises ValueError if it is nobody's standby."""
    for name, role in system.roles.items():
        if role.standby == standby:
            return Pair(name, role, role.primary, standby)
    known = ", ".join(role.standby for role in system.roles.values() if role.standby) or "none is declared"
    raise ValueError(f"{standby} is no standby of a database role (standbys: {known})")


async def mark(pair: Pair, estate: Estate, within_s: float = _ASK_S) -> Mark:
    """Commit a record on the primary that needs no table, and wait for no standby. Raises EngineError."""
    keys = parameters(estate.direct(pair.primary), pair.role, superuser=True)

    async def work(connection: Connection) -> Mark:
        asked = monotonic_ns()
        async with connection.transaction():
            await connection.execute("SET LOCAL synchronous_commit = local")
            await connection.execute("SELECT pg_logical_emit_message(true, 'chaoskit', 'a mark')")
        row = await (await connection.execute("SELECT pg_current_wal_flush_lsn() - '0/0'::pg_lsn")).fetchone()
        assert row is not None
        return Mark(int(row[0]), asked)

    return await session(estate.direct(pair.primary), keys, work, within_s)


async def lag(pair: Pair, estate: Estate, within_s: float = _ASK_S) -> Lag:
    """What the standby says of itself. Raises EngineError."""
    return await PostgreSQL(estate.direct(pair.standby), pair.role).lag(within_s)


async def takes_to_receive(pair: Pair, estate: Estate, within_s: float) -> int | None:
    """How long a mark of the primary is on its way to the standby, ns; None if a look that was begun `within_s` after
    it, or later, has not found it. Raises EngineError.

    All looks are one session's, which begins before the mark: logging in takes longer than the log does.
    """
    address = estate.direct(pair.standby)
    received = "SELECT coalesce(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn(), '0/0') - '0/0'::pg_lsn"

    async def work(connection: Connection) -> int | None:
        made = await mark(pair, estate)
        while True:
            asked = monotonic_ns()
            row = await (await connection.execute(received)).fetchone()
            assert row is not None
            if int(row[0]) >= made.at:
                return monotonic_ns() - made.asked_ns
            if asked - made.asked_ns >= within_s * 1e9:
                return None
            await asyncio.sleep(LOOK_S)  # the log arrives without an event for those outside

    keys = parameters(address, pair.role, superuser=True)
    return await session(address, keys, work, within_s + 2 * _ASK_S)


async def begin_report(pair: Pair, estate: Estate, longest_s: float, within_s: float = _ASK_S) -> None:
    """Start a report on the standby that reads one state of the data for so long; returns when it does.

    It goes on when its client has gone: that is what makes it one that everybody has forgotten. Raises EngineError.
    """
    address = estate.direct(pair.standby)
    keys = {**parameters(address, pair.role, superuser=True), "application_name": REPORT}

    async def work(connection: Connection) -> int:
        # Sent and not waited for: the socket is closed while the server works, and it does not look.
        connection.pgconn.send_query(f"SELECT pg_sleep({longest_s:g})".encode())
        connection.pgconn.flush()
        at_work = "SELECT pid FROM pg_stat_activity WHERE pid = %s AND backend_xmin IS NOT NULL"
        pid = connection.info.backend_pid
        while await _first(pair.standby, pair.role, estate, at_work, (pid,), within_s) is None:  # noqa: ASYNC110
            await asyncio.sleep(LOOK_S)
        return pid

    await session(address, keys, work, within_s)


async def end_reports(standby: str, role: DatabaseRole, estate: Estate, within_s: float = _ASK_S) -> int:
    """End every report of ours on this member; how many there were. Raises EngineError."""
    query = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = %s"
    return int(await _first(standby, role, estate, query, (REPORT,), within_s))


async def in_conflict(pair: Pair, estate: Estate, within_s: float = _ASK_S) -> str | None:
    """What the standby's replay waits for, in PostgreSQL's words, if it conflicts with somebody who reads."""
    query = """SELECT wait_event FROM pg_stat_activity
               WHERE backend_type = 'startup' AND wait_event LIKE %s"""
    found = await _first(pair.standby, pair.role, estate, query, ("RecoveryConflict%",), within_s)
    return None if found is None else str(found)


async def _first(
    service: str, role: DatabaseRole, estate: Estate, query: str, values: tuple[Any, ...], within_s: float
) -> Any:
    """The first column of the first row; None if there is none. As the superuser; raises EngineError."""
    address = estate.direct(service)

    async def work(connection: Connection) -> Any:
        row = await (await connection.execute(query.encode(), values)).fetchone()
        return None if row is None else row[0]

    return await session(address, parameters(address, role, superuser=True), work, within_s)
