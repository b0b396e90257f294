"""heal and clean: what a dead supervisor could not do any more, done from disk."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from chaoskit.clock import boot_id
from chaoskit.run_folder import state_directory
from chaoskit.runtimes.destruction import Destruction
from chaoskit.runtimes.record import RunRecord, processes, read_record
from chaoskit.runtimes.residue import creators, orphans, supervised

_EMPTY_AFTER_S = 3600.0


def heal(state_dir: Path | None = None) -> list[str]:
    """End and remove what runs without a supervisor have left; returns one line for each run it dealt with.

    An estate of the local runtime is disposable: undoing its leases means destroying it. Runs whose supervisor or
    conductor lives are not touched, nor is one that another heal is at. A run that cannot be ended wholly raises
    nothing: its line says what is left.
    """
    return [line for state in _runs(state_dir) if (line := _heal(state)) is not None]


def clean(state_dir: Path | None = None) -> list[str]:
    """`heal`, and remove the folders of runs that never started anything (older than an hour)."""
    lines = heal(state_dir)
    for state in _runs(state_dir):
        if read_record(state) is None and time.time() - state.stat().st_mtime > _EMPTY_AFTER_S:
            try:
                state.rmdir()
            except OSError:  # not empty: leases that nobody has sealed, kept for whoever looks for them
                continue
            lines.append(f"{state.name}: removed its empty folder")
    return lines


def abandoned(state_dir: Path | None = None) -> list[str]:
    """Runs that are recorded here and that neither their supervisor nor their conductor looks after."""
    records = (read_record(state) for state in _runs(state_dir))
    return [record.run for record in records if record is not None and not supervised(record)]


def _runs(state_dir: Path | None) -> list[Path]:
    folder = (state_dir or state_directory()) / "runs"
    return sorted(path for path in folder.glob("*") if path.is_dir()) if folder.is_dir() else []


def _heal(state: Path) -> str | None:
    record = read_record(state)
    if record is None or supervised(record):
        return None
    try:
        with _alone(state) as alone:
            if not alone or read_record(state) is None:
                return None
            left = destroy_from_disk(record)
    except FileNotFoundError:  # somebody else has just removed it
        return None
    return f"{record.run}: " + ("; ".join(left) if left else "ended and removed what it had left")


def destroy_from_disk(record: RunRecord) -> list[str]:
    """Kill the run's orphans, remove its leavings; returns what could not be removed. The caller has made sure that its
    supervisor is dead."""
    destruction = Destruction(record, shared_before=frozenset())
    if record.boot_id == boot_id():
        destruction.remember(*(who.pid for who in processes(record)), *creators(Path(record.scratch)))
    left = destruction.kill(orphans(record))
    return left or destruction.remove()


@contextmanager
def _alone(state: Path) -> Iterator[bool]:
    """True for one caller at a time."""
    fd = os.open(state, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(fd)
