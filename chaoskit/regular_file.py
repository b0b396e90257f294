"""Reads files of folders that anybody may have changed: a pipe, a device or a socket in a file's place is refused.

Opened as any other file, a pipe would be waited for until somebody writes, and a device may never end.
"""

from __future__ import annotations

import errno
import os
import stat
from io import BufferedReader
from pathlib import Path


def open_regular(path: Path | str) -> BufferedReader:
    """The file, for reading bytes; a link to one is as good. Raises OSError, also for what is no regular file."""
    file = open(path, "rb", opener=_at_once)  # noqa: SIM115 - the caller's
    try:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "is no regular file", str(path))
    except OSError:
        file.close()
        raise
    return file


def read_regular(path: Path | str, at_most: int | None = None) -> bytes:
    """The whole file. Raises OSError; also when it holds more than `at_most` bytes."""
    with open_regular(path) as file:
        raw = file.read() if at_most is None else file.read(at_most + 1)
    if at_most is not None and len(raw) > at_most:
        raise OSError(errno.EFBIG, f"is larger than {at_most} bytes", str(path))
    return raw


def _at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)
