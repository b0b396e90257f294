"""The supervisor: parent of every process of a run, and its janitor when the conductor ends in whatever way.

    conductor ──requests──► ┌────────────┐ ◄── pidfd: the conductor has ended
              ◄──answers─── │ supervisor │ ◄── end of file on the socket: the conductor has let go
              ◄──pushes──── └────────────┘ ◄── SIGCHLD, keepers' reports
                              │ forks keepers; each runs one job

Single-threaded, standard library only, in a session of its own; SIGINT, SIGTERM and SIGHUP of the terminal do not reach it or
are ignored. One JSON object a line each way: `{"id", "do", …}` → `{"id", "ok": …}` or `{"id", "error": …}`; pushes are
`{"event": "exit" | "gone", "name", "role", "status", "asked", "t"}`.
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
from typing import Any

from chaoskit.runtimes.local import keeper, signals
from chaoskit.runtimes.local.addresses import Block, lease_block
from chaoskit.runtimes.local.destruction import Destruction
from chaoskit.runtimes.local.kernel import become_subreaper
from chaoskit.runtimes.local.process_table import Entry, descendants, look, table
from chaoskit.runtimes.local.record import RunRecord, add_process, this_process, write_record


@dataclass
class Running:
    """A job and what has become of it."""

    job: keeper.Job
    keeper: int
    reports: int
    asked: bool = False
    pid: int | None = None
    start: int | None = None
    status: int | None = None
    gone: bool = False
    buffer: bytes = b""
    waiting: list[tuple[str, int]] = field(default_factory=list)
    """Requests to be answered on `started`, `ended` or `gone`."""


@dataclass
class Supervisor:
    """One run's supervisor; `run` returns when everything of the run is gone."""

    control: socket.socket
    conductor: int
    record: RunRecord
    keep_open: tuple[int, ...]
    jobs: dict[str, Running] = field(default_factory=dict)
    timers: list[tuple[float, Callable[[], None]]] = field(default_factory=list)
    buffer: bytes = b""
    ending: str | None = None
    close_request: int | None = None

    def __post_init__(self) -> None:
        self.destruction = Destruction(self.record)
        self.selector = selectors.DefaultSelector()

    def run(self) -> None:
        """Serve requests until the conductor ends or asks to close; then destroy the run."""
        waking, woken = socket.socketpair()
        woken.setblocking(False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(woken.fileno(), warn_on_full_buffer=False)
        self.selector.register(waking, selectors.EVENT_READ, lambda: self._reap(waking))
        self.selector.register(self.control, selectors.EVENT_READ, self._receive)
        self.selector.register(self.conductor, selectors.EVENT_READ, lambda: self._end("the conductor ended"))
        self._send({"event": "hello", **self.record.as_json()})
        while self.ending is None:
            timeout = max(0.0, min((at for at, _ in self.timers), default=3600.0) - time.monotonic())
            for key, _ in self.selector.select(timeout):
                key.data()
                if self.ending:
                    break
            self._fire_timers()
        print(f"closing: {self.ending}", flush=True)
        left = self.destruction.destroy(asked=self.close_request is not None)
        if self.close_request is not None:
            self._send({"id": self.close_request, "ok": left})

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

    def _fire_timers(self) -> None:
        now = time.monotonic()
        due = [action for at, action in self.timers if at <= now]
        self.timers = [(at, action) for at, action in self.timers if at > now]
        for action in due:
            action()

    # -- children ---------------------------------------------------------------------------------

    def _reap(self, waking: socket.socket) -> None:
        waking.recv(4096)
        while True:
            try:
                pid, _ = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            for running in self.jobs.values():
                if running.keeper == pid and not running.gone:
                    self._read_reports(running)
                    self._gone(running)

    def _gone(self, running: Running) -> None:
        """The keeper has ended, and with it the last process of the tree (or somebody killed the keeper itself)."""
        strays = {entry.pid for entry in self._strays()}
        if strays:
            signals.kill_all(self._below_strays)
        running.gone = True
        with contextlib.suppress(KeyError, ValueError):
            self.selector.unregister(running.reports)
        os.close(running.reports)
        if running.status is None:
            self._ended(running, int(signal.SIGKILL))
        self._push("gone", running)
        self._answer(running, "gone")

    def _strays(self) -> list[Entry]:
        return [e for e in descendants(table(), [os.getpid()]) if self._is_stray(e)]

    def _is_stray(self, entry: Entry) -> bool:
        keepers = {running.keeper for running in self.jobs.values()}
        return entry.parent == os.getpid() and entry.pid not in keepers

    def _below_strays(self, processes: Mapping[int, Entry]) -> list[Entry]:
        roots = [e for e in descendants(processes, [os.getpid()]) if self._is_stray(e)]
        return roots + descendants(processes, [entry.pid for entry in roots])

    def _read_reports(self, running: Running) -> None:
        chunk = b""
        with contextlib.suppress(BlockingIOError):
            chunk = os.read(running.reports, 65536)
        if not chunk:
            with contextlib.suppress(KeyError, ValueError):
                self.selector.unregister(running.reports)
            return
        *lines, running.buffer = (running.buffer + chunk).split(b"\n")
        for line in lines:
            report = json.loads(line)
            if "error" in report:
                self._failed(running, report["error"])
            elif "pid" in report:
                running.pid, running.start = report["pid"], report["start"]
                add_process(self.record, running.job.name, report["pid"], report["start"])
                self.destruction.remember(report["pid"])
                self._answer(running, "started")
            else:
                self._ended(running, report["status"])

    def _failed(self, running: Running, error: str) -> None:
        running.asked, running.status = True, 127 << 8
        for _, number in running.waiting:
            self._send({"id": number, "error": error})
        running.waiting.clear()

    def _ended(self, running: Running, status: int) -> None:
        """As in a container, the end of the main process is the end of what it started."""
        running.status = status
        signals.kill_all(lambda processes: descendants(processes, [running.keeper]))
        self._push("exit", running)
        self._answer(running, "ended")

    def _push(self, event: str, running: Running) -> None:
        self._send(
            {
                "event": event,
                "name": running.job.name,
                "role": running.job.role,
                "status": os.waitstatus_to_exitcode(running.status or 0),
                "asked": running.asked,
                "t": time.clock_gettime_ns(time.CLOCK_MONOTONIC),
            }
        )

    def _answer(self, running: Running, moment: str) -> None:
        ready = [number for at, number in running.waiting if at == moment]
        running.waiting = [(at, number) for at, number in running.waiting if at != moment]
        for number in ready:
            self._send({"id": number, "ok": self._facts(running)})

    def _facts(self, running: Running) -> dict[str, Any]:
        status = None if running.status is None else os.waitstatus_to_exitcode(running.status)
        return {"pid": running.pid, "start": running.start, "status": status, "gone": running.gone}

    def _tree(self, name: str) -> Callable[[Mapping[int, Entry]], list[Entry]]:
        root = self.jobs[name].keeper

        def members(processes: Mapping[int, Entry]) -> list[Entry]:
            found = descendants(processes, [root])
            for entry in found:
                if self.destruction.remember(entry.pid):
                    add_process(self.record, name, entry.pid, entry.start)
            return found

        return members

    # -- requests ---------------------------------------------------------------------------------

    def do_start(
        self, number: int, *, name: str, stdin: str = "", user: list[int] | None = None, **job: Any
    ) -> Any:
        """Start a job under a keeper; answered once its program runs (exec succeeded) or could not."""
        old = self.jobs.get(name)
        if old is not None and not old.gone:
            raise ValueError(f"{name} is still running")
        argv, nice = tuple(job.pop("argv")), keeper.SERVICE_NICE if job["role"] == "service" else 0
        whole = keeper.Job(
            name=name,
            argv=argv,
            nice=nice,
            stdin=base64.b64decode(stdin),
            user=(user[0], user[1]) if user else None,
            **job,
        )
        pid, reports = keeper.start(whole, self.keep_open)
        os.set_blocking(reports, False)
        running = self.jobs[name] = Running(whole, pid, reports, waiting=[("started", number)])
        self.selector.register(reports, selectors.EVENT_READ, lambda: self._read_reports(running))
        return LATER

    def do_tree(self, _: int, *, name: str) -> Any:
        return _refs(self._tree(name)(table()))

    def do_kill(self, _: int, *, name: str) -> Any:
        """Asked for, so not a crash."""
        self.jobs[name].asked = True
        self.destruction.collect_shared_memory(self._tree(name)(table()))
        return _refs(signals.kill_all(self._tree(name)).values())

    def do_freeze(self, _: int, *, name: str) -> Any:
        return _refs(signals.stop_all(self._tree(name)).values())

    def do_continue(self, _: int, *, processes: list[list[int]]) -> Any:
        signals.continue_all((pid, start) for pid, start in processes)
        return None

    def do_stop(self, number: int, *, name: str, signal: int, grace_s: float) -> Any:
        """`signal` to the main process; its tree is killed after `grace_s`; answered when nothing of it is left."""
        running = self.jobs[name]
        running.asked = True
        if running.gone:
            return self._facts(running)
        if running.pid is not None and running.start is not None and running.status is None:
            signals.send(running.pid, running.start, signal)
        running.waiting.append(("gone", number))
        self.timers.append((time.monotonic() + grace_s, lambda: self._kill_late(running)))
        return LATER

    def _kill_late(self, running: Running) -> None:
        if not running.gone:
            signals.kill_all(lambda processes: descendants(processes, [running.keeper]))

    def do_ended(self, number: int, *, name: str) -> Any:
        """Answered when the job's main process has ended."""
        running = self.jobs[name]
        if running.status is not None:
            return self._facts(running)
        running.waiting.append(("ended", number))
        return LATER

    def do_gone(self, number: int, *, name: str) -> Any:
        """Answered when nothing of the job's tree is left; refused for one that runs and is not meant to end."""
        running = self.jobs.get(name)
        if running is None or running.gone:
            return None
        if running.status is None and not running.asked:
            raise ValueError(f"{name} is running")
        running.waiting.append(("gone", number))
        return LATER

    def do_close(self, number: int) -> Any:
        self.close_request = number
        self._end("asked by the conductor")
        return LATER


LATER = object()


def _refs(entries: Any) -> list[list[int]]:
    return [[entry.pid, entry.start] for entry in entries]


def main(argv: list[str]) -> int:
    """`supervisor FD JSON`: the socket's descriptor, and the run's name, folders and conductor."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)
    control = socket.socket(fileno=int(argv[0]))
    control.set_inheritable(False)
    task = json.loads(argv[1])
    try:
        conductor = os.pidfd_open(task["conductor"]["pid"])
        entry = look(task["conductor"]["pid"])
        if entry is None or entry.start != task["conductor"]["start"]:
            return 0  # it ended before anything was started: nothing to clean
        become_subreaper()
        block: Block = lease_block(task["run"])
        record = RunRecord.new(task, block=block.prefix, supervisor=this_process())
        write_record(record)
        os.mkdir(record.scratch, 0o711)  # noqa: PTH102
    except Exception as error:  # noqa: BLE001 - told to the conductor, which raises it
        with contextlib.suppress(OSError):
            control.sendall(json.dumps({"event": "refused", "error": str(error)}).encode() + b"\n")
        return 1
    supervisor = Supervisor(control, conductor, record, (block.fd,))
    try:
        supervisor.run()
    except BaseException:  # noqa: BLE001 - whatever happens, the run is destroyed
        traceback.print_exc()
        supervisor.destruction.destroy(asked=False)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
