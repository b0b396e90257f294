"""A Toxiproxy server as a child process, embedded or real, started on a free port and always stopped."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from chaoskit.toxiproxy.client import Toxiproxy
from chaoskit.toxiproxy.errors import ServerStartError, ServerUnreachable

START_DEADLINE_S = 20.0
STOP_DEADLINE_S = 5.0
_LISTENING = re.compile(rb"listening on \S+:(\d+)")


def find_real_server(checkout: Path | None = None) -> Path:
    """The `toxiproxy-server` binary: `.tools/` of the checkout first, then PATH. Raises `ServerStartError`."""
    kept = (checkout or Path.cwd()) / ".tools" / "toxiproxy-server"
    if os.access(kept, os.X_OK):
        return kept
    found = shutil.which("toxiproxy-server")
    if found is None:
        raise ServerStartError("no toxiproxy-server in .tools or on PATH: run scripts/get-toxiproxy")
    return Path(found)


class ServerProcess:
    """Use as a context manager; `api` drives the server, `pid` names the process."""

    def __init__(self, command: Sequence[str], host: str, port: int) -> None:
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 (closed in stop)
        self._process = subprocess.Popen(
            list(command), stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log
        )
        self.host = host
        try:
            self.port = port or self._port_from_log()
            self.api = Toxiproxy(host, self.port)
            self._wait_answering()
        except BaseException:
            self.stop()
            raise

    @classmethod
    def embedded(cls, host: str = "127.0.0.1", seed: int = 0) -> Self:
        """The embedded server on a free port."""
        command = [
            sys.executable,
            "-m",
            "chaoskit.toxiproxy",
            "--host",
            host,
            "--port",
            "0",
            "--seed",
            str(seed),
        ]
        return cls(command, host, 0)

    @classmethod
    def real(cls, binary: Path, host: str = "127.0.0.1") -> Self:
        """The real server with its byte counters on; it cannot choose a port itself, so one is tried."""
        for attempt in range(5):
            port = _free_port(host)
            try:
                return cls([str(binary), "-host", host, "-port", str(port), "-proxy-metrics"], host, port)
            except ServerStartError:
                if attempt == 4:
                    raise
        raise AssertionError("unreachable")

    @property
    def pid(self) -> int:
        return self._process.pid

    def log(self) -> str:
        """Everything the server has printed."""
        return self._log_bytes().decode("utf-8", "replace")

    def stop(self) -> int:
        """Stop the server (SIGTERM, then SIGKILL) and answer its exit code; safe to call twice."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(STOP_DEADLINE_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
        code = self._process.wait()
        self._log.close()
        return code

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _log_bytes(self) -> bytes:
        # pread: the child shares the file's position and goes on writing.
        return os.pread(self._log.fileno(), 1 << 20, 0)

    def _port_from_log(self) -> int:
        for _ in range(int(START_DEADLINE_S * 100)):
            found = _LISTENING.search(self._log_bytes())
            if found:
                return int(found[1])
            self._require_alive()
            try:
                self._process.wait(0.01)
            except subprocess.TimeoutExpired:
                pass
        raise ServerStartError(f"the server did not say where it listens:\n{self.log()}")

    def _wait_answering(self) -> None:
        for _ in range(int(START_DEADLINE_S * 20)):
            self._require_alive()
            try:
                self.api.wait_ready(0.05)
                break
            except ServerUnreachable:
                continue
        else:
            raise ServerStartError(f"the server on port {self.port} did not answer:\n{self.log()}")
        # The real server goes on without an API when its port is taken, and then another one has answered.
        if "Server finished with error" in self.log():
            raise ServerStartError(f"port {self.port} was taken:\n{self.log()}")

    def _require_alive(self) -> None:
        if self._process.poll() is not None:
            raise ServerStartError(f"the server exited with {self._process.returncode}:\n{self.log()}")


def _free_port(host: str) -> int:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])
