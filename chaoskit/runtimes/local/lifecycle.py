"""Starting and stopping services: data directory, command line, listening, links, ready."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Mapping
from pathlib import Path

from chaoskit.errors import EnvironmentBroken
from chaoskit.model.plan import Plan
from chaoskit.runtimes import readiness
from chaoskit.runtimes.bring_up import is_task
from chaoskit.runtimes.local import launch, pg_install
from chaoskit.runtimes.local.links import LocalLinks
from chaoskit.runtimes.local.pg_cluster import PgClusters
from chaoskit.runtimes.local.pg_settings import PgSettings, read_settings, server_argv
from chaoskit.runtimes.local.topology import Topology
from chaoskit.runtimes.record import Identity
from chaoskit.runtimes.secrets import ReplacedSecrets
from chaoskit.runtimes.supervision import Supervision

_TASK_S = 3600.0  # `start-within` ends it sooner


class LocalLifecycle:
    """Capability `lifecycle`. `started` and `ready` are set by the first start of each service; `installed` is the
    release that the next start is made with.
    """

    def __init__(self, plan: Plan, topology: Topology, supervision: Supervision, links: LocalLinks) -> None:
        self._plan = plan
        self._topology = topology
        self._supervision = supervision
        self._links = links
        self._record = supervision.record
        base = launch.base_environment(self._record.scratch, "postgresql-setup", Path(self._record.scratch))
        self.clusters = PgClusters(supervision, base)
        self.secrets = ReplacedSecrets()
        self.told: dict[str, dict[str, str]] = {}
        names = tuple(plan.system.services)
        self._locks = {name: asyncio.Lock() for name in names}
        self._ended: dict[str, asyncio.Event] = {}
        self.installed: dict[str, launch.Installed | None] = {}
        self.started = {name: asyncio.Event() for name in names}
        self.ready = {name: asyncio.Event() for name in names}

    def log_path(self, service: str) -> Path:
        """The service's own log, in the run folder."""
        return Path(self._record.folder) / "logs" / f"{service}.log"

    def ended(self, service: str) -> None:
        """The supervisor says that the service's main process has ended."""
        if service in self._ended:
            self._ended[service].set()

    async def start(self, service: str) -> None:
        """Start it and wait until it is ready. A fenced service's links stay down; its data directory is used again.

        Raises EnvironmentBroken with the end of its log when it ends first, at `start_within`, when it listens on all
        addresses, and when it runs already.
        """
        limit = self._plan.system.local[service].start_within
        log = self.log_path(service)
        async with self._locks[service]:
            try:
                async with asyncio.timeout(limit.s):
                    await self._start(service)
            except TimeoutError:
                raise EnvironmentBroken(
                    readiness.with_tail(f"{service} was not ready within {limit} (`start-within`)", log)
                ) from None
        self.ready[service].set()

    async def stop(self, service: str) -> None:
        """SIGTERM (PostgreSQL: SIGINT, its fast shutdown), `stop_grace_period`, SIGKILL; then its links
        refuse.
        """
        number = signal.SIGINT if self._plan.system.local[service].postgresql else signal.SIGTERM
        grace_s = self._plan.system.services[service].stop_grace.s
        async with self._locks[service]:
            await self._supervision.call(
                "stop", grace_s + 10, name=service, number=int(number), grace_s=grace_s
            )
        await self._links.mirror(service, "refused")

    async def _start(self, service: str) -> None:
        await self._supervision.call("gone", name=service)
        self._links.starting(service)
        home = self._home(service)
        base = launch.base_environment(self._record.scratch, service, home)
        installed = self.installed.get(service)
        env = self.secrets.told(launch.environment(self._plan, self._topology, service, base, installed))
        self.told[service] = env
        ended = self._ended[service] = asyncio.Event()
        if self._plan.system.local[service].postgresql is None:
            process = await self._start_command(service, env)
        else:
            process = await self._start_postgresql(service, env, home)
        self.started[service].set()
        if is_task(self._plan.system, service):
            await self._until_done(service)
            return
        await self._until_listening(service, process, home, ended)
        pids = [pid for pid, _ in await self._supervision.call("tree", name=service)]
        await asyncio.to_thread(readiness.refuse_everywhere, service, pids)
        await self._links.listens(service)
        path = self._plan.system.local[service].ready
        if path is not None:
            address = self._topology.service(service)
            await self._until(service, lambda: readiness.answers(address, path), ended)

    async def _start_command(self, service: str, env: Mapping[str, str]) -> Identity:
        return await self._supervision.run(
            service,
            "task" if is_task(self._plan.system, service) else "service",
            launch.command(self._plan, self._topology, service),
            env=env,
            cwd=launch.working_folder(self._plan, service, self.installed.get(service)),
            log=self.log_path(service),
        )

    async def _start_postgresql(self, service: str, env: dict[str, str], home: Path) -> Identity:
        settings = read_settings(self._plan.system.services[service], env)
        data = home / "data"
        if not (data / "PG_VERSION").exists():
            data = await self._make_data(service, settings, home)
        # What a killed postmaster left: nothing of it lives, and its pid may be anybody's by now.
        (data / "postmaster.pid").unlink(missing_ok=True)
        binaries = await self.clusters.binaries()
        address = self._topology.service(service)
        return await self._supervision.run(
            service,
            "service",
            server_argv(binaries, data, settings, address),
            env=env,
            cwd=home,
            log=self.log_path(service),
            user=pg_install.runs_as(),
        )

    async def _make_data(self, service: str, settings: PgSettings, home: Path) -> Path:
        if self._plan.system.local[service].postgresql == "standby":
            return await self.clusters.standby(settings, home)
        return await self.clusters.primary(settings, home)

    async def _until_done(self, service: str) -> None:
        facts = await self._supervision.call("ended", _TASK_S, name=service)
        if facts["status"] != 0:
            message = f"{service} ended ({in_words(facts['status'])}), and others wait for it to end well"
            raise EnvironmentBroken(readiness.with_tail(message, self.log_path(service)))

    async def _until_listening(
        self, service: str, process: Identity, home: Path, ended: asyncio.Event
    ) -> None:
        address = self._topology.service(service)
        postgresql = self._plan.system.local[service].postgresql is not None

        async def listening() -> bool:
            if postgresql:
                return readiness.postmaster_ready(home / "data", process.pid)
            return await readiness.accepts(address)

        await self._until(service, listening, ended)

    async def _until(self, service: str, check: readiness.Check, ended: asyncio.Event) -> None:
        limit_s = self._plan.system.local[service].start_within.s
        if await readiness.until(check, ended, limit_s):
            return
        log = self.log_path(service)
        facts = await self._supervision.call("ended", name=service)
        message = readiness.with_tail(
            f"{service} ended ({in_words(facts['status'])}) before it was ready", log
        )
        if "address already in use" in message.lower():
            message += f"\nIf it binds all addresses: {readiness.bind_hint(service)}"
        raise EnvironmentBroken(message)

    def _home(self, service: str) -> Path:
        """The service's own folder below the scratch folder: HOME, TMPDIR, and PostgreSQL's data."""
        home = Path(self._record.scratch) / service
        home.mkdir(mode=0o700, exist_ok=True)
        user = pg_install.runs_as()
        if user is not None and self._plan.system.local[service].postgresql is not None:
            os.chown(home, *user)
        return home


def in_words(status: int) -> str:
    """`exit status 1`, or `killed by SIGKILL`."""
    if status >= 0:
        return f"exit status {status}"
    try:
        return f"killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"killed by signal {-status}"
