"""One HTTP request with a body and its whole answer, on a connection of its own."""

from __future__ import annotations

import asyncio

import httptools

from chaoskit.engines.line import NoLine, connect
from chaoskit.model.estate import Address

_ANSWER_MAX = 4 * 1024 * 1024


class NoExchange(Exception):
    """No whole answer: refused, silent, cut off, or no HTTP."""


class _Answer:
    def __init__(self) -> None:
        self.body = bytearray()
        self.status = 0
        self.complete = False
        self.parser = httptools.HttpResponseParser(self)

    def on_headers_complete(self) -> None:
        self.status = self.parser.get_status_code()

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.complete = True


async def exchange(
    address: Address, method: str, path: str, body: bytes = b"", *, host: str, within_s: float
) -> tuple[int, bytes]:
    """(status, body). Raises NoExchange."""
    head = f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: chaoskit\r\nConnection: close\r\n"
    if body:
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    answer = _Answer()
    try:
        async with asyncio.timeout(within_s):
            reader, writer = await connect(address, within_s)
            try:
                writer.write(head.encode() + b"\r\n" + body)
                while not answer.complete and len(answer.body) <= _ANSWER_MAX:
                    if not (data := await reader.read(65536)):
                        raise NoExchange("closed before the whole answer")
                    answer.parser.feed_data(data)
            finally:
                writer.transport.abort()
    except TimeoutError:
        raise NoExchange(f"no answer within {within_s:g} s") from None
    except (NoLine, OSError, httptools.HttpParserError) as error:
        raise NoExchange(str(error) or type(error).__name__) from error
    if not answer.complete:
        raise NoExchange("an answer of more than 4 MB")
    return answer.status, bytes(answer.body)
