"""Everything chaoskit asks of PostgreSQL: is it there, may it write, promote it, how far behind, what do its books say.

Each call opens a session of its own, so that a failover between two calls leaves nothing stale behind, and each has
a deadline in seconds after which it raises DeadlinePassed. Addresses are direct ones, past every proxy.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from psycopg import sql

from chaoskit.clock import Clock, monotonic_ns
from chaoskit.engines import books
from chaoskit.engines.session import (
    Connection,
    DeadlinePassed,
    EngineError,
    QueryRefused,
    connect_patiently,
    parameters,
    session,
)
from chaoskit.model.estate import Address
from chaoskit.model.system import DatabaseRole

_POLL_S = 0.005
_READ_ONLY = frozenset({"25006"})  # read_only_sql_transaction: what a standby answers to a write


@dataclass(frozen=True)
class Standing:
    """What a member is: `timeline` and `lsn` are those it has written, or on a standby replayed."""

    in_recovery: bool
    timeline: int
    lsn: str
    identity: str


@dataclass(frozen=True)
class CommittedWrite:
    """A write that this member has committed and, asked again, says is committed; `took_ns` for both."""

    xid: str
    lsn: str
    at_ns: int
    took_ns: int


@dataclass(frozen=True)
class Promotion:
    """A standby that has left recovery. `cleared` is the `synchronous_standby_names` it had inherited, if any."""

    asked_ns: int
    left_recovery_ns: int
    timeline: int
    cleared: str


@dataclass(frozen=True)
class Lag:
    """A standby's position; bytes are distances from the start of the log, so that two looks can be subtracted."""

    streaming: bool
    received_bytes: int
    replayed_bytes: int
    last_replayed: datetime | None


class NotPromoted(EngineError):
    """The member is no standby, or would not leave recovery; the message says which."""


