"""One short PostgreSQL session that keeps its deadline even when the server is frozen.

psycopg answers a cancellation by asking the server to cancel, and waits up to ten seconds for a server that may be
stopped. Here the work runs in a task of its own: at the deadline its socket is shut down, the work fails at once,
and nobody waits for the server.

EngineError
├── Unreachable      nobody speaks there: refused, reset, no route, closed in the middle
├── DeadlinePassed   no answer in time; a commit that was asked for may or may not have happened
└── QueryRefused     the server answered with an error; `sqlstate` says which
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import socket
from collections.abc import Awaitable, Callable
from typing import TypeVar

import psycopg
from psycopg import AsyncConnection
from psycopg.conninfo import make_conninfo
from psycopg.rows import TupleRow

from chaoskit.errors import ChaoskitError
from chaoskit.model.estate import Address
from chaoskit.model.system import DatabaseRole

Connection = AsyncConnection[TupleRow]
T = TypeVar("T")
MISSING_LIBRARY = "could not access file"
"""What a server says of a library whose file it has not."""
_AGAIN_S = 0.05
_FULL = re.compile(r"too many clients|too many connections|slots are reserved|starting up|not yet accepting")
_PREAMBLE = re.compile(r"^connection failed: (?:connection to server at .*?, port \d+ failed: )?")
_ADVICE = re.compile(r" (?:Is the server running on that host|This probably means the server terminated).*")


class EngineError(ChaoskitError):
    """A database could not do or did not answer what it was asked."""


class Unreachable(EngineError):
    """Nobody speaks the protocol there."""


class DeadlinePassed(EngineError):
    """No answer in time. What was asked for may or may not have been done."""


class QueryRefused(EngineError):
    """The server answered with an error; `sqlstate` is its five-letter code, empty when it refused the log-in."""

    def __init__(self, message: str, sqlstate: str = "") -> None:
        super().__init__(message)
        self.sqlstate = sqlstate


def parameters(
    address: Address, role: DatabaseRole, *, superuser: bool, database: str = ""
) -> dict[str, str]:
    """libpq parameters of a log-in: complete, so that no PG… variable of the user's shell has a say."""
    user, password = role.user, role.password
    if superuser and role.superuser is not None:
        user, password = role.superuser, role.superuser_password or ""
    return {
        "host": address.host,
        "port": str(address.port),
        "dbname": database or role.database,
        "user": user,
        "password": password,
        "application_name": "chaoskit",
        "sslmode": "prefer",
        "gssencmode": "disable",
        "target_session_attrs": "any",
        "client_encoding": "UTF8",
        "options": "-c timezone=UTC -c datestyle=ISO -c intervalstyle=iso_8601 -c extra_float_digits=1",
    }


def sever(connection: Connection) -> None:
    """Shut the socket down: whoever waits on it wakes with an error."""
    if connection.closed:
        return
    twin = socket.socket(fileno=os.dup(connection.pgconn.socket))
    try:
        twin.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # already disconnected, which is what was wanted
    finally:
        twin.close()


async def connect(address: Address, keys: dict[str, str], within_s: float) -> Connection:
    """A logged-in connection in autocommit mode. Raises EngineError.

    Where every session is told to load a library that the host has not, a superuser, and nobody else, does without it.
    """
    try:
        async with asyncio.timeout(within_s):
            try:
                return await _log_in(keys)
            except psycopg.OperationalError as error:
                if MISSING_LIBRARY not in str(error):
                    raise
                with contextlib.suppress(psycopg.OperationalError):
                    return await _log_in(
                        {**keys, "options": f"{keys['options']} -c session_preload_libraries="}
                    )
                raise
    except TimeoutError:
        raise DeadlinePassed(f"{address}: no log-in within {within_s:g} s") from None
    except psycopg.Error as error:
        raise _translated(address, error) from error


async def _log_in(keys: dict[str, str]) -> Connection:
    return await AsyncConnection.connect(make_conninfo("", **keys), autocommit=True, prepare_threshold=None)


async def connect_patiently(address: Address, keys: dict[str, str], within_s: float) -> Connection:
    """`connect`, again while the server has no place for us yet: after a failover whole pools log in at once."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within_s
    while True:
        try:
            return await connect(address, keys, max(0.0, deadline - loop.time()))
        except QueryRefused as refused:
            if not _FULL.search(str(refused)) or loop.time() + _AGAIN_S >= deadline:
                raise
        await asyncio.sleep(_AGAIN_S)  # a place becomes free without an event for those outside


async def session(
    address: Address,
    keys: dict[str, str],
    work: Callable[[Connection], Awaitable[T]],
    within_s: float,
    log_in: Callable[[Address, dict[str, str], float], Awaitable[Connection]] = connect,
) -> T:
    """Log in, do the work, close; all of it within `within_s` seconds. Raises EngineError."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within_s
    connection = await log_in(address, keys, within_s)
    task = asyncio.ensure_future(work(connection))
    try:
        done, _ = await asyncio.wait({task}, timeout=max(0.0, deadline - loop.time()))
        if not done:
            sever(connection)
            await asyncio.wait({task})
            # It may have finished in the last instant; otherwise its error is our own doing.
            if task.exception() is not None:
                raise DeadlinePassed(f"{address}: no answer within {within_s:g} s")
        return task.result()
    except asyncio.CancelledError:
        sever(connection)
        await asyncio.wait({task})
        task.exception()  # our own doing, and of no interest
        raise
    except psycopg.Error as error:
        raise _translated(address, error) from error
    finally:
        # libpq only queues a goodbye and closes: this never waits for the server.
        connection.pgconn.finish()


def _translated(address: Address, error: psycopg.Error) -> EngineError:
    text = " ".join(str(error).split())
    if error.sqlstate is not None:
        return QueryRefused(f"{address}: {text}", error.sqlstate)
    # libpq repeats the address and guesses at reasons; an event needs neither.
    text = _ADVICE.sub("", _PREAMBLE.sub("", text)).rstrip(". ?")
    if "FATAL:" in text:  # a refused log-in comes without its code
        return QueryRefused(f"{address}: {text}")
    return Unreachable(f"{address}: {text[:1].lower()}{text[1:]}")
