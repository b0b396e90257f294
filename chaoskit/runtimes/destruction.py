"""Destroys a run: its processes first, then what a SIGKILL leaves behind."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from chaoskit.runtimes import record as records
from chaoskit.runtimes import signals
from chaoskit.runtimes.kernel import remove_segment, segments
from chaoskit.runtimes.process_table import Entry, below, shared_files, table
from chaoskit.runtimes.record import RunRecord

_SHARED = Path("/dev/shm")
_LIMIT_S = 20.0


class Destruction:
    """What one run will have to be cleaned of, and the cleaning."""

    def __init__(self, record: RunRecord, shared_before: frozenset[str] | None = None) -> None:
        self.record = record
        self._reaps = record.supervisor.pid == os.getpid()
        self._pids: set[int] = set()
        self._shared_before = _shared_listing() if shared_before is None else shared_before
        self._shared: set[str] = set()

    def remember(self, *pids: int) -> bool:
        """Pids of the run: a System V segment names only its creator's pid. True if one of them is new."""
        before = len(self._pids)
        self._pids.update(pids)
        return len(self._pids) > before

    def new_shared_memory(self) -> set[str]:
        """Files in /dev/shm that were not there when the run began, whoever made them; one directory listing."""
        return _shared_listing() - self._shared_before

    def collect_shared_memory(self, entries: Iterable[Entry]) -> None:
        """Note the /dev/shm files that these map; once they are killed nothing says whose the files are."""
        new = self.new_shared_memory()
        if new:
            for entry in entries:
                self._shared |= shared_files(entry.pid) & new

    def destroy(self) -> list[str]:
        """Kill all below this process, remove what is left of the run; returns what could not be removed."""
        left = self.kill(signals_below(os.getpid()))
        return left + self.remove()

    def kill(self, members: signals.Members) -> list[str]:
        """Stop all, note what they share, kill all; again until none is left. Returns those that would not
        die.
        """
        deadline = time.monotonic() + _LIMIT_S
        while True:
            stopped = signals.stop_all(members)
            if not stopped:
                return []
            self.remember(*stopped)
            self.collect_shared_memory(stopped.values())
            for entry in stopped.values():
                signals.send(entry.pid, entry.start, signal.SIGKILL)
            while any(entry.pid in stopped for entry in members().entries):
                if self._reaps:
                    _reap()
                if time.monotonic() > deadline:
                    return [f"process {entry.pid}" for entry in members().entries]
                time.sleep(0.002)

    def remove(self) -> list[str]:
        """Shared memory, scratch folder, records; only when every process is gone."""
        for segment in segments():
            if segment.creator in self._pids and segment.attached == 0:
                remove_segment(segment.id)
        for path in self._shared - _mapped_by_others(self._shared):
            with suppress(OSError):
                os.unlink(path)  # noqa: PTH108
        left = _remove_tree(Path(self.record.scratch)) + _remove_tree(Path(self.record.partial))
        records.settle_leases(Path(self.record.state), Path(self.record.folder))
        if not left:
            shutil.rmtree(self.record.state, ignore_errors=True)
        return left


def signals_below(root: int) -> signals.Members:
    """Everything that descends from `root`."""
    return lambda: below(root)


def _reap() -> None:
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _shared_listing() -> set[str]:
    try:
        return {f"{_SHARED}/{name}" for name in os.listdir(_SHARED)}  # noqa: PTH208
    except OSError:
        return set()


def _mapped_by_others(paths: set[str]) -> set[str]:
    found: set[str] = set()
    if paths:
        for pid in table():
            found |= shared_files(pid) & paths
    return found


def _remove_tree(path: Path) -> list[str]:
    for _ in range(50):
        shutil.rmtree(path, ignore_errors=True)
        if not path.exists():
            return []
        time.sleep(0.01)
    return [f"folder {path}"]
