"""resource.memory: a service gets no more memory than it is said to need."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from chaoskit.clock import monotonic_ns
from chaoskit.model.estate import Estate
from chaoskit.model.lease import LimitUndo, NothingToUndo, Undo
from chaoskit.model.means import Memory, OomKill, means
from chaoskit.model.member import Witness
from chaoskit.quantity import Size
from chaoskit.registry import register

_LOOK_S = 0.02
_WITHIN_S = 10.0
_LEAST = 1_000_000


@dataclass(frozen=True)
class _Before:
    memory: Memory
    kills: tuple[OomKill, ...]


@register("faults", "resource.memory")
@dataclass(frozen=True)
class ResourceMemory:
    """A service's containers get at most `limit` of memory, without swap: the kernel takes back what it can (the cache
    of files), and kills a process where that is not enough, as with a memory leak or a limit that was set too low.

    Which process dies is the kernel's choice, mostly the largest; what follows is the service's own affair: a
    database whose session is killed ends all the others and recovers, a container whose first process is killed ends,
    and its restart policy acts. While the limit holds, it holds for the restarted container too.

    Witness: the kernel's own log names a process of the service that it killed for want of memory; or the kernel holds
    the service to the limit, and allocations have met it. A limit that is never met leaves the fault unwitnessed.
    Undo: the limit that the Compose file gives it. A process that was killed stays dead.
    Fidelity on `local`: refused: processes of the machine have no control group of their own.
    Fidelity on `docker`: the kernel's own limit and its own kill. Where the kernel has control groups of version 1,
    which refuse a limit below what is in use, a few megabytes are taken besides until the kernel kills.

        timeline:
          - at: 0s
            fault: resource.memory
            on: ledger
            limit: 16MB
            for: 5s
    """

    limit: Annotated[Size, Field(description="bytes for each container, from 1MB")]
    requires: ClassVar[frozenset[str]] = frozenset({"limits"})
    targets: ClassVar[Literal["service", "link"]] = "service"
    undo_reach: ClassVar[Literal["kind", "alike"]] = "kind"

    def __post_init__(self) -> None:
        if self.limit.bytes < _LEAST:
            raise ValueError(f"limit is {self.limit}; no program starts with less than 1MB")

    async def baseline(self, target: str, estate: Estate) -> _Before:
        limits = means(estate).limits
        return _Before(limits.memory(target), await limits.oom_kills())

    async def undo(self, target: str, estate: Estate) -> Undo:
        why = f"a process of {target} that was killed stays dead, unless a restart policy starts it again"
        return Undo(steps=(LimitUndo(service=target, resource="memory"), NothingToUndo(why=why, dies=False)))

    async def apply(self, target: str, estate: Estate) -> None:
        await means(estate).limits.limit_memory(target, self.limit.bytes)

    async def witness(self, target: str, estate: Estate, baseline: Any) -> Witness:
        before: _Before = baseline
        limits = means(estate).limits
        deadline = monotonic_ns() + int(_WITHIN_S * 1e9)
        while True:
            now, at = limits.memory(target), monotonic_ns()
            kills = [one for one in await limits.oom_kills() if one.service == target]
            new = [one for one in kills if one not in before.kills]
            if new:
                names = ", ".join(map(str, new))
                how = f"out of memory: the kernel killed {names} of {target}, by its own log"
                return Witness(True, new[0].at_ns, how)
            met = now.at_limit - before.memory.at_limit
            held = now.limit is not None and now.used <= now.limit <= self.limit.bytes
            if held and met > 0:
                how = f"the kernel holds {target} to {now.limit} bytes ({now.used} used), met {met} times"
                return Witness(True, at, how)
            if at >= deadline:
                return Witness(
                    False,
                    None,
                    f"{target} uses {now.used} bytes of {now.limit or 'no limit'}: nobody has met a limit",
                )
            await asyncio.sleep(_LOOK_S)  # the kernel counts without an event