@dataclass(frozen=True)
class PostgreSQL:
    """One member of a database role, at its direct address."""

    address: Address
    role: DatabaseRole
    clock: Clock = monotonic_ns

    async def ping(self, within_s: float) -> int:
        """Log in and ask `select 1`; returns ns. Raises EngineError."""
        begun = self.clock()
        await session(self.address, self._keys(), lambda connection: _one(connection, "SELECT 1"), within_s)
        return self.clock() - begun

    async def version(self, within_s: float) -> str:
        """`PostgreSQL 18.6`, as the running server says. Raises EngineError."""
        said = await session(self.address, self._keys(), lambda c: _one(c, "SHOW server_version"), within_s)
        return f"PostgreSQL {str(said).split()[0]}"

    async def wall_clock_ns(self, within_s: float = 2.0) -> int:
        """What time it believes it is, ns since 1970. Raises EngineError."""
        query = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
        return 1000 * int(await session(self.address, self._keys(), lambda c: _one(c, query), within_s))

    async def standing(self, within_s: float = 2.0) -> Standing:
        """Role, timeline, LSN and system identifier, in one look."""
        row = await session(self.address, self._keys(True), lambda c: _row(c, _STANDING), within_s)
        return Standing(*row)

    async def in_recovery(self, within_s: float = 2.0) -> bool:
        """True on a standby."""
        return (await self.standing(within_s)).in_recovery

    async def timeline(self, within_s: float = 2.0) -> int:
        """The timeline it is on; a promotion adds one."""
        return (await self.standing(within_s)).timeline

    async def lsn(self, within_s: float = 2.0) -> str:
        """How far its log is written, or on a standby replayed."""
        return (await self.standing(within_s)).lsn

    async def identity(self, within_s: float = 2.0) -> str:
        """The system identifier that initdb gave; two members with different ones are no pair."""
        return (await self.standing(within_s)).identity

    async def writable(self, within_s: float = 2.0) -> bool:
        """Whether it commits a write; False when it says that it may not. Raises EngineError when it says nothing."""
        try:
            await self.committed_write(within_s)
        except QueryRefused as refused:
            if refused.sqlstate in _READ_ONLY:
                return False
            raise
        return True

    async def committed_write(self, within_s: float = 2.0) -> CommittedWrite:
        """Commit a write as the application's role, and ask back whether it is committed.

        The write is a transactional logical message: a record in the log whose commit is flushed and waits for
        synchronous standbys exactly as a payment's does, which a bare transaction id does not. It needs no table,
        so the books, the schema and their digest stay untouched, and nothing has to be cleaned up.
        A member set to `default_transaction_read_only` refuses here too, as it would refuse a payment; one that is
        full is asked again until the deadline.
        """
        begun = self.clock()

        async def write(connection: Connection) -> CommittedWrite:
            async with connection.transaction():
                await connection.execute("SET LOCAL synchronous_commit = on")
                await connection.execute(_REFUSE_IF_READ_ONLY)
                xid, lsn = await _row(connection, _EMIT)
            status = await _one(connection, f"SELECT pg_xact_status('{int(xid)}'::xid8)")
            now = self.clock()
            if status != "committed":
                raise EngineError(f"{self.address}: says the write it has just committed is {status!r}")
            return CommittedWrite(xid, lsn, now, now - begun)

        return await session(self.address, self._keys(), write, within_s, connect_patiently)

    async def promote(self, within_s: float = 30.0, *, clear: bool = True) -> Promotion:
        """End recovery; returns once the member says it has. A write is not yet proven: see `committed_write`.

        A standby made from the primary's files has inherited its `synchronous_standby_names`, would wait for a
        standby that does not exist, and hang at its first commit: that setting is cleared first, and told
        (not with `clear` False, where one is about to follow).
        Raises NotPromoted, or another EngineError.
        """

        asked_for = False

        async def work(connection: Connection) -> Promotion:
            nonlocal asked_for
            if not await _one(connection, "SELECT pg_is_in_recovery()"):
                raise NotPromoted(f"{self.address} is not in recovery: there is nothing to promote")
            cleared = await self._clear_synchronous(connection) if clear else ""
            asked = self.clock()
            # pg_promote(wait) looks ten times a second; an outage is timed here, so we look more often.
            if not await _one(connection, "SELECT pg_promote(false)"):
                raise NotPromoted(f"{self.address}: the postmaster could not be told to promote")
            asked_for = True
            # Another process ends recovery, and there is no event to wait for.
            while await _one(connection, "SELECT pg_is_in_recovery()"):  # noqa: ASYNC110
                await asyncio.sleep(_POLL_S)
            left = self.clock()
            standing = Standing(*await _row(connection, _STANDING))
            return Promotion(asked, left, standing.timeline, cleared)

        try:
            return await session(self.address, self._keys(True), work, within_s)
        except DeadlinePassed:
            raise NotPromoted(
                f"{self.address} was still in recovery {within_s:g} s after it was asked"
            ) from None

    async def hang_up(self, users: Sequence[str], within_s: float = 2.0) -> int:
        """End every session of these log-ins, what they have under way included; how many there were."""
        query = (
            "SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) FROM pg_stat_activity "
            "WHERE usename = ANY(%s) AND pid <> pg_backend_pid()"
        )

        async def work(connection: Connection) -> int:
            row = await (await connection.execute(query.encode(), (list(users),))).fetchone()
            return int(row[0]) if row else 0

        return await session(self.address, self._keys(True), work, within_s)

    async def change_password(self, user: str, password: str, within_s: float = 5.0) -> None:
        """Give a log-in another password; sessions that are open stay open."""
        change = sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(user), sql.Literal(password))

        async def work(connection: Connection) -> None:
            await connection.execute(change)

        await session(self.address, self._keys(True), work, within_s)

    async def value(self, query: str, values: Mapping[str, Any], within_s: float = 30.0) -> str:
        """The one value that a query of the system's own gives, as text."""

        async def work(connection: Connection) -> str:
            row = await (await connection.execute(query.encode(), dict(values))).fetchone()
            if row is None or len(row) != 1 or row[0] is None:
                raise EngineError(f"{self.address}: the query gives no single value: {query.strip()[:60]}")
            return str(row[0])

        return await session(self.address, self._keys(True), work, within_s)

    async def lag(self, within_s: float = 2.0) -> Lag:
        """How much log a standby has received and replayed. It corroborates; loss is counted by key."""
        row = await session(self.address, self._keys(True), lambda c: _row(c, _LAG), within_s)
        return Lag(row[0], int(row[1]), int(row[2]), row[3])

    async def snapshot(
        self, queries: Mapping[str, str], folder: Path, within_s: float = 60.0
    ) -> books.Snapshot:
        """The books as of one instant: each query to `<folder>/<name>.parquet`, with a digest over all of them."""
        return await books.snapshot(self.address, self._keys(), queries, folder, within_s)

    async def _clear_synchronous(self, connection: Connection) -> str:
        names = str(await _one(connection, _SYNCHRONOUS))
        if not names:
            return ""
        await connection.execute("ALTER SYSTEM SET synchronous_standby_names = ''")
        await connection.execute("SELECT pg_reload_conf()")
        for _ in range(400):  # 2 s: a reload is a signal to the postmaster and from there to us
            if not await _one(connection, _SYNCHRONOUS):
                return names
            await asyncio.sleep(_POLL_S)
        source = await _one(
            connection, "SELECT source FROM pg_settings WHERE name = 'synchronous_standby_names'"
        )
        raise NotPromoted(
            f"{self.address}: synchronous_standby_names = {names!r} comes from the {source} and cannot be cleared; "
            "promoted, every commit would hang. Set it in postgresql.conf instead"
        )

    def _keys(self, superuser: bool = False) -> dict[str, str]:
        return parameters(self.address, self.role, superuser=superuser)


