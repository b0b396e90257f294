"""The two ends of a proxied connection, and plain HTTP to the server, as tests need them."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from chaoskit.toxiproxy.process import ServerProcess

#: No wait in these tests is longer; none is expected to come near it.
PATIENCE_S = 20.0


class Upstream:
    """A callee whose side of every connection the test holds in its hand."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._listener.settimeout(PATIENCE_S)
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"

    def accept(self) -> socket.socket:
        peer, _ = self._listener.accept()
        peer.settimeout(PATIENCE_S)
        return peer

    def close(self) -> None:
        self._listener.close()


@contextmanager
def upstream() -> Iterator[Upstream]:
    made = Upstream()
    try:
        yield made
    finally:
        made.close()


def connect(listen: str) -> socket.socket:
    host, _, port = listen.rpartition(":")
    peer = socket.create_connection((host, int(port)), timeout=PATIENCE_S)
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return peer


def read_exactly(peer: socket.socket, count: int) -> bytes:
    """That many bytes; raises EOFError when the stream ends before."""
    parts = []
    while count:
        part = peer.recv(min(count, 1 << 16))
        if not part:
            raise EOFError(f"the stream ended {count} bytes early")
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def read_to_end(peer: socket.socket) -> bytes:
    """Everything up to the end of the stream; a reset is raised."""
    parts = []
    while part := peer.recv(1 << 16):
        parts.append(part)
    return b"".join(parts)


def silent(peer: socket.socket, seconds: float) -> bool:
    """Whether nothing, no byte and no end, arrives for that long."""
    peer.settimeout(seconds)
    try:
        peer.recv(1)
    except TimeoutError:
        return True
    finally:
        peer.settimeout(PATIENCE_S)
    return False


def refused(listen: str) -> bool:
    try:
        connect(listen).close()
    except ConnectionRefusedError:
        return True
    return False


def send_in_background(peer: socket.socket, data: bytes) -> threading.Thread:
    """Send without waiting for the reader; a closed connection ends it quietly."""

    def send() -> None:
        try:
            peer.sendall(data)
        except OSError:
            pass

    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    return thread


@dataclass(frozen=True)
class Answer:
    status: int
    content_type: str
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


def call(server: ServerProcess, method: str, path: str, body: Any = None, agent: str = "test") -> Answer:
    """One request as it is, without the adapter; a `str` body is sent unchanged."""
    data = body if body is None or isinstance(body, str) else json.dumps(body)
    link = http.client.HTTPConnection(server.host, server.port, timeout=PATIENCE_S)
    try:
        link.request(method, path, body=data, headers={"User-Agent": agent})
        response = link.getresponse()
        return Answer(response.status, response.getheader("Content-Type", ""), response.read().decode())
    finally:
        link.close()
