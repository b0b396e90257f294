"""One GET over a connection of its own, and the JSON document that it is answered with."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httptools

from chaoskit.engines.line import NoLine, connect
from chaoskit.model.estate import Address

_BYTES_MAX = 65536


class _Body:
    def __init__(self) -> None:
        self.text = b""
        self.whole = False

    def on_body(self, part: bytes) -> None:
        self.text += part

    def on_message_complete(self) -> None:
        self.whole = True


async def document(address: Address, path: str, host: str, within_s: float) -> Any:
    """The answer's JSON whatever its status; None when nobody answers in time, or with something else."""
    try:
        async with asyncio.timeout(within_s):
            reader, writer = await connect(address, within_s)
            try:
                head = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: chaoskit\r\nConnection: close\r\n\r\n"
                writer.write(head.encode())
                return await _read(reader)
            finally:
                writer.transport.abort()
    except (NoLine, OSError, TimeoutError, ValueError, httptools.HttpParserError):
        return None


async def _read(reader: asyncio.StreamReader) -> Any:
    body = _Body()
    parser = httptools.HttpResponseParser(body)
    while not body.whole and len(body.text) <= _BYTES_MAX and (data := await reader.read(_BYTES_MAX)):
        parser.feed_data(data)
    return json.loads(body.text) if body.whole else None
