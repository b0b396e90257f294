"""process.kill: the whole process tree of a service dies in one instant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from chaoskit.engines import tree
from chaoskit.model.estate import Estate
from chaoskit.model.lease import MirrorUndo, NothingToUndo, ProcessRef, Undo
from chaoskit.model.member import Witness
from chaoskit.registry import register

_WITHIN_S = 2.0
_DEAD_S = 0.1


@register("faults", "process.kill")
@dataclass(frozen=True)
class ProcessKill:
    """Every process of a service ends at once by SIGKILL, as in a crash or an out-of-memory kill.

    All of its processes are stopped first and killed then: a database whose parent alone is killed goes on
    acknowledging commits for milliseconds. The links that lead to the service refuse connections from then on, as a
    host without the server would; a link on which another fault lies is left alone, and drains.

    Witness: the kernel, asked by the conductor itself, no longer has any of the processes it had before. The service
    counts as dead from the look that shows all of them dying: no code of theirs runs from then on, while letting go of
    their memory may take tens of milliseconds more.
    Undo: a dead process stays dead; the links come back by themselves when the service listens again, for example
    after `respond: restart-service`, or because the container's restart policy has started it.
    Fidelity on `local`: real processes and a real SIGKILL; memory that the kernel had not written to disk survives,
    as it does in any crash of a process (a power cut is another fault).
    Fidelity on `docker`: every process of the container, from outside: the engine sees a crash, and the restart policy
    acts as after one. What outlives its first process is killed by the kernel.

        timeline:
          - at: 0s
            fault: process.kill
            on: ledger-db
    """

    requires: ClassVar[frozenset[str]] = frozenset({"processes", "links"})
    targets: ClassVar[Literal["service", "link"]] = "service"
    renewed: ClassVar[bool] = True
    watched: ClassVar[bool] = True  # it dies at once; taking its links down takes longer

    async def baseline(self, target: str, estate: Estate) -> tuple[ProcessRef, ...]:
        return await estate.processes.tree(target)

    async def undo(self, target: str, estate: Estate) -> Undo:
        return Undo(
            steps=(NothingToUndo(why=f"a killed {target} stays dead"), MirrorUndo(service=target)),
        )

    async def apply(self, target: str, estate: Estate) -> None:
        killed = await estate.processes.kill(target)
        # Taking links down starts programs of its own, which would hold up the end of the last process.
        await tree.until(estate.processes, killed, frozenset({"gone"}), _DEAD_S)
        await estate.links.mirror(target, "refused")

    async def witness(self, target: str, estate: Estate, baseline: Any) -> Witness:
        return await tree.witness_death(estate.processes, target, baseline, _WITHIN_S)
