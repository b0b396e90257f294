"""One proxy: a listener, its toxics and its open connections."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass, field
from typing import Any

from chaoskit.toxiproxy.server.address import Address, bind, bound_address
from chaoskit.toxiproxy.server.connection import Connection, End
from chaoskit.toxiproxy.server.metrics import Metrics, Traffic
from chaoskit.toxiproxy.server.toxic import DIRECTIONS, Toxic

#: The real server waits as long as the kernel does, two minutes, and accepts nobody else meanwhile.
DIAL_TIMEOUT_S = 10.0


@dataclass(frozen=True)
class World:
    """What every proxy of one server shares: the seed of all chance, the counters and the dial timeout."""

    seed: int
    metrics: Metrics = field(default_factory=Metrics)
    dial_timeout_s: float = DIAL_TIMEOUT_S


class Proxy:
    """All changes are made at once, between two turns of the event loop; none waits for a connection."""

    def __init__(self, world: World, name: str, listen: str, upstream: str) -> None:
        self.world = world
        self.name = name
        self.listen = listen
        self.upstream = upstream
        self.enabled = False
        self.toxics: list[Toxic] = []
        self.connections: set[Connection] = set()
        self._server: asyncio.AbstractServer | None = None
        self._accepted = 0

    @property
    def seed(self) -> int:
        return self.world.seed

    @property
    def dial_timeout_s(self) -> float:
        return self.world.dial_timeout_s

    def traffic(self, direction: str) -> Traffic:
        """The counter of a direction, under the addresses of now."""
        return self.world.metrics.traffic((direction, self.name, self.listen, self.upstream))

    async def start(self, listener: socket.socket) -> None:
        """Accept clients on a socket that already listens."""
        self.listen = str(bound_address(listener))
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._accept, sock=listener)
        self.enabled = True

    def stop(self) -> None:
        """Refuse new clients and close the open connections."""
        self.enabled = False
        if self._server is not None:
            self._server.close()
            self._server = None
        self.close_connections()

    def close_connections(self) -> None:
        """Close every open connection, now."""
        for connection in list(self.connections):
            connection.abort()

    async def update(self, listen: Address | None, upstream: str, enabled: bool) -> None:
        """Change all or nothing: `ApiError` 500 when the new address cannot be had, with everything as it was.

        `listen` is None when it stays. A new address or upstream closes the open connections.
        """
        moved = upstream != self.upstream or listen is not None
        listener = None
        if enabled and (listen is not None or not self.enabled):
            listener = bind(listen or Address.parse(self.listen, "listen"))
        if moved and self.enabled and enabled and listener is None:
            self.upstream = upstream
            self.close_connections()
            return
        if listener is not None or not enabled:
            self.stop()
        self.upstream = upstream
        if listen is not None:
            self.listen = str(listen)
        if listener is not None:
            await self.start(listener)

    def toxics_of(self, direction: str) -> list[Toxic]:
        """The toxics of one direction, in the order they were added."""
        return [toxic for toxic in self.toxics if toxic.direction == direction]

    def toxic(self, name: str) -> Toxic | None:
        return next((toxic for toxic in self.toxics if toxic.name == name), None)

    def put_toxic(self, toxic: Toxic) -> None:
        """Add a toxic, or replace the one of that name; open connections follow at once."""
        known = [other.name for other in self.toxics]
        if toxic.name in known:
            self.toxics[known.index(toxic.name)] = toxic
        else:
            self.toxics.append(toxic)
        order = [other.name for other in self.toxics_of(toxic.direction)]
        for connection in list(self.connections):
            connection.flows[toxic.direction].apply(toxic, order)

    def remove_toxic(self, toxic: Toxic) -> None:
        """Remove a toxic from the proxy and from its open connections."""
        self.toxics.remove(toxic)
        for connection in list(self.connections):
            connection.flows[toxic.direction].remove(toxic.name)

    def as_json(self) -> dict[str, Any]:
        """In the real server's field order, upstream toxics first."""
        toxics = [toxic.as_json() for direction in DIRECTIONS for toxic in self.toxics_of(direction)]
        return {
            "name": self.name,
            "listen": self.listen,
            "upstream": self.upstream,
            "enabled": self.enabled,
            "Logger": {},  # a private field that the real server leaks; kept so that bodies are equal
            "toxics": toxics,
        }

    def _accept(self) -> End:
        self._accepted += 1
        return Connection(self, self._accepted).client
