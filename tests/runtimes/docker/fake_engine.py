"""An engine of the size of its janitor: containers, networks and volumes with labels, as slow as it is told.

It never touches the real one: how a janitor copes with an engine that hangs must not be tried on what others use.
"""

from __future__ import annotations

import json
import re
import socketserver
import threading
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

_PATH = re.compile(r"/v[\d.]+/(containers|networks|volumes)(?:/([^/?]+))?(?:/(\w+))?")


class FakeEngine:
    """`objects[kind][id]` are labels; `delay_s` by name is waited before the work, `hung` keeps every answer."""

    def __init__(self, path: Path) -> None:
        self.url = f"unix://{path}"
        self.objects: dict[str, dict[str, dict[str, str]]] = {"containers": {}, "networks": {}, "volumes": {}}
        self.delay_s: dict[str, float] = {}
        self.refuse: dict[str, int] = {}
        self.asked: list[str] = []
        self.hung = threading.Event()
        self._lock = threading.Lock()
        engine = self

        class Handler(_Handler):
            fake = engine

        class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
            daemon_threads = True

        self._server = Server(str(path), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def add(self, kind: str, name: str, labels: dict[str, str]) -> None:
        """Put an object there as if somebody had made it."""
        with self._lock:
            self.objects[kind][name] = dict(labels)

    def names(self) -> list[str]:
        """Of everything that is there."""
        with self._lock:
            return sorted(name for held in self.objects.values() for name in held)

    def close(self) -> None:
        """Answer nobody any more; the socket's file goes."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        Path(self.url.removeprefix("unix://")).unlink()

    def answer(self, method: str, target: str, body: Any) -> tuple[int, Any]:
        """Status and what to say."""
        parts = urlsplit(target)
        found = _PATH.fullmatch(parts.path)
        assert found, target
        kind, name, verb = found.groups()
        with self._lock:
            self.asked.append(f"{method} {parts.path}")
        while self.hung.is_set():
            time.sleep(0.01)
        time.sleep(self.delay_s.get(body["Name"] if body else name or "", 0.0))
        with self._lock:
            if method == "GET" and name not in (None, "json"):
                return 200, {"Containers": {}}
            if method == "GET":
                return 200, self._listing(kind, json.loads(parse_qs(parts.query)["filters"][0])["label"])
            if method == "POST" and (name == "create" or verb == "create"):
                made = body["Name"]
                self.objects[kind][made] = body["Labels"]
                return 201, {"Id": made}
            if name in self.refuse:
                return self.refuse[name], {"message": f"cannot remove {name}"}
            return (
                (204, None)
                if self.objects[kind].pop(name, None) is not None
                else (404, {"message": "no such"})
            )

    def _listing(self, kind: str, selector: list[str]) -> Any:
        wanted = [one.partition("=") for one in selector]
        held = {
            name: labels
            for name, labels in self.objects[kind].items()
            if all(key in labels and (not sign or labels[key] == value) for key, sign, value in wanted)
        }
        if kind == "volumes":
            return {"Volumes": [{"Name": name, "Labels": labels} for name, labels in held.items()] or None}
        return [
            {"Id": name, "Name": name, "Names": [f"/{name}"], "Labels": labels}
            for name, labels in held.items()
        ]


class _Handler(BaseHTTPRequestHandler):
    fake: FakeEngine

    def address_string(self) -> str:
        return "socket"

    def log_message(self, format: str, *args: Any) -> None:
        """Nobody reads it."""

    def _do(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        status, answer = self.fake.answer(self.command, self.path, body)
        data = b"" if answer is None else json.dumps(answer).encode()
        try:
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)
        except OSError:  # whoever asked has gone
            self.close_connection = True

    do_GET = do_POST = do_DELETE = _do
