"""`python watched_web.py HOST PORT`: files of the working folder, log-ins, and a feed that counts by source.

The password `right` lets anybody in; what a session is used for is counted as `used`. From the fifth request on a
source is alerted about and refused.
"""

from __future__ import annotations

import http.server
import json
import sys
import threading
import time
from typing import Any

SOURCES: dict[str, dict[str, int]] = {}
ALERTS: list[dict[str, Any]] = []
LOCK = threading.Lock()
MANY = 5


class Handler(http.server.SimpleHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Silent."""

    def do_GET(self) -> None:
        if self.path != "/watch":
            self._counted()
            super().do_GET()
            return
        with LOCK:
            text = json.dumps({"sources": SOURCES, "alerts": ALERTS})
        self._say(200, text)

    def do_POST(self) -> None:
        counts = self._counted()
        said = json.loads(self.rfile.read(int(self.headers["content-length"])) or "null")
        if counts["asked"] >= MANY:
            counts["refused"] += 1
            self._say(429, "{}")
        elif self.headers.get("authorization") == "Bearer t":
            counts["used"] = counts.get("used", 0) + 1
            self._say(201, "{}")
        elif isinstance(said, dict) and said.get("password") == "right":
            counts["let_in"] += 1
            self._say(200, json.dumps({"token": "t", "customer": said["customer"]}))
        else:
            counts["failed"] += 1
            self._say(401, "{}")

    def _counted(self) -> dict[str, int]:
        source = self.headers.get("x-forwarded-for", "nobody")
        with LOCK:
            counts = SOURCES.setdefault(source, {"asked": 0, "refused": 0, "failed": 0, "let_in": 0})
            counts["asked"] += 1
            if counts["asked"] == MANY:
                for kind in ("alert", "block"):
                    about = {"source": source, "customer": None, "at_ns": time.monotonic_ns()}
                    ALERTS.append({"kind": kind, "what": f"{source} asks too much", **about})
        return counts

    def _say(self, status: int, text: str) -> None:
        self.send_response(status)
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())


if __name__ == "__main__":
    http.server.ThreadingHTTPServer((sys.argv[1], int(sys.argv[2])), Handler).serve_forever()
