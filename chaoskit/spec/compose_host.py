"""What of the host a bind mount names: data that can be copied, or something that a copy cannot stand for."""

from __future__ import annotations

import stat
from pathlib import Path

_SYSTEM = ("/proc", "/sys", "/dev", "/run", "/var/run", "/var/lib/docker")
"""Folders that are no data to be copied."""


def untouchable(source: str) -> str | None:
    """Why the path cannot be copied, as in "is a socket"; None for data, and for what is not there."""
    if source == "/":
        return "is the whole machine"
    try:
        kind = Path(source).stat().st_mode
    except OSError:
        kind = 0
    for test, what in (
        (stat.S_ISSOCK, "a socket"),
        (stat.S_ISBLK, "a disk"),
        (stat.S_ISCHR, "a device"),
        (stat.S_ISFIFO, "a pipe"),
    ):
        if test(kind):
            return f"is {what}"
    if any(source == one or source.startswith(one + "/") for one in _SYSTEM):
        return "is the system's own, no data"
    return None


def reaches_beyond(source: str) -> bool:
    """Whether even a read-only bind lets a container change what exists: the engine's socket and its like."""
    return source.endswith((".sock", "/docker.sock")) or untouchable(source) in (
        "is a socket",
        "is a pipe",
        "is a disk",
    )
