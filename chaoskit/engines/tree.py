"""What the kernel says became of a service's processes, read by this process itself."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from chaoskit.clock import monotonic_ns
from chaoskit.model.estate import Processes
from chaoskit.model.lease import ProcessRef
from chaoskit.model.member import Witness

State = Literal["running", "stopped", "gone"]
_LOOK_S = 0.0005
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Fate:
    """One look at a whole tree: `at_ns` is when the look that is told began to be over."""

    at_ns: int
    running: int
    stopped: int
    gone: int

    def __str__(self) -> str:
        parts = {"running": self.running, "stopped": self.stopped, "gone": self.gone}
        return ", ".join(f"{count} {state}" for state, count in parts.items() if count) or "no process"


async def until(
    processes: Processes, tree: Sequence[ProcessRef], wanted: frozenset[State], within_s: float
) -> Fate | None:
    """Look until every process is in a wanted state; None after the deadline.

    A process that is gone stays gone and is not looked at again; a stopped one may have been woken.
    """
    deadline = monotonic_ns() + int(within_s * 1e9)
    left = list(tree)
    while True:
        states: dict[ProcessRef, State] = {one: processes.state(one) for one in left}
        at = monotonic_ns()
        if all(state in wanted for state in states.values()):
            stopped = sum(state == "stopped" for state in states.values())
            return Fate(at, 0, stopped, len(tree) - stopped)
        if at >= deadline:
            return None
        left = [one for one, state in states.items() if state != "gone"]
        await asyncio.sleep(_LOOK_S)  # the processes are not our children, on no runtime: no event tells


def look(processes: Processes, tree: Iterable[ProcessRef]) -> Fate:
    """One look at each process."""
    states = [processes.state(one) for one in tree]
    return Fate(monotonic_ns(), states.count("running"), states.count("stopped"), states.count("gone"))


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
    """Whether every process that the service had before a fault is gone, and none that it forked meanwhile is left."""
    if not before:
        return Witness(False, None, f"{service} had no process before the fault")
    fate = await until(processes, before, frozenset({"gone"}), within_s)
    if fate is None:
        return Witness(False, None, f"of {service}'s {len(before)} processes: {look(processes, before)}")
    ended = ticks_now()
    new = set(await processes.tree(service)) - set(before)
    forked = started_before(new - set(revived(new)), ended)
    late = await until(processes, forked, frozenset({"gone"}), within_s)
    if late is None:
        return Witness(False, None, f"{service} had forked meanwhile: {look(processes, forked)}")
    seen_ns = late.at_ns if forked else fate.at_ns
    return Witness(
        True, seen_ns, f"the kernel has none of {service}'s {len(before) + len(forked)} processes left"
    )
