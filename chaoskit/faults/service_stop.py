"""service.stop: a service is stopped in an orderly way, as by an operator or a deployment."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from chaoskit.engines import tree
from chaoskit.model.estate import Estate
from chaoskit.model.lease import MirrorUndo, NothingToUndo, ProcessRef, Undo
from chaoskit.model.member import Witness
from chaoskit.registry import register

_AT_ONCE_S = 1.0
_WITHIN_S = 25.0
_stopping: dict[tuple[str, str], asyncio.Task[None]] = {}


@register("faults", "service.stop")
@dataclass(frozen=True)
class ServiceStop:
    """A service is stopped cleanly: its stop signal, its grace period, then SIGKILL; no restart policy brings it back.

    What it still has to do it may do: requests that are under way are answered, a database writes its checkpoint. The
    callers' connections are closed, and new ones are refused.

    Witness: the kernel, asked by the conductor itself, no longer has any of the processes it had before; a service
    that takes longer than 25 s to end leaves the fault unwitnessed.
    Undo: a stopped service stays stopped; the links to it come back by themselves when it listens again, for example
    after `respond: restart-service`.
    Fidelity on `local`: the stop signal of the Compose file's service, PostgreSQL's fast shutdown for a database.
    Fidelity on `docker`: the engine's own stop, with the container's stop signal and grace period.

        timeline:
          - at: 0s
            fault: service.stop
            on: ledger
    """

    requires: ClassVar[frozenset[str]] = frozenset({"processes", "lifecycle", "links"})
    targets: ClassVar[Literal["service", "link"]] = "service"
    renewed: ClassVar[bool] = True

    async def baseline(self, target: str, estate: Estate) -> tuple[ProcessRef, ...]:
        return await estate.processes.tree(target)

    async def undo(self, target: str, estate: Estate) -> Undo:
        why = f"a stopped {target} stays stopped"
        return Undo(steps=(NothingToUndo(why=why), MirrorUndo(service=target)))

    async def apply(self, target: str, estate: Estate) -> None:
        stopping = asyncio.create_task(self._stop(target, estate), name=f"stop {target}")
        _stopping[estate.run, target] = stopping
        # One that uses its grace is not waited for: what is seen of it is the witness's business.
        await asyncio.wait({stopping}, timeout=_AT_ONCE_S)
        if stopping.done():
            stopping.result()

    @staticmethod
    async def _stop(target: str, estate: Estate) -> None:
        await estate.lifecycle.stop(target)
        await estate.links.mirror(target, "refused")

    async def witness(self, target: str, estate: Estate, baseline: Any) -> Witness:
        stopping = _stopping.pop((estate.run, target), None)
        patience_s = _AT_ONCE_S if stopping is None or stopping.done() else _WITHIN_S
        dead = await tree.witness_death(estate.processes, target, baseline, patience_s)
        if stopping is not None and dead.seen:
            await stopping  # the runtime still has to note its end, and to take its links down
        return dead
