"""An estate of the docker runtime: the run's containers, networks, links, and the measurers beside them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from chaoskit.engines.database_undo import undo_database
from chaoskit.errors import EnvironmentBroken, ServiceDown
from chaoskit.model.estate import Address, Exit
from chaoskit.model.lease import (
    HostRulesUndo,
    IntruderUndo,
    LinkUndo,
    MirrorUndo,
    NothingToUndo,
    ProcessRef,
    RaisedLimitUndo,
    ReleaseUndo,
    ReportUndo,
    SchemaUndo,
    SettingUndo,
    SignalUndo,
    ToxicUndo,
    Undo,
)
from chaoskit.model.plan import Plan
from chaoskit.model.system import CUSTOMERS, Link, System
from chaoskit.runtimes.docker.backups import CAPABILITIES as BACKUPS
from chaoskit.runtimes.docker.backups import DockerBackups
from chaoskit.runtimes.docker.events import ContainerEvent, Events
from chaoskit.runtimes.docker.followers import CAPABILITIES as FOLLOWERS
from chaoskit.runtimes.docker.followers import DockerFollowers
from chaoskit.runtimes.docker.ground import Ground
from chaoskit.runtimes.docker.laps import Laps
from chaoskit.runtimes.docker.lifecycle import DockerLifecycle, Prepared
from chaoskit.runtimes.docker.links import DockerLinks
from chaoskit.runtimes.docker.means import CAPABILITIES as MEANS
from chaoskit.runtimes.docker.means import DockerMeans
from chaoskit.runtimes.docker.partition import Surroundings
from chaoskit.runtimes.docker.positions import CAPABILITIES as POSITIONS
from chaoskit.runtimes.docker.positions import DockerPositions
from chaoskit.runtimes.docker.processes import Container, DockerProcesses
from chaoskit.runtimes.docker.releases import DockerReleases
from chaoskit.runtimes.docker.services import Replica
from chaoskit.runtimes.docker.watch import Watch
from chaoskit.runtimes.docker.workshop import Workshop
from chaoskit.runtimes.measurer_jobs import SpawnedMeasurer
from chaoskit.runtimes.outsiders import OutsideProcesses

CAPABILITIES = (
    frozenset({"processes", "lifecycle", "links", "outsiders", "releases", "secrets"})
    | BACKUPS
    | MEANS
    | FOLLOWERS
    | POSITIONS
)


class DockerEstate:
    """Made by `DockerRuntime.provision`; ended by `close`, or by its janitor when this process ends."""

    capabilities = CAPABILITIES

    def __init__(
        self,
        plan: Plan,
        run: str,
        ground: Ground,
        prepared: Mapping[str, Prepared],
        links: DockerLinks,
        laps: Laps,
    ) -> None:
        self.plan = plan
        self.run = run
        self.folder = ground.folder
        self._ground = ground
        self._prepared = prepared
        self.replicas: Mapping[str, Sequence[Replica]] = {
            name: [Replica(name, recipe) for recipe in one.recipes] for name, one in prepared.items()
        }
        self.links = links
        self.laps = laps
        links.find = lambda service: self.replicas[service]
        self.lifecycle = DockerLifecycle(ground.engine, prepared, self.replicas, links, ground.logs)
        self.secrets = self.lifecycle.secrets
        self.releases = DockerReleases(plan, self.lifecycle, self.direct)
        self.processes: DockerProcesses = _AskedProcesses(self)
        around = Surroundings(
            self._addresses,
            self._link,
            self.direct,
            partial(_callees, plan.system),
            partial(_callers, plan.system),
        )
        self._means = DockerMeans(ground.engine, ground.hand, self.processes, around, ground.preparations)
        self.limits, self.disks = self._means.limits, self._means.disks
        self.networks, self.clocks = self._means.networks, self._means.clocks
        labels = ground.owner.labels
        workshop = Workshop(plan, ground.engine, self.replicas, labels, ground.folder)
        self.followers = DockerFollowers(plan, workshop, self.direct)
        self.backups = DockerBackups(plan, ground, self.replicas, workshop)
        stores = frozenset(self.backups.volumes.values())
        self.positions = DockerPositions(plan, ground, self.replicas, stores)
        tasks = frozenset(name for name, one in prepared.items() if one.task)
        jobs = frozenset(name for name, one in prepared.items() if one.may_end)
        ports = {name: one.ports for name, one in prepared.items()}
        self._watch = Watch(
            ground.engine, self.replicas, ports, tasks, jobs, links, ground.logs, self._arrived
        )
        self._events = Events(ground.engine, ground.owner.selector, self._hear)
        self.outsiders = OutsideProcesses(ground.supervision, ground.folder / "logs")
        self._closing = False
        self._killed: tuple[Exit, ...] = ()

    async def listen(self) -> None:
        """Begin to hear of containers; before the first of them is made."""
        await self._events.start()

    def containers(self, service: str) -> Sequence[Container]:
        """The service's containers as the engine last said."""
        return [Container(one.id, one.pid) for one in self.replicas[service] if one.id]

    def direct(self, service: str) -> Address:
        """The service itself, past every proxy; of several replicas the first that runs.

        Raises EnvironmentBroken for a service that has no known port, ServiceDown for one of which nothing runs: the
        engine gives its address to the next container that starts, and an answer would be that one's.
        """
        ports = self._prepared[service].ports
        if not ports:
            raise EnvironmentBroken(
                f"no port of {service} is known: give `expose` in the Compose file, or EXPOSE in its image"
            )
        mode = self.plan.system.services[service].compose.network_mode or ""
        if mode.startswith("service:"):
            return Address(self.direct(mode.removeprefix("service:")).host, ports[0])
        if mode == "host":
            return Address("127.0.0.1", ports[0])
        running = [one for one in self.replicas[service] if one.running]
        if not running:
            raise ServiceDown(f"{service} is down, so that it has no address")
        for replica in running:
            wanted = [attachment.network for attachment in replica.recipe.networks]
            found = [*(replica.addresses.get(network) for network in wanted), *replica.addresses.values()]
            if address := next(filter(None, found), None):
                return Address(address, ports[0])
        raise EnvironmentBroken(f"{service} has no address on a network of the run")

    def _hear(self, event: ContainerEvent) -> None:
        self._watch.hear(event)
        self.backups.hear(event)

    async def _arrived(self, service: str) -> None:
        self.positions.arrived(service)
        await self._means.started(service)

    def _addresses(self, service: str) -> Sequence[str]:
        return [
            address for one in self.replicas[service] if one.running for address in one.addresses.values()
        ]

    def _link(self, caller: str, callee: str) -> Address | None:
        link = Link(caller=caller, callee=callee)
        return self.links.seen_by_caller(link.name) if link in self.plan.system.links else None

    def log_path(self, service: str) -> Path:
        return self._ground.logs.path(service)

    async def spawn(self, name: str, argv: tuple[str, ...], stdin: bytes = b"") -> SpawnedMeasurer:
        """A measurer's process at normal priority, its output in logs/<name>.log, ended with the run
        whatever happens.
        """
        return await self._ground.jobs.spawn(name, argv, self.log_path(name), stdin)

    async def exits(self) -> tuple[Exit, ...]:
        """Containers that have ended unasked so far, and processes in them that the kernel killed for want of memory.

        Raises EnvironmentBroken when the engine tells no more: what is seen from then on is not the system's doing.
        """
        if self._closing:
            return tuple(self._watch.exits)
        if self._watch.broken is not None:
            raise EnvironmentBroken(self._watch.broken)
        if self._events.ended.is_set():
            raise EnvironmentBroken(
                f"the Docker Engine has stopped telling of its containers ({self._events.why}); has it ended?"
            )
        if self._ground.supervision.ended.is_set():
            raise EnvironmentBroken(
                f"the run's supervisor has ended; see {self.folder / 'logs/supervisor.log'}"
            )
        for broken in (self._ground.janitor.broken, self.links.broken, self.backups.broken):
            if broken is not None:
                raise EnvironmentBroken(broken)
        # Without root the kernel's log is a command away: then only when the engine says that there is something.
        if os.geteuid() == 0 or any(
            one.out_of_memory for several in self.replicas.values() for one in several
        ):
            self._killed = await self._means.out_of_memory()
        return (*self._watch.exits, *self._killed)

    async def undo(self, undo: Undo) -> None:
        """Interpret undo data; safe to repeat. No step brings a fenced service's links back."""
        for step in undo.steps:
            match step:
                case SignalUndo():
                    await self.processes.wake(step.processes)
                case LinkUndo():
                    await self.links.enable(step.link, True)
                case ToxicUndo():
                    await self.links.remove_toxic(step.link, step.toxic)
                case MirrorUndo():
                    # The engine tells of an end a moment after the kernel knows of it.
                    alive = await self.processes.tree(step.service)
                    if alive and any(one.listening.is_set() for one in self.replicas[step.service]):
                        await self.links.listens(step.service)
                case NothingToUndo():
                    pass
                case IntruderUndo():
                    await self.positions.leave(step.name)
                    await self.outsiders.end(step.name)
                case ReportUndo() | HostRulesUndo() | SettingUndo() | RaisedLimitUndo():
                    await undo_database(step, self)
                case ReleaseUndo() | SchemaUndo():
                    await self.releases.undo(step)
                case _:
                    await self._means.undo(step)

    async def close(self) -> None:
        """Remove everything of the run, then prove that it is gone.

        Raises EnvironmentBroken naming what is left. A disposable estate gets no grace: what must be kept (journals,
        logs) is on disk when it is written.
        """
        if self._closing:
            return
        self._closing = True
        self._watch.close()
        self.positions.close()
        await self.releases.drop()
        ground = self._ground
        left: list[str] = []
        try:
            work = (ground.supervision.close(), self._remove())
            for answer in await asyncio.gather(*work, return_exceptions=True):
                left += [str(answer)] if isinstance(answer, BaseException) else answer
        finally:
            self._means.close()
            self._events.close()
            ground.engine.close()
        if left:
            raise EnvironmentBroken(
                f"run {self.run} left behind: {'; '.join(dict.fromkeys(left))}; try `chaoskit clean`"
            )

    async def _remove(self) -> list[str]:
        ground = self._ground
        odd: list[str] = []
        for end in (self.links.stop, ground.hand.close):
            # Whatever goes wrong with one part, the removal below is due: the containers go with the others.
            (error,) = await asyncio.gather(end(), return_exceptions=True)
            if error is not None and not isinstance(error, EnvironmentBroken):
                odd.append(f"{type(error).__name__}: {error}")
        left = await ground.janitor.close(ground.engine)
        await ground.logs.close()
        return [*odd, *(left or await ground.janitor.remaining())]


class _AskedProcesses(DockerProcesses):
    """A kill that was asked for is no crash."""

    def __init__(self, estate: DockerEstate) -> None:
        super().__init__(estate._ground.hand, estate.containers, estate.lifecycle.give_up)
        self._estate = estate

    async def kill(self, service: str, *, revive: bool = True) -> tuple[ProcessRef, ...]:
        self._estate.lifecycle.asked(service)
        return await super().kill(service, revive=revive)


def _callees(system: System, service: str) -> Sequence[str]:
    return [link.callee for link in system.links if link.caller == service]


def _callers(system: System, service: str) -> Sequence[str]:
    return [link.caller for link in system.links if link.callee == service and link.caller != CUSTOMERS]
