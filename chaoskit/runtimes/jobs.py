"""The supervisor's jobs: one keeper each, what became of it, and who is to be told."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from chaoskit.runtimes import keeper, signals
from chaoskit.runtimes.destruction import Destruction
from chaoskit.runtimes.process_table import Sighting, below, descendants, table
from chaoskit.runtimes.record import RunRecord, add_process

Moment = Literal["started", "ended", "gone"]
Refs = list[list[int]]


@dataclass
class Running:
    """A job. `status` is as wait() gives it, once its main process has ended; `gone`: nothing of its tree is left.
    `unwanted`: it was to be killed before its program ran, and is as soon as it does.

    `unkept`: somebody killed its keeper, and it with it, which is nothing of its own doing. `waiting` are the requests
    to be answered at a moment. `killed` are those that were sent SIGKILL, by pid and start time: they need no second
    one, and while they end there is better work for a processor.
    """

    job: keeper.Job
    keeper: int
    reports: int
    asked: bool = False
    pid: int | None = None
    start: int | None = None
    status: int | None = None
    gone: bool = False
    unkept: bool = False
    unwanted: bool = False
    buffer: bytes = b""
    waiting: list[tuple[Moment, int]] = field(default_factory=list)
    killed: set[tuple[int, int]] = field(default_factory=set)

    def facts(self) -> dict[str, Any]:
        """For an answer."""
        status = None if self.status is None else os.waitstatus_to_exitcode(self.status)
        return {"pid": self.pid, "start": self.start, "status": status, "gone": self.gone}


class Jobs:
    """Starts, signals and reaps; every change is told through `send`."""

    def __init__(
        self,
        record: RunRecord,
        destruction: Destruction,
        selector: selectors.BaseSelector,
        send: Callable[[Mapping[str, Any]], None],
        keep_open: tuple[int, ...],
    ) -> None:
        self._record = record
        self._destruction = destruction
        self._selector = selector
        self._send = send
        self._keep_open = keep_open
        self._running: dict[str, Running] = {}

    def find(self, name: str) -> Running | None:
        """The job of that name, running or gone."""
        return self._running.get(name)

    def start(self, job: keeper.Job, request: int) -> None:
        """Start it under a keeper; the request is answered once its program runs, or could not be run."""
        old = self._running.get(job.name)
        if old is not None and not old.gone:
            raise ValueError(f"{job.name} is still running")
        pid, reports = keeper.start(job, self._keep_open)
        os.set_blocking(reports, False)
        running = Running(job, pid, reports, waiting=[("started", request)])
        self._running[job.name] = running
        self._selector.register(reports, selectors.EVENT_READ, lambda: self._read_reports(running))

    def tree(self, name: str) -> Refs:
        """Every live process of the job."""
        return _refs(self._members(name)().entries)

    def kill(self, name: str) -> Refs:
        """Stop all, then kill all; asked for, so not a crash. What its keeper has yet to fork follows."""
        self._running[name].asked = True
        self._running[name].unwanted = self._running[name].pid is None
        if self._destruction.new_shared_memory():
            self._destruction.collect_shared_memory(self._members(name)().entries)
        killed = signals.kill_all(self._members(name)).values()
        self._running[name].killed |= {(entry.pid, entry.start) for entry in killed}
        return _refs(killed)

    def freeze(self, name: str) -> Refs:
        """Stop all."""
        return _refs(signals.stop_all(self._members(name)).values())

    def stop(self, name: str, number: int) -> Running:
        """Ask the main process to end; what is left of its tree is killed when it has."""
        running = self._running[name]
        running.asked = True
        if running.pid is not None and running.start is not None and running.status is None:
            signals.send(running.pid, running.start, number)
        return running

    def kill_late(self, running: Running) -> None:
        """Kill what did not end in time."""
        if not running.gone:
            signals.kill_all(self._below(running))

    def reap(self) -> None:
        """Take note of every child that has ended: keepers, and orphans that a killed keeper left to us."""
        with contextlib.suppress(ChildProcessError):
            while pid := os.waitpid(-1, os.WNOHANG)[0]:
                for running in self._running.values():
                    if running.keeper == pid and not running.gone:
                        self._keeper_ended(running)

    # -- inside ---------------------------------------------------------------------------------------

    def _below(self, running: Running) -> signals.Members:
        def members() -> Sighting:
            found = below(running.keeper)
            left = tuple(one for one in found.entries if (one.pid, one.start) not in running.killed)
            return Sighting(left, found.complete)

        return members

    def _members(self, name: str) -> signals.Members:
        """The job's tree; those seen for the first time are recorded, so that heal knows them without us."""
        running = self._running[name]

        def members() -> Sighting:
            found = Sighting(()) if running.gone else below(running.keeper)
            for entry in found.entries:
                if self._destruction.remember(entry.pid):
                    add_process(self._record, name, entry.pid, entry.start)
            return found

        return members

    def _read_reports(self, running: Running) -> None:
        if (
            running.gone
        ):  # one look of the selector told of the keeper's end and of its last words: both are read
            return
        chunk = b""
        with contextlib.suppress(BlockingIOError):
            chunk = os.read(running.reports, 65536)
        if not chunk:
            with contextlib.suppress(KeyError, ValueError):
                self._selector.unregister(running.reports)
            return
        *lines, running.buffer = (running.buffer + chunk).split(b"\n")
        for line in lines:
            report = json.loads(line)
            if "error" in report:
                self._failed(running, report["error"])
            elif "pid" in report:
                running.pid, running.start = report["pid"], report["start"]
                self._destruction.remember(report["pid"])
                add_process(self._record, running.job.name, report["pid"], report["start"])
                self._answer(running, "started")
                if running.unwanted:
                    self.kill(running.job.name)
            else:
                self._ended(running, report["status"])

    def _failed(self, running: Running, error: str) -> None:
        running.asked, running.status = True, 127 << 8
        for _, request in running.waiting:
            self._send({"id": request, "error": error})
        running.waiting.clear()

    def _ended(self, running: Running, status: int) -> None:
        """As in a container, the end of the main process is the end of what it started."""
        running.status = status
        signals.kill_all(self._below(running))
        self._push("exit", running)
        self._answer(running, "ended")

    def _keeper_ended(self, running: Running) -> None:
        """Nothing is left below it, or somebody killed the keeper itself and left its children to us."""
        self._read_reports(running)
        signals.kill_all(self._strays)
        running.gone = True
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(running.reports)
        os.close(running.reports)
        if running.pid is None and running.status is None:
            self._failed(running, "its keeper was killed")
        if running.status is None:
            running.unkept = True
            self._ended(running, int(signal.SIGKILL))
        self._push("gone", running)
        self._answer(running, "gone")

    def _strays(self) -> Sighting:
        processes = table()
        keepers = {running.keeper for running in self._running.values()}
        me = os.getpid()
        roots = [
            entry
            for entry in processes.values()
            if entry.parent == me and entry.pid not in keepers and not entry.ended
        ]
        return Sighting((*roots, *descendants(processes, [entry.pid for entry in roots])))

    def _push(self, event: str, running: Running) -> None:
        now = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
        job = running.job
        about = {"name": job.name, "role": job.role, "asked": running.asked, "unkept": running.unkept}
        self._send({"event": event, "t": now, **about, **running.facts()})

    def _answer(self, running: Running, moment: Moment) -> None:
        ready = [request for at, request in running.waiting if at == moment]
        running.waiting = [(at, request) for at, request in running.waiting if at != moment]
        for request in ready:
            self._send({"id": request, "ok": running.facts()})


def _refs(entries: Any) -> Refs:
    return [[entry.pid, entry.start] for entry in entries]
