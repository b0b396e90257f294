"""What the kernel says became of a service's processes, read by this process itself."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from chaoskit.clock import monotonic_ns
from chaoskit.engines.foremost import foremost
from chaoskit.model.estate import Processes
from chaoskit.model.lease import ProcessRef, ProcessState
from chaoskit.model.member import Witness

_LOOK_S = 0.0005
_FOREMOST_S = 0.25
"""What does not die in this time is not what real time is for."""
_NO_MORE: frozenset[ProcessState] = frozenset({"dying", "gone"})
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Fate:
    """One look at a whole tree: `at_ns` is when the look that is told began to be over."""

    at_ns: int
    running: int
    stopped: int
    gone: int
    dying: int = 0

    def __str__(self) -> str:
        parts = {
            "running": self.running,
            "stopped": self.stopped,
            "dying": self.dying,
            "gone": self.gone,
        }
        return ", ".join(f"{count} {state}" for state, count in parts.items() if count) or "no process"


async def until(
    processes: Processes, tree: Sequence[ProcessRef], wanted: frozenset[ProcessState], within_s: float
) -> Fate | None:
    """Look until one look has every process in a wanted state; None after the deadline."""
    deadline = monotonic_ns() + int(within_s * 1e9)
    left = list(tree)
    while True:
        seen: list[ProcessState] = []
        for one in left:
            seen.append(processes.state(one))
            if seen[-1] not in wanted:  # it decides this look, and is the first to be asked in the next
                left.insert(0, left.pop(len(seen) - 1))
                break
        at = monotonic_ns()
        if all(state in wanted for state in seen):
            stopped, dying = seen.count("stopped"), seen.count("dying")
            return Fate(at, 0, stopped, len(tree) - stopped - dying, dying)
        if at >= deadline:
            return None
        await asyncio.sleep(_LOOK_S)  # the processes are not our children, on no runtime: no event tells


def look(processes: Processes, tree: Iterable[ProcessRef]) -> Fate:
    """One look at each process."""
    states = [processes.state(one) for one in tree]
    return Fate(
        monotonic_ns(),
        states.count("running"),
        states.count("stopped"),
        states.count("gone"),
        states.count("dying"),
    )


def started_before(tree: Iterable[ProcessRef], ticks: int) -> tuple[ProcessRef, ...]:
    """Those that were there at that tick; a service that was restarted since does not count as its old self."""
    return tuple(one for one in tree if one.start <= ticks)


def ticks_now() -> int:
    """Clock ticks since boot, as /proc counts start times."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) * _TICKS // 10**9


def revived(tree: Iterable[ProcessRef]) -> tuple[ProcessRef, ...]:
    """Those of a container that has been started anew, by its restart policy for example: they are nobody's children.

    The first process of a container is the first of a pid namespace (/proc/<pid>/status, NSpid: 4711 1), and nothing of
    the old container outlives its first process.
    """
    every = tuple(tree)
    begun = [one.start for one in every if _first_of_namespace(one.pid)]
    return tuple(one for one in every if begun and one.start >= min(begun))


def begun_anew(tree: Iterable[ProcessRef], family: Sequence[ProcessRef]) -> tuple[ProcessRef, ...]:
    """Those of a service that was started again: whoever stands above them came after the old service had begun.

    old life:  holder ──► main ──► … ──► child     the holder (a keeper, a container's shim) is older than its service
    new life:  holder ──► main ──► …               and lives as long as that: a child whose parents die stays below it

    A start time does not tell the two apart: the kernel counts it in hundredths of a second, and who waits for a
    service to end is quicker than that.
    """
    every = tuple(tree)
    known = {one.pid: one.start for one in (*family, *every)}
    first = min((one.start for one in family), default=0)
    return tuple(one for one in every if (above := _holder_start(one, known)) is not None and above > first)


def _holder_start(process: ProcessRef, known: Mapping[int, int]) -> int | None:
    """When the first process above one was started that is not of its service; None if that one cannot be asked."""
    at = process
    while True:
        parent = (_parent_and_start(at.pid) or (0, 0))[0]
        above = _parent_and_start(parent)
        if above is None:
            # It ended between the two looks, and its children were given to another; or the process itself ended.
            again = _parent_and_start(at.pid)
            if again is None or again[0] in (parent, 0):
                return None
            continue
        if known.get(parent) != above[1]:
            return above[1]
        at = ProcessRef(pid=parent, start=above[1])


def _parent_and_start(pid: int) -> tuple[int, int] | None:
    """From /proc/<pid>/stat; None when there is no such process, or nobody may ask."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = text[text.rindex(")") + 2 :].split()
    return int(fields[1]), int(fields[19])


def _first_of_namespace(pid: int) -> bool:
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    pids = next((line.split()[1:] for line in lines if line.startswith("NSpid:")), [])
    return len(pids) > 1 and pids[-1] == "1"


async def witness_death(
    processes: Processes, service: str, before: Sequence[ProcessRef], within_s: float
) -> Witness:
    """Whether every process that the service had before a fault is gone, and none that it forked meanwhile is left.

    It is dead from the look that shows none of them able to run (dying or gone, by the kernel), and none beside them
    that is: letting go of a database's memory takes the kernel tens of milliseconds in which nothing is answered. That
    all are gone in the end must be seen as well.
    """
    if not before:
        return Witness(False, None, f"{service} had no process before the fault")
    family = list(before)
    while True:
        with foremost():
            fate = await until(processes, family, _NO_MORE, min(within_s, _FOREMOST_S))
            if fate is not None:
                ticks = ticks_now()
                forked = await _forked(processes, service, family, ticks)
                seen_ns = monotonic_ns()
        if fate is None:
            if await until(processes, family, _NO_MORE, within_s) is None:
                return Witness(False, None, _left(processes, service, before, family))
            continue
        if forked:
            family += forked
            continue
        if await until(processes, family, frozenset({"gone"}), within_s) is None:
            return Witness(False, None, _left(processes, service, before, family))
        # While its parent was dying, a child may have stood under nobody.
        if not (forked := await _forked(processes, service, family, ticks)):
            return Witness(True, seen_ns, f"the kernel has none of {service}'s {len(family)} processes left")
        family += forked


async def _forked(
    processes: Processes, service: str, family: Sequence[ProcessRef], ticks: int
) -> tuple[ProcessRef, ...]:
    """Processes of a service beside its known ones, that were there at that tick and were not started anew."""
    others = set(await processes.tree(service)) - set(family)
    return started_before(others - set(revived(others)) - set(begun_anew(others, family)), ticks)


def _left(
    processes: Processes, service: str, before: Sequence[ProcessRef], family: Sequence[ProcessRef]
) -> str:
    first = look(processes, before)
    if len(family) == len(before) or first.running or first.stopped or first.dying:
        return f"of {service}'s {len(before)} processes: {first}"
    return f"{service} had forked meanwhile: {look(processes, family[len(before) :])}"
