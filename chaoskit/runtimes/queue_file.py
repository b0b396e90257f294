"""A queue that the kernel keeps: a ticket is a locked byte of a shared file, and a waiter that dies gives its own back.

byte    0          1 … n-1                n
     (drawing)   tickets before ours    ours, locked as long as this process has the file open

Locks are of the open file (fcntl(2), F_OFD_SETLK): they know no pid, so waiters of other containers count as well.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from pathlib import Path

from chaoskit.runtimes.addresses import open_shared

_LOCK = "hhqqi4x"
_COUNTER = 8


class Ticket:
    """A place in the queue, drawn by `draw`; given back by `close`, or by the end of the process."""

    def __init__(self, path: Path) -> None:
        self._fd = open_shared(path)
        self.number = 0

    def draw(self) -> bool:
        """Take the next number; False while another one is drawing, which takes some microseconds."""
        if self.number:
            return True
        if not self._lock(0, fcntl.F_WRLCK):
            return False
        try:
            drawn = int.from_bytes(os.pread(self._fd, _COUNTER, 0)) % 2**62 + 1
            while not self._lock(drawn, fcntl.F_WRLCK):  # a file that somebody has emptied counts anew
                drawn += 1
            os.pwrite(self._fd, drawn.to_bytes(_COUNTER), 0)
            self.number = drawn
        finally:
            self._lock(0, fcntl.F_UNLCK)
        return True

    def before(self) -> int:
        """How many wait before this one."""
        return self._held(1, self.number - 1)

    def close(self) -> None:
        """Give the place back."""
        os.close(self._fd)

    def _held(self, first: int, last: int) -> int:
        """How many bytes of a range others have locked."""
        if first > last:
            return 0
        asked = struct.pack(_LOCK, fcntl.F_WRLCK, os.SEEK_SET, first, last - first + 1, 0)
        kind, _, at, _, _ = struct.unpack(_LOCK, fcntl.fcntl(self._fd, fcntl.F_OFD_GETLK, asked))
        if kind == fcntl.F_UNLCK:
            return 0
        return 1 + self._held(first, at - 1) + self._held(at + 1, last)

    def _lock(self, byte: int, kind: int) -> bool:
        try:
            fcntl.fcntl(self._fd, fcntl.F_OFD_SETLK, struct.pack(_LOCK, kind, os.SEEK_SET, byte, 1, 0))
        except OSError as error:
            if error.errno in (errno.EAGAIN, errno.EACCES):
                return False
            raise
        return True
