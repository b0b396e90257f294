"""An estate of the local runtime: the run's supervisor, its services, links and measurers."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

from chaoskit.engines.database_undo import undo_database
from chaoskit.errors import EnvironmentBroken
from chaoskit.model.estate import Address, Exit
from chaoskit.model.lease import (
    HostRulesUndo,
    IntruderUndo,
    LinkUndo,
    MirrorUndo,
    NothingToUndo,
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
from chaoskit.runtimes import readiness
from chaoskit.runtimes.heal import destroy_from_disk
from chaoskit.runtimes.kept_backups import JOB as BACKUP
from chaoskit.runtimes.local.backups import LocalBackups
from chaoskit.runtimes.local.capabilities import CAPABILITIES
from chaoskit.runtimes.local.followers import LocalFollowers
from chaoskit.runtimes.local.launch import BACKUPS
from chaoskit.runtimes.local.lifecycle import LocalLifecycle, in_words
from chaoskit.runtimes.local.links import LocalLinks
from chaoskit.runtimes.local.positions import LocalPositions
from chaoskit.runtimes.local.processes import LocalProcesses
from chaoskit.runtimes.local.releases import LocalReleases
from chaoskit.runtimes.local.topology import Topology, lay_out
from chaoskit.runtimes.measurer_jobs import MeasurerJobs, SpawnedMeasurer
from chaoskit.runtimes.outsiders import OutsideProcesses
from chaoskit.runtimes.record import processes
from chaoskit.runtimes.residue import residue
from chaoskit.runtimes.secrets import ReplacedSecrets
from chaoskit.runtimes.supervision import Launched, Supervision

_PROXY = "proxy:toxiproxy"


class LocalEstate:
    """Made by `LocalRuntime.provision`; ended by `close`, or by its supervisor when this process ends."""

    capabilities = CAPABILITIES
    processes: LocalProcesses
    lifecycle: LocalLifecycle
    links: LocalLinks
    positions: LocalPositions
    outsiders: OutsideProcesses
    backups: LocalBackups
    secrets: ReplacedSecrets
    releases: LocalReleases
    followers: LocalFollowers

    def __init__(self, plan: Plan, run: str, folder: Path) -> None:
        self.plan = plan
        self.run = run
        self.folder = folder
        self.topology: Topology
        self.supervision: Supervision
        self._exits: list[Exit] = []
        self._jobs: MeasurerJobs
        self._background: set[asyncio.Task[Any]] = set()
        self._broken: str | None = None
        self._proxy_ended = asyncio.Event()
        self._closing = False

    @classmethod
    async def open(cls, plan: Plan, run: str, folder: Path, supervisor: Launched) -> LocalEstate:
        """Wait for the supervisor; nothing of the system runs yet."""
        self = cls(plan, run, folder)
        self.supervision = await Supervision.start(supervisor, self._on_push)
        try:
            self.topology = lay_out(plan.system, self.supervision.record.block)
        except BaseException:
            await asyncio.shield(self.supervision.close())
            raise
        self._jobs = MeasurerJobs(self.supervision)
        self.processes = LocalProcesses(self.supervision)
        self.links = LocalLinks(
            plan.system.links, self.topology, self.folder / "logs" / "toxiproxy.pulse.jsonl"
        )
        self.lifecycle = LocalLifecycle(plan, self.topology, self.supervision, self.links)
        store = Path(self.supervision.record.scratch) / BACKUPS
        self.positions = LocalPositions(self.supervision, self.lifecycle, store)
        self.outsiders = OutsideProcesses(self.supervision, self.folder / "logs")
        self.backups = LocalBackups(plan, self.topology, self.supervision, self.lifecycle.clusters, store)
        self.followers = LocalFollowers(plan, self.topology, self.supervision, self.lifecycle)
        self.secrets = self.lifecycle.secrets
        scratch = Path(self.supervision.record.scratch)
        self.releases = LocalReleases(plan, scratch, self.lifecycle, self.direct)
        return self

    async def start_proxy(self, within_s: float) -> None:
        """Start the embedded Toxiproxy and make every link, each closed until its callee listens."""
        control = self.topology.control
        argv = (
            sys.executable,
            "-m",
            "chaoskit.toxiproxy",
            "--host",
            control.host,
            "--port",
            str(control.port),
            "--pulse",
            str(self.links.pulse.path),
        )
        log = self.folder / "logs" / "toxiproxy.log"
        self.links.pulse.process = await self._jobs.start(_PROXY, "proxy", argv, log)
        try:
            if not await readiness.until(self.links.answers, self._proxy_ended, within_s):
                raise EnvironmentBroken(self._broken or "the proxy of the links has ended")
        except TimeoutError:
            message = f"the proxy of the links did not answer within {within_s:g} s"
            raise EnvironmentBroken(readiness.with_tail(message, log)) from None
        await self.links.create()

    async def spawn(self, name: str, argv: tuple[str, ...], stdin: bytes = b"") -> SpawnedMeasurer:
        """A measurer's process at normal priority, its output in logs/<name>.log, ended with the run
        whatever happens.
        """
        return await self._jobs.spawn(name, argv, self.log_path(name), stdin)

    def direct(self, service: str) -> Address:
        """The service itself, past every proxy."""
        return self.topology.service(service)

    def log_path(self, service: str) -> Path:
        return self.lifecycle.log_path(service)

    async def exits(self) -> tuple[Exit, ...]:
        """Service processes that have ended unasked so far.

        Raises EnvironmentBroken when the proxy, the supervisor or a keeper has: what is seen from then on is not
        the system's doing.
        """
        if self._broken is not None:
            raise EnvironmentBroken(self._broken)
        if self.supervision.ended.is_set() and not self._closing:
            raise EnvironmentBroken(
                f"the run's supervisor has ended; see {self.folder / 'logs/supervisor.log'}"
            )
        return tuple(self._exits)

    async def undo(self, undo: Undo) -> None:
        """Interpret undo data; safe to repeat. No step brings a fenced service's links back."""
        for step in undo.steps:
            match step:
                case SignalUndo():
                    pairs = [[each.pid, each.start] for each in step.processes]
                    await self.supervision.call("continue", processes=pairs)
                case LinkUndo():
                    await self.links.enable(step.link, True)
                case ToxicUndo():
                    await self.links.remove_toxic(step.link, step.toxic)
                case MirrorUndo():
                    if await self._listens(step.service):
                        await self.links.listens(step.service)
                case IntruderUndo():
                    await self.positions.leave(step.name)
                    await self.outsiders.end(step.name)
                case ReleaseUndo() | SchemaUndo():
                    await self.releases.undo(step)
                case NothingToUndo():
                    pass
                case ReportUndo() | HostRulesUndo() | SettingUndo() | RaisedLimitUndo():
                    await undo_database(step, self)

    async def _listens(self, service: str) -> bool:
        """Whether the service itself listens, and not the silence that stands in for a lost host."""
        alive = await self.processes.tree(service)
        return bool(alive) and await readiness.accepts(self.direct(service))

    async def close(self) -> None:
        """Kill and remove everything of the run, then prove that it is gone.

        Raises EnvironmentBroken naming what is left. A disposable estate gets no grace: what must be kept
        (journals, logs) is on disk when it is written.
        """
        if self._closing:
            return
        self._closing = True
        for task in self._background:
            task.cancel()
        await self.releases.drop()
        record = self.supervision.record
        known = processes(record)
        left = await self.supervision.close()
        self.links.close()
        if left or await asyncio.to_thread(residue, record, known):
            # The supervisor was killed, or could not finish.
            left = await asyncio.to_thread(destroy_from_disk, record)
            left += await asyncio.to_thread(residue, record, known)
        if left:
            raise EnvironmentBroken(
                f"run {self.run} left behind: {'; '.join(dict.fromkeys(left))}; try `chaoskit clean`"
            )

    # -- what the supervisor says -----------------------------------------------------------------------

    def _on_push(self, message: dict[str, Any]) -> None:
        name, role = message["name"], message["role"]
        if message["unkept"] and not self._closing:
            self._broken = self._broken or f"the keeper of {name} was killed, and {name} with it"
        if role == "measurer" and message["event"] == "exit":
            self._jobs.ended(name, message["status"])
        elif role == "proxy" and message["event"] == "exit" and not self._closing:
            self._broken = self._broken or readiness.with_tail(
                f"the proxy of the links has ended ({in_words(message['status'])})",
                self.folder / "logs" / "toxiproxy.log",
            )
            self._proxy_ended.set()
        elif role == BACKUP and message["event"] == "exit" and not (message["asked"] or self._closing):
            self._broken = f"the log of {name} is no longer received ({in_words(message['status'])})"
        elif role == "service" and message["event"] == "exit":
            self._service_ended(name, message)
        elif role == "service" and message["event"] == "gone":
            self.links.gone(name)

    def _service_ended(self, service: str, message: dict[str, Any]) -> None:
        self.lifecycle.ended(service)
        if message["asked"]:
            return
        log = self.log_path(service)
        self._exits.append(Exit(service, message["t"], in_words(message["status"]), readiness.tail(log)))
        if not self._closing:
            # A crashed callee must look dead as a killed one does.
            task = asyncio.create_task(self.links.mirror(service, "refused"), name=f"mirror {service}")
            self._background.add(task)
            task.add_done_callback(self._mirrored)

    def _mirrored(self, task: asyncio.Task[Any]) -> None:
        self._background.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._broken = self._broken or str(error)
