"""Journeys of the tests' own, each wrong in one way."""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Any

from chaoskit.model.own import Address, Answer, Call


class Fine:
    """Says what it is told to over a line protocol: the key out, one line in."""

    def __init__(self, greeting: str = "") -> None:
        self.greeting = greeting

    async def connect(self, address: Address) -> None:
        self.reader, self.writer = await asyncio.open_connection(address.host, address.port)

    async def attempt(self, call: Call) -> Answer:
        self.writer.write(f"{self.greeting}{call.key} {call.values['account']}\n".encode())
        line = await self.reader.readline()
        if not line:
            raise EOFError("closed")
        return Answer("ok", read={"value": line.decode().strip()})

    async def close(self) -> None:
        self.writer.close()


class Blocking(Fine):
    async def attempt(self, call: Call) -> Answer:
        time.sleep(0.12)  # noqa: ASYNC251 - the mistake that must be noticed
        return Answer("ok")


class Leaving(Fine):
    async def attempt(self, call: Call) -> Answer:
        sys.exit(7)


class Wordless(Fine):
    async def attempt(self, call: Call) -> Any:
        return "ok"


class Stubborn(Fine):
    """Does not heed that its time is up."""

    async def attempt(self, call: Call) -> Answer:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            await asyncio.sleep(0.3)
        return Answer("ok")


class Synchronous:
    def connect(self, address: Address) -> None: ...

    def attempt(self, call: Call) -> None: ...

    def close(self) -> None: ...
