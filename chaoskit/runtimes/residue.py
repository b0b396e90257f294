"""What of a run is left on this machine: the proof after a clean close, and what heal goes by."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from chaoskit.clock import boot_id
from chaoskit.runtimes import record as records
from chaoskit.runtimes.kernel import segments
from chaoskit.runtimes.process_table import (
    Entry,
    Sighting,
    alive,
    descendants,
    environment,
    table,
    working_directory,
)
from chaoskit.runtimes.record import Identity, RunRecord
from chaoskit.runtimes.sockets import listening

RUN_MARK = "CHAOSKIT_RUN"
"""In the environment of every process of a run: its scratch folder, whose name nobody else has. A run's own name may
stand a second time on the machine, in another state directory, and healing one must never touch the other.
"""
SERVICE_MARK = "CHAOSKIT_SERVICE"


def supervised(record: RunRecord) -> bool:
    """Whether the run's supervisor or its conductor still lives: then nobody else may touch the run."""
    if record.boot_id != boot_id():
        return False
    return any(alive(who.pid, who.start) for who in (record.supervisor, record.conductor))


def orphans(record: RunRecord, known: Iterable[Identity] = ()) -> Callable[[], Sighting]:
    """Looks for the run's processes, whoever their parent is by now.

    Known by pid and start time, by the mark in their environment, by a working directory in the scratch folder
    (PostgreSQL's processes overwrite their environment; a person's shell there has a terminal and is left alone), or by
    descending from one of those.
    """
    if record.boot_id != boot_id():
        return lambda: Sighting(())
    recorded = {(who.pid, who.start) for who in (*records.processes(record), *known)}
    spared = {os.getpid(), record.conductor.pid, record.supervisor.pid}

    def belongs(entry: Entry) -> bool:
        if entry.pid in spared or entry.ended:
            return False
        if (entry.pid, entry.start) in recorded:
            return True
        if environment(entry.pid).get(RUN_MARK) == record.scratch:
            return True
        place = working_directory(entry.pid).removesuffix(" (deleted)")
        return entry.terminal == 0 and (place == record.scratch or place.startswith(record.scratch + "/"))

    def members() -> Sighting:
        processes = table()
        roots = {entry.pid: entry for entry in processes.values() if belongs(entry)}
        for entry in descendants(processes, roots):
            if entry.pid not in spared:
                roots[entry.pid] = entry
        return Sighting(tuple(roots.values()))

    return members


def creators(scratch: Path) -> set[int]:
    """Pids of the postmasters that PostgreSQL's own lock files name: they made the run's System V segments."""
    found = set()
    with suppress(FileNotFoundError):  # whoever removes the folder may be at it while this looks
        for path in scratch.glob("*/data/postmaster.pid"):
            first = path.read_text(encoding="utf-8", errors="replace").partition("\n")[0]
            if first.isdecimal():
                found.add(int(first))
    return found


def residue(record: RunRecord, known: Iterable[Identity] = ()) -> list[str]:
    """Everything of the run that is still there, in words; empty when it is gone without a trace.

    Looked for: processes, sockets listening in its address block, System V segments of `known` processes and of
    PostgreSQL, the scratch folder, the record. The run folder and its logs are meant to stay.
    """
    known = tuple(known)
    left = [f"process {e.pid} ({_command(e.pid)})" for e in orphans(record, known)().entries]
    if record.boot_id == boot_id():
        if alive(record.supervisor.pid, record.supervisor.start):
            left.append(f"supervisor {record.supervisor.pid}")
        left += [f"socket {at}" for at in listening() if at.host.startswith(record.block + ".")]
        pids = creators(Path(record.scratch)) | {who.pid for who in (*known, *records.processes(record))}
        left += [f"System V segment {s.id} of process {s.creator}" for s in segments() if s.creator in pids]
    left += [f"folder {path}" for path in (record.scratch, record.partial) if Path(path).exists()]
    if records.read_record(Path(record.state)) is not None:
        left.append(f"record in {record.state}")
    return left


def _command(pid: int) -> str:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return "?"
    return b" ".join(words).decode(errors="replace").strip()[:80] or "?"
