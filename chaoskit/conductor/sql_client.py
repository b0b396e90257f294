"""Statements over PostgreSQL's protocol, on libpq's non-blocking calls: every exchange says how far it came.

    TCP ──► log-in ──► statement, parameters ──► rows, or done ──► ready for the next
     │         │               │                                       │
   connect   unknown     unknown, or `error` with its SQLSTATE       only now it is committed

Sent in the extended protocol: a commit happens after the server said the statement is complete, so an answer counts
only when the server is ready for the next one. psycopg's connections are not used because a cancelled one asks the
server to cancel, and waits for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import psycopg
from psycopg import pq
from psycopg.conninfo import make_conninfo
from psycopg.pq import ConnStatus, DiagnosticField, ExecStatus, PollingStatus, TransactionStatus
from psycopg.pq.abc import PGconn, PGresult

from chaoskit.clock import Clock
from chaoskit.conductor.pool import Line, Pool, PooledExchange
from chaoskit.conductor.sql_message import Statement
from chaoskit.model.journey import Sql

_ERRORS = (ExecStatus.FATAL_ERROR, ExecStatus.BAD_RESPONSE)
_WHOLE = (ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK)
_INTEGERS = frozenset((20, 21, 23))
_BEFORE_TCP = (ConnStatus.STARTED, ConnStatus.BAD)


class SqlTarget(Pool):
    """A database, or a pooler in front of one, as one user."""

    def __init__(self, host: str, port: int, login: Sql, *, keep: bool, clock: Clock) -> None:
        super().__init__(keep=keep, clock=clock)
        # Complete, so that no PG… variable of the user's shell has a say.
        self._conninfo = make_conninfo(
            "",
            host=host,
            port=port,
            dbname=login.database,
            user=login.user,
            password=login.password,
            application_name="customer",
            sslmode="prefer",
            gssencmode="disable",
            target_session_attrs="any",
            client_encoding="UTF8",
        ).encode()

    async def open(self, exchange: PooledExchange) -> Line | None:
        """Log in. A connection that never came about is `connect`; what fails after it is in doubt."""
        pgconn: PGconn = pq.PGconn.connect_start(self._conninfo)
        try:
            status = PollingStatus.WRITING
            while True:
                if pgconn.status != ConnStatus.BAD and status != PollingStatus.OK:
                    await _ready(pgconn.socket, reading=status == PollingStatus.READING)
                status = PollingStatus(pgconn.connect_poll())
                exchange.reached = exchange.reached or pgconn.status not in _BEFORE_TCP
                if status == PollingStatus.OK:
                    pgconn.nonblocking = 1
                    return SqlLine(pgconn)
                if status == PollingStatus.FAILED:
                    exchange.end(
                        "eof" if exchange.reached else "connect",
                        detail=f"log-in: {_words(pgconn.get_error_message())}",
                    )
                    pgconn.finish()
                    return None
        except BaseException:
            pgconn.finish()
            raise


class SqlLine(Line):
    """One session."""

    def __init__(self, pgconn: PGconn) -> None:
        self._pgconn = pgconn
        self._resting: int | None = None

    @property
    def usable(self) -> bool:
        idle = TransactionStatus.IDLE
        return bool(self._pgconn.status == ConnStatus.OK and self._pgconn.transaction_status == idle)

    async def carry(self, exchange: PooledExchange) -> None:
        statement: Statement = exchange.message
        exchange.send()
        try:
            self._pgconn.send_query_params(statement.text, list(statement.parameters))
            while self._pgconn.flush():
                await _ready(self._pgconn.socket, reading=False)
            results = [result async for result in self._results()]
        except psycopg.Error as error:
            exchange.end("eof", detail=_words(str(error)))
            return
        _end(exchange, results)

    async def _results(self) -> AsyncIterator[PGresult]:
        while True:
            while self._pgconn.is_busy():
                await _ready(self._pgconn.socket, reading=True)
                self._pgconn.consume_input()
            result = self._pgconn.get_result()
            if result is None:
                return
            yield result

    def rest(self) -> None:
        """A word on an idle session is its end, or a notice; either way it is not used again."""
        self._resting = self._pgconn.socket
        asyncio.get_running_loop().add_reader(self._resting, self.drop)

    def wake(self) -> None:
        resting, self._resting = self._resting, None
        if resting is not None:
            asyncio.get_running_loop().remove_reader(resting)

    def drop(self) -> None:
        self.wake()
        self._pgconn.finish()


def _end(exchange: PooledExchange, results: list[PGresult]) -> None:
    """What came of the statement: the first error, else its rows."""
    for result in results:
        if result.status in _ERRORS:
            code = (result.error_field(DiagnosticField.SQLSTATE) or b"").decode()
            # An error of libpq's own has no code: the connection ended under the statement.
            words = _words(result.get_error_message())
            exchange.end("error" if code else "eof", detail=words, code=code)
            return
    if not results or results[-1].status not in _WHOLE:
        exchange.end("garbage", detail="neither rows nor a command's completion")
        return
    exchange.end("answered", read=_first_row(results[-1]))


def _first_row(result: PGresult) -> dict[str, Any]:
    row: dict[str, Any] = {}
    if result.ntuples:
        for column in range(result.nfields):
            value = result.get_value(0, column)
            text = None if value is None else value.decode(errors="replace")
            whole = text is not None and result.ftype(column) in _INTEGERS
            row[(result.fname(column) or b"").decode()] = int(text) if text is not None and whole else text
    return row


async def _ready(socket: int, *, reading: bool) -> None:
    loop = asyncio.get_running_loop()
    woken = loop.create_future()
    add: Callable[..., object] = loop.add_reader if reading else loop.add_writer
    remove: Callable[..., object] = loop.remove_reader if reading else loop.remove_writer
    add(socket, _wake, woken)
    try:
        await woken
    finally:
        remove(socket)


def _wake(woken: asyncio.Future[None]) -> None:
    if not woken.done():
        woken.set_result(None)


def _words(text: str) -> str:
    return " ".join(text.split())
