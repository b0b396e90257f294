"""A server that is bad on schedule, and says exactly when: the truth that measured outages are held against.

    out: {"port": n}
    in:  {"trials": [{"kind": "refuse" | "503" | "hang", "start_ns": …, "end_ns": …}, …]}   CLOCK_MONOTONIC
    out: {"switches": [{"kind", "start": [before, after], "end": [before, after]}, …]}      what really happened

It answers `201` otherwise. `refuse`: the listener and every connection are closed. `503`: that status. `hang`: requests
are read, and answered at the end.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import time
from typing import Any, cast

import uvloop

from chaoskit.conductor.precision import Alarm, claim_descriptors
from chaoskit.processor import MEASURER, claim_processor, still_garbage

TURNS = 6
GOOD = b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}"
BAD = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"


class Server:
    """One listener whose mode a schedule switches."""

    def __init__(self) -> None:
        self.mode = "good"
        self.port = 0
        self.connections: set[asyncio.Transport] = set()
        self.held: list[asyncio.Transport] = []
        self.listener: asyncio.Server | None = None

    async def listen(self) -> None:
        bound = socket.socket()
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(("127.0.0.1", self.port))
        bound.listen(1024)  # from here on the kernel takes connections
        bound.setblocking(False)
        self.port = bound.getsockname()[1]
        self.listener = await asyncio.get_running_loop().create_server(lambda: Connection(self), sock=bound)

    async def switch(self, mode: str) -> tuple[int, int]:
        """Returns CLOCK_MONOTONIC before and after.

        Whatever came before is served as it was before, even if this process was held up meanwhile: an accept and a
        read take a turn of the loop each.
        """
        for _ in range(TURNS):
            await asyncio.sleep(0)
        before = time.monotonic_ns()
        if mode == "refuse":
            assert self.listener is not None
            self.listener.close()
            for transport in tuple(self.connections):
                transport.abort()
            await asyncio.sleep(0)  # uvloop closes sockets at the end of the turn
        elif self.mode == "refuse":
            await self.listen()
        self.mode = mode
        for transport in self.held:
            transport.write(GOOD)
        self.held.clear()
        await asyncio.sleep(0)
        return before, time.monotonic_ns()


class Connection(asyncio.Protocol):
    """Answers each segment that ends a request's headers; requests of this test have no long bodies."""

    def __init__(self, server: Server) -> None:
        self.server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.server.connections.add(self.transport)

    def data_received(self, data: bytes) -> None:
        if self.server.mode == "hang":
            self.server.held.append(self.transport)
        else:
            self.transport.write(BAD if self.server.mode == "503" else GOOD)

    def connection_lost(self, error: Exception | None) -> None:
        self.server.connections.discard(self.transport)
        if self.transport in self.server.held:
            self.server.held.remove(self.transport)


async def wait_until(at_ns: int) -> None:
    """Wakes precisely; never early."""
    reached = asyncio.Event()
    alarm = Alarm(asyncio.get_running_loop(), reached.set)
    alarm.set(at_ns)
    await reached.wait()
    alarm.close()


async def main() -> None:
    server = Server()
    await server.listen()
    print(json.dumps({"port": server.port}), flush=True)
    line = await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    claim_descriptors()
    still_garbage()
    claim_processor(MEASURER)
    switches: list[dict[str, Any]] = []
    for trial in json.loads(line)["trials"]:
        await wait_until(trial["start_ns"])
        start = await server.switch(trial["kind"])
        await wait_until(trial["end_ns"])
        end = await server.switch("good")
        switches.append({"kind": trial["kind"], "start": start, "end": end})
    print(json.dumps({"switches": switches}), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)  # until the harness is done


if __name__ == "__main__":
    uvloop.run(main())
