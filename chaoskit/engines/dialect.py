"""Which protocol a service speaks, and the questions every witness and probe asks in it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import Literal

from chaoskit.clock import monotonic_ns
from chaoskit.engines.http_line import HttpLine
from chaoskit.engines.line import Answer, Line, NoLine, RawLine, connect
from chaoskit.engines.postgresql_line import PostgresLine, StartupLine
from chaoskit.engines.redis_line import RedisLine
from chaoskit.model.estate import Address, Estate
from chaoskit.model.system import DatabaseRole, Link, System

_KNOCK_S = 0.002
_KNOCK_LEAST_S = 0.05
_KNOCK_MOST_S = 0.1


@dataclass(frozen=True)
class Dialect:
    """How to speak with one service: PostgreSQL as a role, HTTP for a path, Redis, or no more than TCP.

    `port`: another one than the service's first.
    """

    service: str
    name: Literal["postgresql", "http", "redis", "tcp"]
    role: DatabaseRole | None = None
    path: str = "/"
    port: int | None = None

    @classmethod
    def of(cls, system: System, service: str) -> Dialect:
        """What `speaks:` says; else PostgreSQL for a member of a database role, HTTP for a ready path or a journey's
        service, else TCP."""
        if (spoken := system.speaks.get(service)) is not None:
            if spoken.protocol == "http":
                return cls(service, "http", path=spoken.path, port=spoken.port)
            if spoken.protocol == "redis":
                return cls(service, "redis", port=spoken.port)
            return cls(service, "postgresql", role=system.roles[spoken.protocol], port=spoken.port)
        role = system.role_of(service)
        if role is not None:
            return cls(service, "postgresql", role=system.roles[role])
        local = system.local.get(service)
        if local is not None and local.ready:
            return cls(service, "http", path="/" + local.ready.lstrip("/"))
        if any(one.service == service and one.kind == "http" for one in system.journeys.values()):
            return cls(service, "http")
        return cls(service, "tcp")

    async def open(self, address: Address, within_s: float) -> Line:
        """A line that has been shown to be alive: asked once where the protocol allows it. Raises NoLine."""
        if self.port is not None:
            address = Address(address.host, self.port)
        asked = monotonic_ns()
        line: Line
        if self.role is not None:
            line = await self._open_postgresql(address, self.role, within_s)
        elif self.name == "http":
            line = await HttpLine.open(address, self.path, self.service, within_s)
        elif self.name == "redis":
            line = await RedisLine.open(address, within_s)
        else:
            return await RawLine.open(address, within_s)
        try:
            answer = await line.ask(max(0.001, within_s - (monotonic_ns() - asked) / 1e9))
        except asyncio.CancelledError:
            line.close()
            raise
        if answer.kind != "answered":
            line.close()
            raise NoLine(answer)
        return line

    async def _open_postgresql(self, address: Address, role: DatabaseRole, within_s: float) -> Line:
        try:
            return await PostgresLine.open(address, role, within_s)
        except NoLine as failure:
            if failure.answer.kind != "unreachable":
                raise
            # The server spoke, but lets the application's role not in here: a link for replication, for example.
            return await StartupLine.open(address, within_s)


@dataclass(frozen=True)
class Position:
    """Where a witness stands: a line opened before the fault, and how long its questions took then.

    `times_ns` are sorted. `line` is None when there was none to be had; `why` says so, and nothing can be witnessed.
    """

    address: Address
    dialect: Dialect
    line: Line | None
    times_ns: tuple[int, ...] = ()
    why: str = ""

    @property
    def mute(self) -> str:
        """Why nothing can be asked here, for a line that cannot."""
        return f"{self.dialect.service} speaks a protocol that is not known: no question can be asked"

    def close(self) -> None:
        """Let go of the line; never waits."""
        if self.line is not None:
            self.line.close()


async def take_position(dialect: Dialect, address: Address, asks: int = 5, within_s: float = 2.0) -> Position:
    """Open a line and learn its typical time; never raises for what the other side does."""
    try:
        line = await dialect.open(address, within_s)
    except NoLine as failure:
        return Position(
            address, dialect, None, why=f"{address} could not be used before the fault: {failure}"
        )
    if not line.can_ask:
        return Position(address, dialect, line)
    times = []
    for _ in range(asks):
        try:
            answer = await line.ask(within_s)
        except BaseException:  # whoever gives up here, as a renewal does, has nothing that he could close
            line.close()
            raise
        if answer.kind != "answered":
            line.close()
            # HTTP/1.0 and `Connection: close` end a connection with its first answer; no line can be kept there.
            why = (
                f"{address} answered, then its connection was {answer.kind} before the fault: {answer.detail}"
            )
            if dialect.name == "http" and answer.kind in ("closed", "reset"):
                why += " (a witness needs a connection that stays open: HTTP/1.1 with keep-alive)"
            return Position(address, dialect, None, why=why)
        times.append(answer.took_ns)
    return Position(address, dialect, line, tuple(sorted(times)))


async def position_on(link: str, estate: Estate, asks: int) -> Position:
    """A position on a link, where its caller connects."""
    dialect = Dialect.of(estate.plan.system, Link.parse(link).callee)
    if dialect.port is None:
        return await take_position(dialect, estate.links.address(link), asks)
    # A link's listener need not have the callee's port.
    address = estate.links.address(link, dialect.port)
    return await take_position(replace(dialect, port=None), address, asks)


async def knock(address: Address, within_s: float) -> Answer:
    """Open a connection and let it go: answered when it was accepted, else how it failed."""
    asked = monotonic_ns()
    try:
        _, writer = await connect(address, within_s)
    except NoLine as failure:
        return failure.answer
    writer.transport.abort()
    return Answer("answered", asked, monotonic_ns(), "connection accepted")


async def refused_by(address: Address, within_s: float) -> Answer:
    """Knock until the connection is refused; the last answer when that does not happen in time."""
    deadline = monotonic_ns() + int(within_s * 1e9)
    pause_s = _KNOCK_S
    answer = await knock(address, within_s)
    # A knock that is given no time hears nothing, and would tell of silence where somebody answers.
    while (
        answer.kind != "refused" and (left_s := (deadline - monotonic_ns()) / 1e9) > _KNOCK_LEAST_S + pause_s
    ):
        await asyncio.sleep(pause_s)  # a listener closes without an event for those outside
        # Each knock that is answered is a connection that the service has to deal with.
        pause_s = min(_KNOCK_MOST_S, 1.2 * pause_s)
        answer = await knock(address, left_s - pause_s)
    return answer


async def until_silent(address: Address, within_s: float, silence_s: float = 0.15) -> Answer:
    """Open connections until one is met with silence; the last answer when that does not happen in time."""
    deadline = monotonic_ns() + int(within_s * 1e9)
    while True:
        answer = await silence(address, silence_s)
        if answer.kind == "silent" or monotonic_ns() >= deadline:
            return answer
        await asyncio.sleep(0.002)  # what stands in for a lost host takes its place without an event


async def silence(address: Address, within_s: float) -> Answer:
    """Silent when a new connection is neither refused nor closed and hears nothing; else what happened instead."""
    try:
        line = await RawLine.open(address, within_s)
    except NoLine as failure:
        return failure.answer
    try:
        return await line.ending(within_s)
    finally:
        line.close()
