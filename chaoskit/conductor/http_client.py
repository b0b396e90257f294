"""A small HTTP/1.1 client whose every exchange ends by its limit and says how far it came.

    exchange ──► idle connection, or a new one ──► request bytes ──► answer
                        │                              │
                 not reached: `connect`         no whole answer: `limit`, `reset`, `eof`, `garbage`, `too-big`

It repeats nothing. An idle connection that the server closed in the very moment of our request shows as `eof`
or `reset`, because nobody can tell this from a server that took the request and died (RFC 9112, 9.3.1).
Callbacks instead of coroutines keep an exchange at tens of µs of CPU, so that a thousand a second leave the
measurer's timers alone.
"""

from __future__ import annotations

import asyncio

from chaoskit.clock import Clock
from chaoskit.conductor.answer import Answer, OnAnswer
from chaoskit.conductor.http_connection import Connection, Exchange, plain

__all__ = ["IDLE_MAX_NS", "Answer", "Target"]

IDLE_MAX_NS = 4_000_000_000
"""A connection idle for longer is not used again: common servers close theirs after 5 s, and the race is lost
by us."""


class Target:
    """Where requests of one service go, with its idle connections.

    `keep=False` opens a connection for each exchange, as a new customer would. With `keep=True` the last used
    connection is used first, and one failure drops every idle one: a path that went dead spoils what was on
    it and nothing after.
    """

    def __init__(self, host: str, port: int, *, keep: bool, clock: Clock) -> None:
        self.host, self.port, self.keep, self.clock = host, port, keep, clock
        self._idle: list[Connection] = []
        self._all: set[Connection] = set()

    def exchange(self, request: bytes, limit_ns: int, on_answer: OnAnswer) -> Exchange:
        """Send one request now. `on_answer` is called once, never from inside this call, at the latest after
        `limit_ns`."""
        loop = asyncio.get_running_loop()
        exchange = Exchange(request, self.clock, on_answer)
        # uvloop's timers count whole ms from a cached now and may fire up to 1 ms early
        exchange.timer = loop.call_later(limit_ns / 1e9 + 0.001, self._give_up, exchange)
        connection = self._take_idle()
        if connection is not None:
            connection.carry(exchange)
        else:
            exchange.connecting = loop.create_task(self._connect(exchange))
            exchange.connecting.add_done_callback(_surface)
        return exchange

    def close(self) -> None:
        """Cut every connection; exchanges under way end as `reset`."""
        for connection in tuple(self._all):
            connection.drop()

    def give_back(self, connection: Connection) -> None:
        connection.idle_since_ns = self.clock()
        self._idle.append(connection)

    def forget(self, connection: Connection) -> None:
        self._all.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)

    def distrust(self) -> None:
        """Drop every idle connection."""
        for connection in tuple(self._idle):
            connection.drop()

    def _take_idle(self) -> Connection | None:
        oldest = self.clock() - IDLE_MAX_NS
        while self._idle:
            connection = self._idle.pop()
            if connection.usable and connection.idle_since_ns >= oldest:
                return connection
            connection.drop()
        return None

    async def _connect(self, exchange: Exchange) -> None:
        connection = Connection(self, exchange)
        self._all.add(connection)
        try:
            await asyncio.get_running_loop().create_connection(lambda: connection, self.host, self.port)
        except (OSError, UnicodeError) as error:
            self.distrust()
            exchange.end("connect", detail=plain(error))
        finally:
            exchange.connecting = None
            if not connection.usable:
                self._all.discard(connection)

    def _give_up(self, exchange: Exchange) -> None:
        if exchange.connecting is not None:
            exchange.connecting.cancel()
        connection = exchange.connection
        if connection is not None:
            connection.drop()
        self.distrust()
        if exchange.sent_ns is None:
            exchange.end("connect", detail="not connected within the limit")
        else:
            exchange.end("limit", detail="no whole answer within the limit")


def _surface(connecting: asyncio.Task[None]) -> None:
    """A mistake of ours goes to the loop's exception handler, not into a task that nobody looks at."""
    if not connecting.cancelled():
        connecting.result()
