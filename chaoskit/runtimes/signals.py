"""Signals to whole trees of processes, each named by pid and start time and reached through a pidfd."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterable

from chaoskit.runtimes.process_table import Entry, Sighting, descendants, look, table

Members = Callable[[], Sighting]
"""Looks for those that a signal is meant for."""

_ROUNDS_MAX = 1000


def send(pid: int, start: int, number: int) -> bool:
    """Signal exactly that process. False if it has ended, its pid names another one by now, or it may not be signalled.

    The pidfd is opened before the start time is read: whatever it names cannot change in between.
    """
    try:
        fd = os.pidfd_open(pid)
    except OSError:
        return False
    try:
        entry = look(pid)
        if entry is None or entry.start != start:
            return False
        signal.pidfd_send_signal(fd, number)
    except (ProcessLookupError, PermissionError):
        return False
    finally:
        os.close(fd)
    return True


def stop_all(members: Members) -> dict[int, Entry]:
    """SIGSTOP all members, again until nobody new is found; returns those stopped by pid.

    fork() does not return to a process with a stop pending: once all are stopped nobody new appears. One look that
    finds nobody new does not show that yet (a child whose parent has just ended may stand under neither its old parent
    nor its new one); a second one right after it does: by then it stands where it was reparented to.
    """
    stopped: dict[int, Entry] = {}
    quiet = 0
    for _ in range(_ROUNDS_MAX):
        seen = members()
        new = [
            entry
            for entry in seen.entries
            if entry.pid not in stopped or stopped[entry.pid].start != entry.start
        ]
        quiet = quiet + 1 if seen.complete and not new else 0
        if quiet == 2:
            break
        for entry in new:
            send(entry.pid, entry.start, signal.SIGSTOP)
            stopped[entry.pid] = entry
    return stopped


def kill_all(members: Members) -> dict[int, Entry]:
    """Stop all, then SIGKILL all; returns those killed by pid.

    Killing one after the other without stopping them first lets the survivors acknowledge what is half done.
    """
    stopped = stop_all(members)
    for entry in stopped.values():
        # The dying do the work of their own end, in turn with whoever else wants the processor: let them go first.
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, entry.pid, -20)
    for entry in stopped.values():
        send(entry.pid, entry.start, signal.SIGKILL)
    return stopped


def continue_all(processes: Iterable[tuple[int, int]]) -> None:
    """SIGCONT to each (pid, start) that is still itself and to what descends from it; the others are left alone.

    The descendants, because a lease is written before the stop, and a server may have forked in between.
    """
    now = table()
    named = [(pid, start) for pid, start in processes if pid in now and now[pid].start == start]
    below = descendants(now, [pid for pid, _ in named])
    for pid, start in dict.fromkeys([*named, *((entry.pid, entry.start) for entry in below)]):
        with contextlib.suppress(OSError):
            send(pid, start, signal.SIGCONT)
