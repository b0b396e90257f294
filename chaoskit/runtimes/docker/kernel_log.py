"""Processes that the kernel killed because a control group had no memory left, by the kernel's own log.

6,1204,87654321,-;oom-kill:constraint=CONSTRAINT_MEMCG,…,task_memcg=/docker/<id>,task=python3,pid=4711,uid=0
    number  µs of the log's clock
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import dataclass

from chaoskit.clock import monotonic_ns

_RECORD_MAX = 8192
_KILL = re.compile(r"oom-kill:.*?task_memcg=(?P<group>[^,]*),task=(?P<process>[^,]*),pid=(?P<pid>\d+)")


@dataclass(frozen=True)
class Kill:
    """One process; `group` is its control group's path, which holds the container's id."""

    group: str
    process: str
    pid: int
    at_ns: int


class KernelLog:
    """Reads on from where the log was when this was made. Without the right to read it, `feed` is given its text."""

    def __init__(self) -> None:
        self.kills: list[Kill] = []
        self._known: set[tuple[str, int]] = set()
        self._fd: int | None = None
        with suppress(OSError):
            self._fd = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            os.lseek(self._fd, 0, os.SEEK_END)

    def read(self) -> None:
        """Take in what is new."""
        if self._fd is None:
            return
        lines = []
        while True:
            try:
                lines.append(os.read(self._fd, _RECORD_MAX).decode(errors="replace"))
            except BlockingIOError:
                break
            except (
                BrokenPipeError
            ):  # records were overwritten before they were read; the next read goes on after them
                continue
        self.feed("\n".join(lines))

    def feed(self, text: str) -> None:
        """Take in text of the log; a kill is told with the time of this look, for the log's own clock is not ours."""
        now = monotonic_ns()
        for found in _KILL.finditer(text):
            mark = (found["group"], int(found["pid"]))
            if mark not in self._known:
                self._known.add(mark)
                self.kills.append(Kill(found["group"], found["process"], int(found["pid"]), now))

    def close(self) -> None:
        """Let go of the log."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
