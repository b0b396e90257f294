"""What /proc says of processes: identity (pid and start time), parents, and who descends from whom."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the supervisor starts without what models need
    from chaoskit.model.lease import ProcessState

_EXEC_S = 1.0
_PF_EXITING = 0x4  # include/linux/sched.h
_LISTS_CHILDREN = os.path.exists(f"/proc/self/task/{os.getpid()}/children")  # noqa: PTH110
"""Whether this kernel has CONFIG_PROC_CHILDREN."""


@dataclass(frozen=True)
class Entry:
    """One process; `start` is in clock ticks since boot (/proc/<pid>/stat field 22), `terminal` 0 without
    one.
    """

    pid: int
    start: int
    parent: int
    session: int
    terminal: int
    state: str
    exiting: bool = False
    """Whether it is in exit() already (flag PF_EXITING): it runs no more code of its own."""

    @property
    def ended(self) -> bool:
        """A zombie (Z) or one being torn down (X): it runs no more code."""
        return self.state in "ZXx"


def look(pid: int) -> Entry | None:
    """The process with that pid now, or None."""
    try:
        fd = os.open(f"/proc/{pid}/stat", os.O_RDONLY)
    except OSError:
        return None
    try:
        text = os.read(fd, 4096)
    except OSError:  # it ended between open and read
        return None
    finally:
        os.close(fd)
    # The name stands in parentheses and may itself hold spaces and parentheses.
    fields = text[text.rindex(b")") + 2 :].split()
    exiting = bool(int(fields[6]) & _PF_EXITING)
    return Entry(
        pid, int(fields[19]), int(fields[1]), int(fields[3]), int(fields[4]), fields[0].decode(), exiting
    )


def alive(pid: int, start: int) -> bool:
    """Whether exactly that process (pid and start time) still runs; a zombie does not."""
    entry = look(pid)
    return entry is not None and entry.start == start and not entry.ended


def state(pid: int, start: int) -> ProcessState:
    """The kernel's word on exactly that process. A process with threads is stopped when its main thread is.

    It is dying while it exits, and from the moment SIGKILL is pending: the kernel gives that signal to every thread at
    once and lets none return to its program.
    """
    entry = look(pid)
    if entry is None or entry.start != start or entry.ended:
        return "gone"
    if entry.exiting or signal.SIGKILL in pending(pid):
        return "dying"
    return "stopped" if entry.state in "Tt" else "running"


def pending(pid: int) -> set[int]:
    """Signals that wait for a process or for its main thread (/proc/<pid>/status, ShdPnd and SigPnd)."""
    try:
        lines = _contents(pid, "status").splitlines()
    except OSError:
        return set()
    masks = [int(line.split()[1], 16) for line in lines if line.startswith((b"SigPnd:", b"ShdPnd:"))]
    return {number for number in range(1, 65) if any(mask >> (number - 1) & 1 for mask in masks)}


def table() -> dict[int, Entry]:
    """Every process this user may see, by pid."""
    entries = (look(int(name)) for name in os.listdir("/proc") if name.isdecimal())  # noqa: PTH208
    return {entry.pid: entry for entry in entries if entry is not None}


@dataclass(frozen=True)
class Sighting:
    """Processes found in one look; not `complete` if one ended meanwhile, whose children may be overlooked."""

    entries: tuple[Entry, ...]
    complete: bool = True


def below(root: int) -> Sighting:
    """What descends from `root`, zombies left out, in a time that does not grow with the rest of the machine."""
    if not _LISTS_CHILDREN:
        return Sighting(tuple(descendants(table(), [root])))
    found: list[Entry] = []
    complete = True
    queue, seen = [root], {root}
    while queue:
        for child in _children(queue.pop()):
            if child in seen:
                continue
            seen.add(child)
            entry = look(child)
            if entry is None:
                complete = False
                continue
            queue.append(child)
            if not entry.ended:
                found.append(entry)
    return Sighting(tuple(found), complete)


def _children(pid: int) -> list[int]:
    """The children of every thread of a process, as the kernel lists them. Reliable only while they do not end."""
    found: list[int] = []
    try:
        threads = os.listdir(f"/proc/{pid}/task")  # noqa: PTH208
    except OSError:
        return found
    for thread in threads:
        with suppress(OSError):
            fd = os.open(f"/proc/{pid}/task/{thread}/children", os.O_RDONLY)
            try:
                while text := os.read(fd, 65536):
                    found += map(int, text.split())
            finally:
                os.close(fd)
    return found


def descendants(processes: Mapping[int, Entry], roots: Iterable[int]) -> list[Entry]:
    """Those below `roots`, the roots themselves not included, zombies left out, parents before children."""
    children: dict[int, list[Entry]] = {}
    for entry in processes.values():
        children.setdefault(entry.parent, []).append(entry)
    found: list[Entry] = []
    queue = list(roots)
    seen = set(queue)
    while queue:
        for child in children.get(queue.pop(0), ()):
            if child.pid not in seen:
                seen.add(child.pid)
                queue.append(child.pid)
                found.append(child)
    return [entry for entry in found if not entry.ended]


def environment(pid: int) -> dict[str, str]:
    """The environment a process was started with; empty if it may not be read or was overwritten."""
    deadline = time.monotonic() + _EXEC_S
    try:
        while not (text := _contents(pid, "environ")) and _in_exec(pid) and time.monotonic() < deadline:
            time.sleep(0.002)
    except OSError:
        return {}
    parts = text.split(b"\0")
    pairs = (part.partition(b"=") for part in parts if b"=" in part)
    return {name.decode(errors="replace"): value.decode(errors="replace") for name, _, value in pairs}


def _contents(pid: int, name: str) -> bytes:
    with open(f"/proc/{pid}/{name}", "rb") as file:
        return file.read()


def _in_exec(pid: int) -> bool:
    """Whether it is between its old program and its new one: it then shows neither arguments nor environment.

    A process without an environment has arguments; a kernel thread has no program.
    """
    return not _contents(pid, "cmdline") and bool(os.readlink(f"/proc/{pid}/exe"))  # noqa: PTH115


def working_directory(pid: int) -> str:
    """The process's working directory, or an empty text. PostgreSQL's processes sit in their data
    directory.
    """
    try:
        return os.readlink(f"/proc/{pid}/cwd")  # noqa: PTH115
    except OSError:
        return ""


def shared_files(pid: int) -> set[str]:
    """Files below /dev/shm that the process maps; they outlive a SIGKILL."""
    try:
        with open(f"/proc/{pid}/maps", encoding="utf-8", errors="replace") as file:
            lines = [line for line in file if "/dev/shm/" in line]
    except OSError:
        return set()
    return {line[line.index("/dev/shm/") :].rstrip("\n").removesuffix(" (deleted)") for line in lines}


def waited_ns(pid: int) -> int:
    """How long all threads of a process have been runnable without a processor, ns; 0 where the kernel does not say."""
    total = 0
    for task in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        with suppress(OSError, ValueError, IndexError):
            total += int(task.read_text(encoding="ascii").split()[1])
    return total
