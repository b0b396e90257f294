"""A connection on which an attacker's requests go out one after the other."""

from __future__ import annotations

import asyncio
import json
from typing import Any

_ANSWER_S = 2.0
_ANSWER_MAX = 65536


class Caller:
    """Opened when it is needed, and again after anything went wrong."""

    def __init__(self, host: str, port: int, name: str) -> None:
        self._host, self._port, self._name = host, port, name
        self._ends: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(
        self, method: str, path: str, source: str, body: Any = None, token: str = ""
    ) -> tuple[int, dict[str, Any]]:
        """(status, JSON object of the answer); status 0 when there was none in time."""
        text = b"" if body is None else json.dumps(body).encode()
        head = f"{method} {path} HTTP/1.1\r\nHost: {self._name}\r\nX-Forwarded-For: {source}\r\n"
        head += f"Content-Length: {len(text)}\r\n"
        if text:
            head += "Content-Type: application/json\r\n"
        if token:
            head += f"Authorization: Bearer {token}\r\n"
        try:
            async with asyncio.timeout(_ANSWER_S):
                return await self._exchange(f"{head}\r\n".encode() + text)
        except (TimeoutError, OSError, EOFError, ValueError, IndexError, asyncio.LimitOverrunError):
            self.close()
            return 0, {}

    def close(self) -> None:
        """Hang up."""
        ends, self._ends = self._ends, None
        if ends is not None:
            ends[1].transport.abort()

    async def _exchange(self, request: bytes) -> tuple[int, dict[str, Any]]:
        if self._ends is None:
            self._ends = await asyncio.open_connection(self._host, self._port)
        reader, writer = self._ends
        writer.write(request)
        lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        fields = {
            name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])
        }
        length = int(fields.get("content-length", 0))
        if length > _ANSWER_MAX or "transfer-encoding" in fields:
            self.close()  # the status is enough; the rest is not waited for
            return int(lines[0].split()[1]), {}
        text = await reader.readexactly(length)
        if fields.get("connection", "").lower() == "close":
            self.close()
        return int(lines[0].split()[1]), _object(text)


def _object(text: bytes) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
