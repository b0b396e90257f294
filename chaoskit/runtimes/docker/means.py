"""What else can be done to a run's containers: `model.means` on docker, made and undone in one place."""

from __future__ import annotations

from chaoskit.model.estate import Exit
from chaoskit.model.lease import ClockUndo, DiskUndo, LimitUndo, MeansUndo, PartitionUndo
from chaoskit.runtimes.docker.clocks import DockerClocks
from chaoskit.runtimes.docker.disks import DockerDisks
from chaoskit.runtimes.docker.engine import Engine
from chaoskit.runtimes.docker.hand import Hand
from chaoskit.runtimes.docker.limits import DockerLimits
from chaoskit.runtimes.docker.partition import DockerNetworks, Surroundings
from chaoskit.runtimes.docker.preparations import Preparations
from chaoskit.runtimes.docker.processes import DockerProcesses
from chaoskit.runtimes.docker.throttle import Throttle

CAPABILITIES = frozenset({"limits", "disks", "networks", "clocks"})


class DockerMeans:
    """The capabilities of one run. `preparations` are taken over: `close` lets go of its disks."""

    def __init__(
        self,
        engine: Engine,
        hand: Hand,
        processes: DockerProcesses,
        surroundings: Surroundings,
        preparations: Preparations,
    ) -> None:
        self._processes = processes
        self._throttle = Throttle(processes)
        self.limits = DockerLimits(hand, processes)
        self.disks = DockerDisks(processes, preparations.disks, self._throttle)
        self.networks = DockerNetworks(hand, processes.containers, surroundings)
        self.clocks = DockerClocks(engine, hand, processes, preparations.clocks)

    async def undo(self, step: MeansUndo) -> None:
        """Interpret one step; safe to repeat, and before anything was done."""
        match step:
            case LimitUndo():
                await self.limits.lift(step.service, step.resource)
            case DiskUndo() if step.what == "space":
                self.disks.empty(step.service, step.path)
            case DiskUndo():
                await self.disks.quicken(step.service, step.path)
            case PartitionUndo():
                await self.networks.join(step.service, step.others, step.name)
            case ClockUndo():
                self.clocks.restore(step.service)

    async def started(self, service: str) -> None:
        """A container of the service has been started: what lies on the service lies on it too."""
        self._processes.groups(service)  # learnt while it runs: its processes are counted when they are gone
        await self.networks.started(service)

    async def out_of_memory(self) -> tuple[Exit, ...]:
        """What the kernel has killed, by service and by the look that found it: containers may live on without it."""
        found: dict[tuple[str, int], list[str]] = {}
        for kill in await self.limits.oom_kills():
            found.setdefault((kill.service, kill.at_ns), []).append(str(kill))
        return tuple(
            Exit(service, at_ns, f"out of memory: the kernel killed its {', '.join(names)}", ())
            for (service, at_ns), names in found.items()
        )

    def close(self) -> None:
        """Let go of everything that this process holds."""
        self.limits.close()
        self._throttle.close()
        self.disks.close()
