"""Control groups of a process, version 1, 2 or both at once: where they lie, who is in them, what they say.

/proc/<pid>/cgroup     4:memory:/docker/<id>        one line per hierarchy; `0::/docker/<id>` is version 2
/proc/self/mountinfo   … /sys/fs/cgroup/memory … cgroup … memory
                       → /sys/fs/cgroup/memory/docker/<id>/cgroup.procs
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from chaoskit.runtimes.process_table import Entry, Sighting, look

UNIFIED = ""
"""The key of version 2 among the hierarchies of version 1, as /proc/<pid>/cgroup writes it."""

_HOLDERS = ("pids", "devices", "freezer", "memory", UNIFIED)
"""Hierarchies by which a container's processes are found: the first that the kernel has."""


@dataclass(frozen=True)
class ControlGroup:
    """One group: its folder in each hierarchy, by controller. It may have gone, and come back under its name."""

    folders: Mapping[str, Path]

    @property
    def holder(self) -> Path:
        """The folder whose cgroup.procs names the processes."""
        return next(self.folders[name] for name in _HOLDERS if name in self.folders)

    def folder(self, controller: str) -> tuple[Path, int]:
        """(folder, version 1 or 2) of a controller, such as `memory`."""
        if controller in self.folders:
            return self.folders[controller], 1
        return self.folders[UNIFIED], 2

    def processes(self) -> Sighting:
        """Those in the group and in the groups below it, zombies left out; complete if none ended meanwhile."""
        found: list[Entry] = []
        complete = True
        for pid in _pids(self.holder):
            entry = look(pid)
            if entry is None:
                complete = False
            elif not entry.ended:
                found.append(entry)
        return Sighting(tuple(found), complete)


def of_process(pid: int) -> ControlGroup | None:
    """The groups of a process; None if it has ended."""
    try:
        lines = Path(f"/proc/{pid}/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    folders: dict[str, Path] = {}
    for line in lines:
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            mount = _mounts().get(controller)
            if mount is not None:
                folders[controller] = mount.place(path)
    return ControlGroup(folders) if any(name in folders for name in _HOLDERS) else None


@dataclass(frozen=True)
class _Mount:
    root: str
    point: Path

    def place(self, path: str) -> Path:
        # A bind mount of a part of the hierarchy shows only what lies below its root.
        inside = path[len(self.root.rstrip("/")) :] if path.startswith(self.root) else path
        return self.point / inside.lstrip("/")


@cache
def _mounts() -> Mapping[str, _Mount]:
    """By controller, where its hierarchy is mounted (proc(5), mountinfo)."""
    found: dict[str, _Mount] = {}
    for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines():
        fields, _, rest = line.partition(" - ")
        root, point = fields.split()[3:5]
        kind, _, options = rest.split(" ", 2)
        if kind == "cgroup2":
            found.setdefault(UNIFIED, _Mount(root, Path(point)))
        elif kind == "cgroup":
            for controller in options.split(","):
                found.setdefault(controller, _Mount(root, Path(point)))
    return found


def _pids(folder: Path) -> Iterator[int]:
    """The pids of a group and of those below it; nothing for one that is gone or goes while it is read."""
    try:
        text = (folder / "cgroup.procs").read_text(encoding="ascii")
        below = [entry.name for entry in os.scandir(folder) if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return
    yield from map(int, text.split())
    for name in below:
        yield from _pids(folder / name)
