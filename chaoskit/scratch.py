"""Folders for a while, below the machine's temporary folder, that are found again when their owner was killed."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

_PREFIX = "chaoskit-scratch-"
_LOCK = ".in-use"
_BEING_MADE_S = 60.0


@contextlib.contextmanager
def scratch(purpose: str) -> Iterator[Path]:
    """An empty folder until the block ends. Its lock ends with this process, in whatever way that does."""
    # Where something still writes into it at the end, what is left is found later, its lock gone.
    with tempfile.TemporaryDirectory(prefix=f"{_PREFIX}{purpose}-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        made = folder / f"{_LOCK}.new"
        held = os.open(made, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(held, fcntl.LOCK_EX)
            made.rename(
                folder / _LOCK
            )  # seen only once it is held, so that nobody takes the folder for abandoned
            yield folder
        finally:
            os.close(held)


def remove_abandoned() -> list[str]:
    """Remove this user's folders whose owner is dead; one line for each.

    Raises OSError for one that cannot be removed.
    """
    root = Path(tempfile.gettempdir())
    return [
        f"{folder}: scratch of a process that was killed, removed"
        for folder in sorted(root.glob(f"{_PREFIX}*"))
        if _remove_if_abandoned(folder)
    ]


def _remove_if_abandoned(folder: Path) -> bool:
    try:
        status = folder.lstat()
        if not folder.is_dir() or folder.is_symlink() or status.st_uid != os.geteuid():
            return False
        held = os.open(folder / _LOCK, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:  # it is being made, or its owner was killed just then
        if not folder.exists() or time.time() - status.st_mtime < _BEING_MADE_S:
            return False
        shutil.rmtree(folder)
        return True
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    else:
        shutil.rmtree(folder)
        return True
    finally:
        os.close(held)
