"""`host:port` as text, resolved, and bound."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import socket
from dataclasses import dataclass

from chaoskit.toxiproxy.server.wire import ApiError

#: As many waiting connections as Linux allows by default.
BACKLOG = 4096


@dataclass(frozen=True)
class Address:
    """A host (name or literal, never empty) and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @classmethod
    def parse(cls, text: str, what: str) -> Address:
        """From `host:port`, `[v6]:port` or `:port` (loopback). Raises `ApiError` 400 that names `what`."""
        host, colon, port = text.rpartition(":")
        host = host.removeprefix("[").removesuffix("]")
        if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
            raise ApiError(f'{what} must be "host:port", not "{text}"', 400)
        return cls(host or "127.0.0.1", int(port))


async def resolve_listen(text: str) -> Address:
    """The address to listen on, with the host as an IP literal; IPv4 is preferred, as on the real server.

    An empty text is a free loopback port: the real server would listen on every interface of the machine.
    """
    wanted = Address.parse(text or "127.0.0.1:0", "listen")
    try:
        return Address(str(ipaddress.ip_address(wanted.host)), wanted.port)
    except ValueError:
        pass
    try:
        found = await asyncio.get_running_loop().getaddrinfo(
            wanted.host, wanted.port, type=socket.SOCK_STREAM
        )
    except OSError:
        raise ApiError(f"lookup {wanted.host}: no such host", 500) from None
    hosts = sorted(found, key=lambda entry: entry[0] != socket.AF_INET)
    return Address(str(hosts[0][4][0]), wanted.port)


def bind(address: Address) -> socket.socket:
    """A non-blocking listening socket. Raises `ApiError` 500 in the real server's words when it cannot be had."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        # A proxy that is enabled again must get its port although old connections linger on it.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address.host, address.port))
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        reason = os.strerror(error.errno or 0)
        raise ApiError(f"listen tcp {address}: bind: {reason[:1].lower()}{reason[1:]}", 500) from None
    return listener


def bound_address(listener: socket.socket) -> Address:
    """Where a listening socket really listens, port 0 resolved."""
    host, port = listener.getsockname()[:2]
    return Address(host, port)
