"""A run on disk: supervisor, addresses, scratch folder, the processes it started; heal works from it."""

from __future__ import annotations

import json
import os
import secrets
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from chaoskit.clock import boot_id
from chaoskit.runtimes.process_table import look

_RECORD = "supervisor.json"
_PROCESSES = "processes.jsonl"


@dataclass(frozen=True)
class Identity:
    """A process: pid, and start time in clock ticks since boot."""

    pid: int
    start: int


@dataclass(frozen=True)
class RunRecord:
    """`<state>/runs/<run>/supervisor.json`, written before anything of the run is started.

    `partial` is where the run makes what it then renames into the cache.
    """

    run: str
    folder: str
    state: str
    block: str
    scratch: str
    partial: str
    boot_id: str
    supervisor: Identity
    conductor: Identity

    @classmethod
    def new(cls, task: dict[str, Any], block: str, supervisor: Identity) -> RunRecord:
        """From the conductor's task. The scratch folder gets a name nobody can guess; it is recorded, then
        made.
        """
        name = f"chaoskit-{secrets.token_hex(6)}"
        return cls(
            run=task["run"],
            folder=task["folder"],
            state=task["state"],
            block=block,
            scratch=f"{task['temporary']}/{name}",
            partial=f"{task['cache']}/.new-{name}",
            boot_id=boot_id(),
            supervisor=supervisor,
            conductor=Identity(**task["conductor"]),
        )

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> RunRecord:
        """Raises KeyError or TypeError when it is no record; unknown keys are left out."""
        known = {name: data[name] for name in cls.__dataclass_fields__}
        known["supervisor"] = Identity(**known["supervisor"])
        known["conductor"] = Identity(**known["conductor"])
        return cls(**known)


def this_process() -> Identity:
    """The calling process."""
    entry = look(os.getpid())
    if entry is None:
        raise OSError("/proc does not show this process; is it mounted?")
    return Identity(entry.pid, entry.start)


def write_record(record: RunRecord) -> None:
    """Durable when it returns: heal depends on it after a crash of this process."""
    folder = Path(record.state)
    folder.mkdir(parents=True, exist_ok=True)
    write_durably(folder / _RECORD, json.dumps(record.as_json(), indent=1))


def write_durably(path: Path, text: str) -> None:
    """Replace a file atomically and fsync it and its folder."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with open(temporary, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    fd = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def read_record(state: Path) -> RunRecord | None:
    """The record in `<state>/runs/<run>`; None if there is none (nothing was started) or it is no record."""
    try:
        return RunRecord.from_json(json.loads((state / _RECORD).read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def add_process(record: RunRecord, name: str, pid: int, start: int) -> None:
    """Remember a main process. Not fsynced: after a crash of the whole machine no pid means anything."""
    line = json.dumps({"name": name, "pid": pid, "start": start})
    with open(Path(record.state) / _PROCESSES, "a", encoding="utf-8") as file:
        file.write(line + "\n")


def processes(record: RunRecord) -> tuple[Identity, ...]:
    """Every main process the run has started; a torn last line is left out."""
    found = []
    with suppress(OSError):
        for line in (Path(record.state) / _PROCESSES).read_text(encoding="utf-8").splitlines():
            with suppress(ValueError, KeyError):
                data = json.loads(line)
                found.append(Identity(data["pid"], data["start"]))
    return tuple(found)


def settle_leases(state: Path, folder: Path) -> None:
    """Mark what is still held in `<state>/runs/<run>` as undone (the estate it lay on is gone) and keep the leases in
    the run folder.
    """
    leases = []
    for path in sorted((state / "leases").glob("*.json")):
        with suppress(OSError, ValueError):
            lease = json.loads(path.read_text(encoding="utf-8"))
            if lease.get("state") == "held":
                lease["state"] = "undone"
                write_durably(path, json.dumps(lease))
            leases.append(lease)
    kept = folder / "leases.json"
    if leases and kept.parent.is_dir() and not kept.exists():
        with suppress(OSError):
            write_durably(kept, json.dumps(leases, indent=1))
