"""A logged-in PostgreSQL session that is asked `select 1` now and again.

It works on libpq's own non-blocking calls: the deadline of a question then costs nothing on the server's side, while
psycopg would ask a server that may be frozen to cancel, and wait for it.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import Callable

import psycopg
from psycopg.pq import ExecStatus

from chaoskit.clock import monotonic_ns
from chaoskit.engines.line import Answer, Kind, Line, NoLine, Way, connect, watch_end
from chaoskit.engines.session import Connection, DeadlinePassed, EngineError, QueryRefused, parameters
from chaoskit.engines.session import connect as log_in
from chaoskit.model.estate import Address
from chaoskit.model.system import DatabaseRole


class PostgresLine(Line):
    """A session as the application's role."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        # Our own handle on the socket, to see how it ended after libpq has given up on it.
        self._socket = socket.socket(fileno=os.dup(connection.pgconn.socket))
        connection.pgconn.nonblocking = 1

    @classmethod
    async def open(cls, address: Address, role: DatabaseRole, within_s: float) -> PostgresLine:
        """Log in. Raises NoLine; a refused log-in is `unreachable`, with the server's words."""
        asked = monotonic_ns()
        try:
            return cls(await log_in(address, parameters(address, role, superuser=False), within_s))
        except DeadlinePassed as error:
            raise NoLine(Answer("silent", asked, monotonic_ns(), str(error))) from error
        except EngineError as error:
            # libpq's words do not tell a refused connection from others; the kernel's do.
            _, writer = await connect(address, within_s)
            writer.transport.abort()
            kind: Kind = "unreachable" if isinstance(error, QueryRefused) else "closed"
            raise NoLine(Answer(kind, asked, monotonic_ns(), str(error))) from error

    async def ask(self, within_s: float) -> Answer:
        return await self._query(b"SELECT 1", within_s)

    async def move(self, size: int, way: Way, within_s: float) -> Answer:
        query = (
            b"SELECT '" + b"x" * size + b"' = ''"
            if way == "requests"
            else f"SELECT repeat('x', {size})".encode()
        )
        answer = await self._query(query, within_s)
        return Answer(answer.kind, answer.asked_ns, answer.at_ns, answer.detail, size)

    async def ending(self, within_s: float) -> Answer:
        asked = monotonic_ns()
        try:
            async with asyncio.timeout(within_s):
                while True:
                    await self._ready(reading=True)
                    kind = self._peek()
                    if kind is not None:
                        return Answer(kind, asked, monotonic_ns(), _ENDED[kind])
                    if not self._swallow():
                        return Answer("closed", asked, monotonic_ns(), _ENDED["closed"])
        except TimeoutError:
            return Answer("silent", asked, monotonic_ns(), f"still open after {within_s:g} s")

    def close(self) -> None:
        self._socket.close()
        self._connection.pgconn.finish()

    async def _query(self, query: bytes, within_s: float) -> Answer:
        asked = monotonic_ns()
        pgconn = self._connection.pgconn
        try:
            async with asyncio.timeout(within_s):
                pgconn.send_query(query)
                while pgconn.flush():
                    await self._ready(reading=False)
                while True:
                    while pgconn.is_busy():
                        await self._ready(reading=True)
                        kind = self._peek()
                        if kind is not None:
                            return Answer(kind, asked, monotonic_ns(), _ENDED[kind])
                        pgconn.consume_input()
                    result = pgconn.get_result()
                    if result is None:
                        return Answer("answered", asked, monotonic_ns(), "answered select 1")
                    if result.status != ExecStatus.TUPLES_OK:
                        text = result.error_message.decode(errors="replace").strip()
                        return Answer("closed", asked, monotonic_ns(), text)
        except TimeoutError:
            return Answer("silent", asked, monotonic_ns(), f"no answer within {within_s:g} s")
        except psycopg.Error as error:
            return Answer("closed", asked, monotonic_ns(), " ".join(str(error).split()))

    async def _ready(self, *, reading: bool) -> None:
        loop = asyncio.get_running_loop()
        woken = loop.create_future()
        add: Callable[..., object] = loop.add_reader if reading else loop.add_writer
        remove: Callable[..., object] = loop.remove_reader if reading else loop.remove_writer
        add(self._socket, _wake, woken)
        try:
            await woken
        finally:
            remove(self._socket)

    def _peek(self) -> Kind | None:
        """How the connection has ended, if it has; looks without taking bytes from libpq."""
        try:
            return None if self._socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) else "closed"
        except BlockingIOError:
            return None
        except ConnectionResetError:
            return "reset"
        except OSError:
            return "closed"

    def _swallow(self) -> bool:
        try:
            self._connection.pgconn.consume_input()
        except psycopg.Error:
            return False
        return True


_ENDED: dict[Kind, str] = {"closed": "closed by the other side", "reset": "connection reset by peer"}


def _wake(woken: asyncio.Future[None]) -> None:
    if not woken.done():
        woken.set_result(None)


class StartupLine(Line):
    """A connection that asks whether the server speaks TLS: eight bytes, one byte back, no log-in needed.

    For links on which the application's role may not log in, such as one for replication only. A connection takes
    this question once, so each further one opens its own.
    Source: PostgreSQL documentation, "SSL Session Encryption" in the message flow of the frontend/backend protocol.
    """

    _QUESTION = struct.pack("!ii", 8, 80877103)

    def __init__(self, address: Address, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._address = address
        self._reader = reader
        self._writer = writer
        self._asked = False

    @classmethod
    async def open(cls, address: Address, within_s: float) -> StartupLine:
        """Connect. Raises NoLine."""
        return cls(address, *await connect(address, within_s))

    async def ask(self, within_s: float) -> Answer:
        asked = monotonic_ns()
        try:
            async with asyncio.timeout(within_s):
                if self._asked:
                    self._writer.transport.abort()
                    self._reader, self._writer = await connect(self._address, within_s)
                self._asked = True
                self._writer.write(self._QUESTION)
                if await self._reader.read(1):
                    return Answer(
                        "answered", asked, monotonic_ns(), "answered the first question of a connection"
                    )
        except TimeoutError:
            return Answer("silent", asked, monotonic_ns(), f"no answer within {within_s:g} s")
        except NoLine as failure:
            return failure.answer
        except ConnectionResetError:
            return Answer("reset", asked, monotonic_ns(), _ENDED["reset"])
        return Answer("closed", asked, monotonic_ns(), _ENDED["closed"])

    async def move(self, size: int, way: Way, within_s: float) -> Answer:
        now = monotonic_ns()
        return Answer("unreachable", now, now, "no log-in, so nothing of a known size can be asked for")

    async def ending(self, within_s: float) -> Answer:
        return await watch_end(self._reader, within_s)

    def close(self) -> None:
        self._writer.transport.abort()
