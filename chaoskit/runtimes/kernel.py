"""The few kernel calls Python does not wrap: prctl, and removing System V shared memory."""

from __future__ import annotations

import ctypes
import os
import signal
from dataclasses import dataclass
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_IPC_RMID = 0
_libc = ctypes.CDLL(None, use_errno=True)


def _prctl(option: int, value: int) -> None:
    if _libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl({option}) failed")


def become_subreaper() -> None:
    """Descendants whose parent ends become children of this process instead of init's."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def die_with_parent(parent: int) -> None:
    """SIGKILL this process when `parent` ends; raises ProcessLookupError if it already has.

    The kernel watches the parent's *thread*, and forgets the wish when privileges are dropped: call it afterwards, in a
    child of a single-threaded parent.
    """
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        raise ProcessLookupError(f"parent {parent} has ended")


@dataclass(frozen=True)
class Segment:
    """A System V shared memory segment as /proc/sysvipc/shm lists it."""

    id: int
    creator: int
    attached: int
    uid: int


def segments() -> tuple[Segment, ...]:
    """Every segment of this IPC namespace; empty where the kernel has no System V IPC."""
    try:
        lines = Path("/proc/sysvipc/shm").read_text(encoding="ascii").splitlines()[1:]
    except FileNotFoundError:
        return ()
    rows = (line.split() for line in lines)
    return tuple(Segment(int(r[1]), int(r[4]), int(r[6]), int(r[7])) for r in rows if len(r) >= 8)


def remove_segment(segment: int) -> bool:
    """Remove one segment; False if it is gone already or belongs to somebody else."""
    return bool(_libc.shmctl(segment, _IPC_RMID, None) == 0)
