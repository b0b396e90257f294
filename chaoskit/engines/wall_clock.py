"""What time a service believes it is, by the timestamps that it gives out itself."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from chaoskit.clock import monotonic_ns
from chaoskit.engines.dialect import Dialect
from chaoskit.engines.line import NoLine, connect
from chaoskit.engines.postgresql import PostgreSQL
from chaoskit.engines.session import EngineError
from chaoskit.errors import EnvironmentBroken
from chaoskit.model.estate import Address
from chaoskit.model.means import Means

_HEAD_MAX = 65536


@dataclass(frozen=True)
class Reading:
    """How far a service's clock is ahead of ours, ns (behind if negative), exact to `within_ns`; whose word it is.

    `offset_ns` is None when it could not be read; `whose` says why.
    """

    offset_ns: int | None
    within_ns: int
    at_ns: int
    whose: str


async def read_clock(service: str, estate: Means, within_s: float) -> Reading:
    """One look: PostgreSQL's clock_timestamp(), the Date of an HTTP answer; else a program run beside the service."""
    dialect = Dialect.of(estate.plan.system, service)
    try:
        if dialect.role is not None:
            return await _postgresql(PostgreSQL(estate.direct(service), dialect.role), within_s)
        if dialect.name == "http":
            return await _http(dialect, estate.direct(service), within_s)
        async with asyncio.timeout(within_s):
            offset_ns, whose = await estate.clocks.read(service)
        return Reading(offset_ns, 10**9, monotonic_ns(), whose)
    except (EngineError, EnvironmentBroken, NoLine, OSError, ValueError) as error:
        return Reading(None, 0, monotonic_ns(), f"{service} does not tell the time: {error}")


async def _postgresql(server: PostgreSQL, within_s: float) -> Reading:
    asked = time.time_ns()
    told = await server.wall_clock_ns(within_s)
    ended = time.time_ns()
    return Reading(told - (asked + ended) // 2, ended - asked, monotonic_ns(), "its clock_timestamp()")


async def _http(dialect: Dialect, address: Address, within_s: float) -> Reading:
    """The header Date has whole seconds, and a server may write it only once a second (RFC 9110, 6.6.1)."""
    reader, writer = await connect(address, within_s)
    try:
        asked = time.time_ns()
        request = f"GET {dialect.path} HTTP/1.1\r\nHost: {dialect.service}\r\nConnection: close\r\n\r\n"
        writer.write(request.encode())
        async with asyncio.timeout(within_s):
            head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        raise ValueError("its answer broke off") from None
    except asyncio.LimitOverrunError:
        raise ValueError(f"its answer's head has more than {_HEAD_MAX} bytes") from None
    finally:
        writer.transport.abort()
    for line in head.decode("latin-1").split("\r\n")[1:]:
        name, _, value = line.partition(":")
        if name.strip().lower() == "date":
            told = int(parsedate_to_datetime(value.strip()).timestamp() * 1e9)
            return Reading(told - asked, 2 * 10**9, monotonic_ns(), "the Date of its HTTP answer")
    raise ValueError("its HTTP answers have no Date")