# The control file's timeline lags behind a promotion until a checkpoint; the name of the log file being written
# does not. In recovery that function is refused, so there the receiver is asked first.
_STANDING = """
SELECT pg_is_in_recovery(),
       CASE WHEN pg_is_in_recovery()
            THEN coalesce((SELECT received_tli FROM pg_stat_wal_receiver),
                          (SELECT timeline_id FROM pg_control_checkpoint()))
            ELSE ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int END,
       CASE WHEN pg_is_in_recovery() THEN coalesce(pg_last_wal_replay_lsn(), '0/0')
            ELSE pg_current_wal_lsn() END::text,
       (SELECT system_identifier FROM pg_control_system())::text
"""
_LAG = """
SELECT EXISTS (SELECT FROM pg_stat_wal_receiver WHERE status = 'streaming'),
       coalesce(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn(), '0/0') - '0/0'::pg_lsn,
       coalesce(pg_last_wal_replay_lsn(), '0/0') - '0/0'::pg_lsn,
       pg_last_xact_replay_timestamp()
"""
_SYNCHRONOUS = "SELECT current_setting('synchronous_standby_names')"
_EMIT = """
SELECT pg_current_xact_id()::text, pg_logical_emit_message(true, 'chaoskit', 'proof of a committed write')::text
"""
# Nothing else of ours would notice: the message is no table, so a read-only transaction may write it.
_REFUSE_IF_READ_ONLY = """
DO $$ BEGIN IF current_setting('transaction_read_only')::boolean THEN
    RAISE EXCEPTION 'this member accepts no writes' USING ERRCODE = 'read_only_sql_transaction';
END IF; END $$
"""


async def _row(connection: Connection, query: str) -> tuple[Any, ...]:
    row = await (await connection.execute(query.encode())).fetchone()
    if row is None:
        raise EngineError(f"no row for: {' '.join(query.split())}")
    return row


async def _one(connection: Connection, query: str) -> Any:
    return (await _row(connection, query))[0]
