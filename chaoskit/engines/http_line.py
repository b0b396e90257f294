"""A kept-alive HTTP/1.1 connection that asks for one path."""

from __future__ import annotations

import asyncio

import httptools

from chaoskit.clock import monotonic_ns
from chaoskit.engines.line import Answer, Line, Way, connect, watch_end
from chaoskit.model.estate import Address

_PADDING = 1024
_PIPELINE_MAX = 4096


class _Answers:
    """Counts whole answers; `status` is that of the last one."""

    def __init__(self) -> None:
        self.whole = 0
        self.status = 0
        self.parser = httptools.HttpResponseParser(self)

    def on_headers_complete(self) -> None:
        self.status = self.parser.get_status_code()

    def on_message_complete(self) -> None:
        self.whole += 1


class HttpLine(Line):
    """Asks `GET path`; every answer counts, whatever its status: the service spoke."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, path: str
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: chaoskit\r\n"
        self._answer_bytes = 256
        self.status = 0

    @classmethod
    async def open(cls, address: Address, path: str, host: str, within_s: float) -> HttpLine:
        """Connect. Raises NoLine."""
        reader, writer = await connect(address, within_s)
        return cls(reader, writer, host, path)

    async def ask(self, within_s: float) -> Answer:
        answer = await self._exchange(self._request + "\r\n", 1, within_s)
        if answer.kind == "answered":
            self._answer_bytes = max(1, answer.bytes)
        return answer

    async def move(self, size: int, way: Way, within_s: float) -> Answer:
        """Many requests at once on this one connection, padded where it is the requests that must be large."""
        if way == "requests":
            request = self._request + f"X-Padding: {'x' * _PADDING}\r\n\r\n"
            count = min(_PIPELINE_MAX, -(-size // len(request)))
            answer = await self._exchange(request, count, within_s)
            return Answer(answer.kind, answer.asked_ns, answer.at_ns, answer.detail, count * len(request))
        count = min(_PIPELINE_MAX, -(-size // self._answer_bytes))
        return await self._exchange(self._request + "\r\n", count, within_s)

    async def ending(self, within_s: float) -> Answer:
        return await watch_end(self._reader, within_s)

    def close(self) -> None:
        self._writer.transport.abort()

    async def _exchange(self, request: str, count: int, within_s: float) -> Answer:
        asked = monotonic_ns()
        answers = _Answers()
        received = 0
        try:
            async with asyncio.timeout(within_s):
                self._writer.write(request.encode() * count)
                while answers.whole < count:
                    data = await self._reader.read(65536)
                    if not data:
                        return Answer(
                            "closed", asked, monotonic_ns(), "closed instead of answering", received
                        )
                    received += len(data)
                    answers.parser.feed_data(data)
        except TimeoutError:
            return Answer("silent", asked, monotonic_ns(), f"no answer within {within_s:g} s", received)
        except ConnectionResetError:
            return Answer("reset", asked, monotonic_ns(), "connection reset by peer", received)
        except OSError as error:
            return Answer("closed", asked, monotonic_ns(), str(error), received)
        except httptools.HttpParserError as error:
            return Answer(
                "closed", asked, monotonic_ns(), f"answered something else than HTTP: {error}", received
            )
        self.status = answers.status
        return Answer("answered", asked, monotonic_ns(), f"HTTP {answers.status}", received)
