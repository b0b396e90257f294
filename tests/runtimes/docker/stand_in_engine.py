"""An engine that only says what it is told to say, on a Unix socket or a port: for what preflight must refuse.

It touches no container and no real engine.
"""

from __future__ import annotations

import json
import platform
import socketserver
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

Answers = Mapping[str, tuple[int, Any]]


def sound() -> dict[str, tuple[int, Any]]:
    """What an engine of this machine says that has the images `web:1` and `toxiproxy:2.12.0` and runs nothing."""
    info = {
        "OSType": "linux",
        "OperatingSystem": "Debian",
        "KernelVersion": platform.release(),
        "DockerRootDir": "/",
    }
    return {
        "/version": (200, {"ApiVersion": "1.41", "Version": "20.10.24"}),
        "/v1.41/info": (200, info),
        "/v1.41/networks/bridge": (200, {"IPAM": {"Config": [{"Gateway": "127.0.0.1"}]}}),
        "/v1.41/containers/json": (200, []),
        "/v1.41/images/web%3A1/json": (200, {"Id": "1"}),
        "/v1.41/images/toxiproxy%3A2.12.0/json": (200, {"Id": "2"}),
    }


@contextmanager
def engine(answers: Answers, path: Path | None = None) -> Iterator[str]:
    """The URL of one that answers those paths and 404 to all others; a status of 0 never answers."""
    done = threading.Event()

    class Handler(_Handler):
        said = answers
        ended = done

    class Unix(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
        daemon_threads = True

    class Port(socketserver.ThreadingMixIn, socketserver.TCPServer):
        daemon_threads = True

    server = Unix(str(path), Handler) if path else Port(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"unix://{path}" if path else f"tcp://127.0.0.1:{server.socket.getsockname()[1]}"
    finally:
        done.set()
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    said: Answers
    ended: threading.Event

    def address_string(self) -> str:
        return "socket"

    def log_message(self, format: str, *args: Any) -> None:
        """Nobody reads it."""

    def do_GET(self) -> None:
        status, answer = self.said.get(self.path.partition("?")[0], (404, {"message": "no such thing"}))
        if status == 0:
            self.ended.wait(30)
            return
        data = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
