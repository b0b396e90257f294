"""A connection that speaks Redis's protocol (RESP) and asks PING."""

from __future__ import annotations

import asyncio

from chaoskit.clock import monotonic_ns
from chaoskit.engines.line import Answer, Line, Way, connect, watch_end
from chaoskit.model.estate import Address


class RedisLine(Line):
    """Every answer counts, an error too (NOAUTH, LOADING): the server spoke."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, address: Address, within_s: float) -> RedisLine:
        """Connect. Raises NoLine."""
        return cls(*await connect(address, within_s))

    async def ask(self, within_s: float) -> Answer:
        return await self._exchange(_command(b"PING"), within_s)

    async def move(self, size: int, way: Way, within_s: float) -> Answer:
        """One script with a long argument, or with a long answer; it touches no data."""
        if way == "requests":
            command = _command(b"EVAL", b"return 1", b"0", b"x" * size)
        else:
            command = _command(b"EVAL", f"return string.rep('x', {size})".encode(), b"0")
        return await self._exchange(command, within_s, size)

    async def ending(self, within_s: float) -> Answer:
        return await watch_end(self._reader, within_s)

    def close(self) -> None:
        self._writer.transport.abort()

    async def _exchange(self, command: bytes, within_s: float, size: int = 0) -> Answer:
        asked = monotonic_ns()
        try:
            async with asyncio.timeout(within_s):
                self._writer.write(command)
                line = await self._reader.readline()
                if line.startswith(b"$") and line.endswith(b"\r\n"):
                    left = int(line[1:]) + 2
                    while left > 0 and (data := await self._reader.read(min(left, 65536))):
                        left -= len(data)
                    line = line if left <= 0 else b""
        except TimeoutError:
            return Answer("silent", asked, monotonic_ns(), f"no answer within {within_s:g} s")
        except ConnectionResetError:
            return Answer("reset", asked, monotonic_ns(), "connection reset by peer")
        except (OSError, ValueError) as error:
            return Answer("closed", asked, monotonic_ns(), str(error))
        if not line.endswith(b"\r\n"):
            return Answer("closed", asked, monotonic_ns(), "closed instead of answering")
        if line[:1] not in (b"+", b"-", b":", b"$", b"*"):
            return Answer("closed", asked, monotonic_ns(), "answered something else than Redis's protocol")
        words = line.decode(errors="replace").strip()
        return Answer("answered", asked, monotonic_ns(), f"Redis answered {words[:40]}", size)


def _command(*words: bytes) -> bytes:
    parts = (b"$%d\r\n%b\r\n" % (len(word), word) for word in words)
    return b"*%d\r\n%b" % (len(words), b"".join(parts))
