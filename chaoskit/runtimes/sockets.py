"""Listening TCP sockets as /proc/net shows them, and which of them belong to a process tree."""

from __future__ import annotations

import os
import re
import socket
import sys
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

_LISTEN = "0A"
_INODE = re.compile(r"socket:\[(\d+)\]")


@dataclass(frozen=True)
class Listener:
    """A listening socket."""

    host: str
    port: int
    inode: int

    @property
    def everywhere(self) -> bool:
        """Bound to all addresses."""
        return self.host in ("0.0.0.0", "::")

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def _host(text: str) -> str:
    """The kernel prints addresses as words of 32 bits in the machine's own byte order."""
    words = (int(text[i : i + 8], 16) for i in range(0, len(text), 8))
    raw = b"".join(word.to_bytes(4, sys.byteorder) for word in words)
    return socket.inet_ntop(socket.AF_INET if len(raw) == 4 else socket.AF_INET6, raw)


def listening(of: int | None = None) -> tuple[Listener, ...]:
    """Every listening TCP socket, IPv4 and IPv6, of this network namespace or of that of process `of`; none of one
    that has ended.
    """
    found = []
    folder = "/proc/net" if of is None else f"/proc/{of}/net"
    for name in ("tcp", "tcp6"):
        with (
            suppress(FileNotFoundError, ProcessLookupError),
            open(f"{folder}/{name}", encoding="ascii") as file,
        ):
            for line in file.readlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTEN:
                    host, _, port = fields[1].partition(":")
                    found.append(Listener(_host(host), int(port, 16), int(fields[9])))
    return tuple(found)


def listening_of(pids: Iterable[int]) -> tuple[Listener, ...]:
    """The listening sockets that these processes hold open."""
    inodes = set()
    for pid in pids:
        with suppress(OSError):
            for name in os.listdir(f"/proc/{pid}/fd"):  # noqa: PTH208
                with suppress(OSError):
                    match = _INODE.match(os.readlink(f"/proc/{pid}/fd/{name}"))  # noqa: PTH115
                    if match:
                        inodes.add(int(match[1]))
    return tuple(listener for listener in listening() if listener.inode in inodes)
