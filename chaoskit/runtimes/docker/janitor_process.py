"""The janitor of a docker run: a process that outlives its conductor by as long as cleaning up takes.

    conductor ──{"do": "close"}──► ┌─────────┐ ◄── pidfd: the conductor has ended, in whatever way
              ◄──{"left": […]}──── │ janitor │ ◄── end of file on the socket: the conductor has let go
                                   └─────────┘
                                        │ removes what carries the run's labels, over the engine's socket

In a session of its own, standard library only; SIGINT, SIGTERM and SIGHUP of the terminal are ignored. A pipe would not
do instead of the pidfd: every child that the conductor forks holds its other end open.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import sys
import time
import traceback
from dataclasses import dataclass
from functools import partial
from typing import Any

from chaoskit.errors import EnvironmentBroken
from chaoskit.runtimes.docker.engine_socket import EngineSocket
from chaoskit.runtimes.docker.janitor_record import JanitorRecord
from chaoskit.runtimes.docker.removal import QUIET_S, labelled, remove_all
from chaoskit.runtimes.process_table import alive

CLOSE_WITHIN_S = 45.0
"""How long a conductor that closes its run waits for what the engine will not remove."""
CLOSE_SILENT_S = 4.0
"""How long it waits for an engine that does not answer: a dead one has to be told of soon, and the sweep is for it."""
ORPHAN_WITHIN_S = 300.0
"""How long a janitor whose conductor is dead tries; an engine that was restarted answers within that."""


@dataclass
class JanitorProcess:
    """One run's janitor; `run` returns when everything of the run is gone, or it has given up."""

    control: socket.socket
    conductor: int
    record: JanitorRecord
    buffer: bytes = b""

    def run(self) -> int:
        """Wait for the end of the run; clean up. 0 if nothing is left."""
        self._send({"event": "watching"})
        why, request = self._until_the_end()
        _say(why)
        if request is not None:
            left = self._close(float(request.get("quiet_s", 0.0)))
            self._send({"left": left})
            return 1 if left else 0
        return self._clean_up()

    def _until_the_end(self) -> tuple[str, dict[str, Any] | None]:
        """Why the run has ended, and the request if the conductor has asked."""
        poll = select.poll()
        poll.register(self.control, select.POLLIN)
        poll.register(self.conductor, select.POLLIN)
        while True:
            ready = {fd for fd, _ in poll.poll()}
            if self.conductor in ready:
                return "the conductor ended", None
            chunk = b""
            with contextlib.suppress(OSError):
                chunk = self.control.recv(65536)
            if not chunk:
                return "the conductor let go", None
            self.buffer += chunk
            if b"\n" in self.buffer:
                return "asked by the conductor", json.loads(self.buffer.partition(b"\n")[0])

    def _close(self, quiet_s: float) -> list[str]:
        left = self._remove(quiet_s, CLOSE_WITHIN_S, CLOSE_SILENT_S) or self.record.remove_scratch()
        if not left:
            self.record.forget()
        return left

    def _clean_up(self) -> int:
        """Twice: what is there at once, then what was requested before the conductor died and appears later."""
        self._remove(0.0, ORPHAN_WITHIN_S)
        self.record.remove_scratch()
        left = self._remove(QUIET_S, ORPHAN_WITHIN_S) or self.record.remove_scratch()
        if left:
            _say(f"left behind: {'; '.join(left)}")
            return 1
        self.record.settle()
        _say("nothing is left")
        self.record.forget()
        return 0

    def _remove(self, quiet_s: float, within_s: float, silent_s: float | None = None) -> list[str]:
        engine = EngineSocket(self.record.engine)
        look = partial(labelled, engine, self.record.owner.selector)
        try:
            return remove_all(engine, look, quiet_s=quiet_s, within_s=within_s, silent_s=silent_s, tell=_say)
        except EnvironmentBroken as error:
            return [str(error)]

    def _send(self, message: dict[str, Any]) -> None:
        with contextlib.suppress(OSError):
            self.control.sendall(json.dumps(message).encode() + b"\n")


def _say(line: str) -> None:
    with contextlib.suppress(
        OSError
    ):  # the disk may be full, the run folder gone: the run is cleaned up all the same
        print(f"{time.monotonic():.3f} {line}", flush=True)


def main(argv: list[str]) -> int:
    """`janitor_process FD JSON`: the socket's descriptor, and the run's record."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    control = socket.socket(fileno=int(argv[0]))
    control.set_inheritable(False)
    record = JanitorRecord.from_json(json.loads(argv[1]))
    owner = record.owner
    try:
        conductor = os.pidfd_open(owner.pid)
        if not alive(owner.pid, owner.start):
            raise ProcessLookupError
    except ProcessLookupError:
        conductor = -1  # it has ended already, and may have asked for something under an earlier janitor
    try:
        record.write()
    except OSError as error:
        what = f"{error.filename or record.path}: {error.strerror or error}"
        why = f"{what}; set CHAOSKIT_STATE_DIR to a place that can be written"
        control.sendall(json.dumps({"event": "refused", "error": why}).encode() + b"\n")
        return 1
    janitor = JanitorProcess(control, conductor, record)
    try:
        return janitor.run() if conductor >= 0 else janitor._clean_up()
    except BaseException:  # noqa: BLE001 - whatever happens, the run is removed
        traceback.print_exc()
        return janitor._clean_up()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
