"""A client, its upstream, and the two flows between them.

    client ──────► Flow "upstream" ──────► upstream
    client ◄────── Flow "downstream" ◄──── upstream

Each side may close its half: the end travels through the chain like bytes do. The connection is over when both
ends have arrived, or when a side is lost and what was read from it has been delivered.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
from typing import TYPE_CHECKING, cast

from chaoskit.toxiproxy.server.address import Address
from chaoskit.toxiproxy.server.flow import Flow
from chaoskit.toxiproxy.server.toxic import DIRECTIONS, DOWNSTREAM, UPSTREAM

if TYPE_CHECKING:
    from chaoskit.toxiproxy.server.proxy import Proxy

#: Bytes a sink may hold before its source is no longer read. Measured: above it, throughput on a busy machine falls.
SINK_BYTES_MAX = 128 * 1024

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class End(asyncio.Protocol):
    """One socket of a connection: `reads` takes bytes from it, `writes` brings bytes to it."""

    def __init__(self, connection: Connection, reads: Flow, writes: Flow) -> None:
        self.connection = connection
        self.reads = reads
        self.writes = writes
        self.transport: asyncio.Transport | None = None
        self.lost = False
        # Bytes take the shortest way: the event loop calls the flow itself.
        self.data_received = reads.read  # type: ignore[method-assign]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.set_write_buffer_limits(high=SINK_BYTES_MAX)
        self.reads.source = self.transport
        self.writes.sink = self.transport
        self.connection.end_made(self)

    def eof_received(self) -> bool:
        self.reads.end()
        return True  # keep the other half open

    def pause_writing(self) -> None:
        self.writes.sink_full = True
        self.writes.balance()

    def resume_writing(self) -> None:
        self.writes.sink_full = False
        self.writes.balance()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.lost:
            self.lost = True
            self.connection.end_lost(self)

    def let_go(self) -> None:
        """The connection is over."""
        self.transport = None
        del self.connection


class Connection:
    """Lives from the accepted client until both sockets are gone."""

    def __init__(self, proxy: Proxy, number: int) -> None:
        self.proxy = proxy
        self.number = number
        self.flows = {direction: Flow(self, proxy.traffic(direction)) for direction in DIRECTIONS}
        self.client = End(self, self.flows[UPSTREAM], self.flows[DOWNSTREAM])
        self.upstream = End(self, self.flows[DOWNSTREAM], self.flows[UPSTREAM])
        self._dial: asyncio.Task[None] | None = None
        self._closed = False

    def dice(self, toxic_name: str) -> random.Random:
        """The source of chance for one toxic on this connection; the same seed gives the same drill."""
        return random.Random(f"{self.proxy.seed}/{self.proxy.name}/{toxic_name}/{self.number}")

    def end_made(self, end: End) -> None:
        """The client was accepted: dial. The upstream was reached: let bytes flow."""
        if end is self.client:
            self.proxy.connections.add(self)
            self._dial = asyncio.get_running_loop().create_task(self._dial_upstream())
            return
        if self._closed:
            # The dial was answered in the same turn in which the connection was closed.
            end.transport.abort()  # type: ignore[union-attr]
            return
        for direction in DIRECTIONS:
            self.flows[direction].open(self.proxy.toxics_of(direction))

    def end_lost(self, end: End) -> None:
        """A socket is gone: deliver what was read from it, forget what was meant for it."""
        end.writes.die()
        end.reads.end()
        if end.reads.done:
            self.close()
        self._forget_if_over()

    def flow_done(self, flow: Flow) -> None:
        """The end of the stream reached a sink: close that half, or all when nothing is left to do."""
        back = self.flows[DOWNSTREAM if flow is self.flows[UPSTREAM] else UPSTREAM]
        if flow.closing or back.done or back.dead:
            self.close()
        elif flow.sink is not None and not flow.sink.is_closing():
            flow.sink.write_eof()

    def close(self) -> None:
        """Close both sockets once what was handed to them is sent."""
        self._shut()
        for transport in self._transports():
            transport.close()

    def abort(self) -> None:
        """Close both sockets now."""
        self._shut()
        if self._dial is not None:
            self._dial.cancel()
        for transport in self._transports():
            transport.abort()

    def reset(self) -> None:
        """Close both sockets now, with a TCP reset instead of an orderly end."""
        for transport in self._transports():
            opened = transport.get_extra_info("socket")
            with contextlib.suppress(OSError):
                opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self.abort()

    def _transports(self) -> list[asyncio.Transport]:
        ends = (self.client, self.upstream)
        return [end.transport for end in ends if end.transport is not None and not end.lost]

    async def _dial_upstream(self) -> None:
        try:
            target = Address.parse(self.proxy.upstream, "upstream")
            async with asyncio.timeout(self.proxy.dial_timeout_s):
                loop = asyncio.get_running_loop()
                await loop.create_connection(lambda: self.upstream, target.host, target.port)
        except (OSError, TimeoutError, UnicodeError):
            # A dead callee behind a proxy looks like this on the real server too: accepted, then closed.
            self.close()
        except asyncio.CancelledError:
            # Of a transport that it ends with its dial, the event loop tells its protocol nothing.
            self.upstream.lost = True
            raise
        finally:
            self._dial = None
            self._forget_if_over()

    def _shut(self) -> None:
        self._closed = True
        for flow in self.flows.values():
            flow.cancel()
            flow.done = True

    def _forget_if_over(self) -> None:
        over = self._dial is None and (self.upstream.lost or self.upstream.transport is None)
        if self.client.lost and over and self in self.proxy.connections:
            self.proxy.connections.discard(self)
            # What points at itself waits for the collector, whose pause grows with what is open and holds up all.
            for flow in self.flows.values():
                flow.let_go()
            self.client.let_go()
            self.upstream.let_go()
