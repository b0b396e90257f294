"""A service for tests: answers GET with its name, and makes processes that are hard to find when asked to.

    python tiny_web.py HOST PORT [--tree] [--after SECONDS] [--shared NAME]

`--tree`: a child that forked twice and called setsid(), cleared its environment and went to /; that child has one, too.
"""

from __future__ import annotations

import http.server
import os
import sys
import time
from multiprocessing import shared_memory


class Answer(http.server.BaseHTTPRequestHandler):
    """200 to everything."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = f"{os.environ.get('GREETING', 'hello')}\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class Server(http.server.ThreadingHTTPServer):
    """No name look-up when it binds."""

    daemon_threads = True

    def server_bind(self) -> None:
        http.server.socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]


def hide() -> None:
    """A daemon that session, group, parent, environment and working directory all lose."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.chdir("/")
            sleeper = "import os, time; os.fork(); time.sleep(600)"
            os.execve(sys.executable, [sys.executable, "-S", "-c", sleeper], {})
        os._exit(0)
    os.wait()


def main() -> None:
    """Serve until killed."""
    host, port = sys.argv[1], int(sys.argv[2])
    if "--tree" in sys.argv:
        hide()
    if "--after" in sys.argv:
        time.sleep(float(sys.argv[sys.argv.index("--after") + 1]))
    if "--shared" in sys.argv:
        kept = shared_memory.SharedMemory(sys.argv[sys.argv.index("--shared") + 1], create=True, size=4096)
        print(kept.name)
    if "--crash" in sys.argv:
        sys.exit("cannot open the vault: no such key")
    print(f"serving {host}:{port}", flush=True)
    Server((host, port), Answer).serve_forever()


if __name__ == "__main__":
    main()
