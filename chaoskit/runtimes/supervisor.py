"""The supervisor: parent of every process of a run, and its janitor when the conductor ends in whatever way.

    conductor ──requests──► ┌────────────┐ ◄── pidfd: the conductor has ended
              ◄──answers─── │ supervisor │ ◄── end of file on the socket: the conductor has let go
              ◄──pushes──── └────────────┘ ◄── SIGCHLD, keepers' reports
                              │ forks keepers; each runs one job

Single-threaded, standard library only, in a session of its own; SIGINT, SIGTERM and SIGHUP of the terminal do not
reach it or are ignored. One JSON object a line each way: `{"id", "do", …}` → `{"id", "ok": …}` or
`{"id", "error": …}`; pushes are
`{"event": "exit" | "gone", "name", "role", "status", "asked", "unkept", "t"}`.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import selectors
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chaoskit.engines.foremost import foremost
from chaoskit.runtimes import keeper, signals
from chaoskit.runtimes.addresses import Block, lease_block
from chaoskit.runtimes.destruction import Destruction
from chaoskit.runtimes.jobs import Jobs
from chaoskit.runtimes.kernel import become_subreaper, spread_below
from chaoskit.runtimes.process_table import look
from chaoskit.runtimes.record import RunRecord, read_record, this_process, write_record
from chaoskit.runtimes.residue import supervised


@dataclass
class Supervisor:
    """One run's supervisor; `run` returns when everything of the run is gone."""

    control: socket.socket
    conductor: int
    record: RunRecord
    keep_open: tuple[int, ...]
    timers: list[tuple[float, Callable[[], None]]] = field(default_factory=list)
    buffer: bytes = b""
    ending: str | None = None
    close_request: int | None = None

    def __post_init__(self) -> None:
        self.destruction = Destruction(self.record)
        self.selector = selectors.DefaultSelector()
        self.jobs = Jobs(self.record, self.destruction, self.selector, self._send, self.keep_open)

    def run(self) -> None:
        """Serve requests until the conductor ends or asks to close; then destroy the run."""
        waking, woken = socket.socketpair()
        woken.setblocking(False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(woken.fileno(), warn_on_full_buffer=False)
        self.selector.register(waking, selectors.EVENT_READ, lambda: self._woken(waking))
        self.selector.register(self.control, selectors.EVENT_READ, self._receive)
        self.selector.register(self.conductor, selectors.EVENT_READ, lambda: self._end("the conductor ended"))
        self._send({"event": "hello", **self.record.as_json()})
        with foremost():  # a kill begins when its request is read; what is forked does not have it
            self._serve()
        with contextlib.suppress(OSError):  # the disk of its log may be full
            print(f"closing: {self.ending}", flush=True)
        left = self.destruction.destroy()
        if self.close_request is not None:
            self._send({"id": self.close_request, "ok": left})

    def _serve(self) -> None:
        while self.ending is None:
            next_at = min((at for at, _ in self.timers), default=None)
            # Without a timer only an event wakes it: a supervisor that turned in a circle would slow the measurer.
            timeout = None if next_at is None else max(0.0, next_at - time.monotonic())
            for key, _ in self.selector.select(timeout):
                key.data()
                if self.ending:
                    break
            self._fire_timers()

    # -- the wire ---------------------------------------------------------------------------------

    def _end(self, why: str) -> None:
        self.ending = self.ending or why

    def _send(self, message: Mapping[str, Any]) -> None:
        try:
            self.control.sendall(json.dumps(message).encode() + b"\n")
        except OSError:
            self._end("the conductor's socket is broken")

    def _receive(self) -> None:
        try:
            chunk = self.control.recv(1 << 20)
        except OSError:
            chunk = b""
        if not chunk:
            self._end("the conductor let go")
            return
        *lines, self.buffer = (self.buffer + chunk).split(b"\n")
        for line in lines:
            request = json.loads(line)
            number = request.pop("id")
            try:
                answer = getattr(self, "do_" + request.pop("do"))(number, **request)
            except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
                self._send({"id": number, "error": f"{type(error).__name__}: {error}"})
                continue
            if answer is not LATER:
                self._send({"id": number, "ok": answer})

    def _woken(self, waking: socket.socket) -> None:
        waking.recv(4096)
        self.jobs.reap()

    def _fire_timers(self) -> None:
        now = time.monotonic()
        due = [action for at, action in self.timers if at <= now]
        self.timers = [(at, action) for at, action in self.timers if at > now]
        for action in due:
            action()

    # -- requests: each returns its answer, or LATER --------------------------------------------------

    def do_start(
        self, request: int, *, role: str, argv: list[str], stdin: str, user: list[int] | None, **job: Any
    ) -> Any:
        """Answered once the job's program runs (exec succeeded) or could not be run."""
        whole = keeper.Job(
            role=role,
            argv=tuple(argv),
            nice=keeper.SERVICE_NICE if role in ("service", "task") else 0,
            stdin=base64.b64decode(stdin),
            user=(user[0], user[1]) if user else None,
            **job,
        )
        self.jobs.start(whole, request)
        return LATER

    def do_tree(self, _: int, *, name: str) -> Any:
        return self.jobs.tree(name) if self.jobs.find(name) else []

    def do_kill(self, _: int, *, name: str) -> Any:
        return self.jobs.kill(name)

    def do_freeze(self, _: int, *, name: str) -> Any:
        return self.jobs.freeze(name)

    def do_continue(self, _: int, *, processes: list[list[int]]) -> Any:
        signals.continue_all((pid, start) for pid, start in processes)
        return None

    def do_stop(self, request: int, *, name: str, number: int, grace_s: float) -> Any:
        """Signal `number` to the main process; its tree is killed after `grace_s`; answered when nothing is left."""
        running = self.jobs.stop(name, number)
        if running.gone:
            return running.facts()
        running.waiting.append(("gone", request))
        self.timers.append((time.monotonic() + grace_s, lambda: self.jobs.kill_late(running)))
        return LATER

    def do_ended(self, request: int, *, name: str) -> Any:
        """Answered when the job's main process has ended."""
        running = self.jobs.find(name)
        if running is None or running.status is not None:
            return running.facts() if running else None
        running.waiting.append(("ended", request))
        return LATER

    def do_gone(self, request: int, *, name: str) -> Any:
        """Answered when nothing of the job's tree is left; refused for one that runs and is not meant to end."""
        running = self.jobs.find(name)
        if running is None or running.gone:
            return None
        if running.status is None and not running.asked:
            raise ValueError(f"{name} is running")
        running.waiting.append(("gone", request))
        return LATER

    def do_close(self, request: int) -> Any:
        self.close_request = request
        self._end("asked by the conductor")
        return LATER


LATER = object()


def main(argv: list[str]) -> int:
    """`supervisor FD JSON`: the socket's descriptor, and the run's name, folders and conductor."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)
    os.umask(0o022)  # a conductor's stricter one would lock PostgreSQL's user out of its own folder
    control = socket.socket(fileno=int(argv[0]))
    control.set_inheritable(False)
    task = json.loads(argv[1])
    try:
        conductor = os.pidfd_open(task["conductor"]["pid"])
        entry = look(task["conductor"]["pid"])
        if entry is None or entry.start != task["conductor"]["start"]:
            return 0  # it ended before anything was started: nothing to clean
        if (other := read_record(Path(task["state"]))) is not None and supervised(other):
            raise FileExistsError(
                f"run {task['run']} is running already, under process {other.supervisor.pid}"
            )
        become_subreaper()
        block: Block = lease_block(task["run"])
        record = RunRecord.new(task, block=block.prefix, supervisor=this_process())
        write_record(record)
        os.mkdir(record.scratch, 0o711)  # noqa: PTH102
        spread_below(Path(record.scratch))
    except Exception as error:  # noqa: BLE001 - told to the conductor, which raises it
        with contextlib.suppress(OSError):
            control.sendall(json.dumps({"event": "refused", "error": str(error)}).encode() + b"\n")
        return 1
    supervisor = Supervisor(control, conductor, record, (block.fd,))
    try:
        supervisor.run()
    except BaseException:  # noqa: BLE001 - whatever happens, the run is destroyed
        supervisor.destruction.destroy()
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
