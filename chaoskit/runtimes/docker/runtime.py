"""Provisions a plan's system as containers of a local Docker Engine."""

from __future__ import annotations

import asyncio
import os
import secrets
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from chaoskit.errors import ChaoskitError
from chaoskit.model.plan import Fidelity, Plan
from chaoskit.model.system import Service
from chaoskit.run_folder import state_directory
from chaoskit.runtimes.bring_up import bring_up, refuse_cycles
from chaoskit.runtimes.docker import images
from chaoskit.runtimes.docker.engine import Engine
from chaoskit.runtimes.docker.estate import CAPABILITIES, DockerEstate, Ground, told
from chaoskit.runtimes.docker.hand import Hand
from chaoskit.runtimes.docker.janitor import Janitor
from chaoskit.runtimes.docker.lifecycle import START_S
from chaoskit.runtimes.docker.link_layout import lay_out
from chaoskit.runtimes.docker.links import DockerLinks
from chaoskit.runtimes.docker.logs import Logs
from chaoskit.runtimes.docker.networks import Networks
from chaoskit.runtimes.docker.ownership import Owner
from chaoskit.runtimes.docker.preparations import Preparations
from chaoskit.runtimes.docker.prepare import names_of, networks_of, ports_of, prepare
from chaoskit.runtimes.docker.sweep import sweep
from chaoskit.runtimes.heal import heal
from chaoskit.runtimes.measurer_jobs import MeasurerJobs
from chaoskit.runtimes.supervision import Supervision, Task


class DockerRuntime:
    """Containers of a local engine, on the Compose file's own networks, the real Toxiproxy between them."""

    name = "docker"
    capabilities = CAPABILITIES
    wires_by_environment = False

    def fidelity(self, plan: Plan) -> tuple[Fidelity, ...]:
        """What stands for each service here."""
        return tuple(
            Fidelity(
                service=name, kind="real", what=f"a container of the image {service.image or 'built for it'}"
            )
            for name, service in plan.system.services.items()
        )

    async def provision(self, plan: Plan, run: str, folder: Path) -> DockerEstate:
        """Start every service and link of the plan's system; what dead runs have left is swept first.

        Raises EnvironmentBroken, with nothing left behind, when something does not come up.
        """
        refuse_cycles(plan.system)
        async with AsyncExitStack() as undoing:
            ground = await _ground(plan, run, Path(os.path.abspath(folder)), undoing)  # noqa: PTH100, ASYNC240 - no look
            estate = await _lay(plan, run, ground, undoing)
            try:
                await bring_up(
                    plan.system, estate.lifecycle, estate.links.start(), estate.direct, lambda _: START_S
                )
            except BaseException as error:
                try:
                    await asyncio.shield(estate.close())
                except ChaoskitError as left:
                    error.add_note(str(left))
                raise
            undoing.pop_all()
        return estate


async def _ground(plan: Plan, run: str, folder: Path, undoing: AsyncExitStack) -> Ground:
    """Engine, janitor, supervisor: what must stand before anything of the run is made."""
    engine = await asyncio.to_thread(Engine)
    undoing.callback(engine.close)
    await asyncio.gather(asyncio.to_thread(heal), asyncio.to_thread(sweep, engine.url))
    state = state_directory() / "runs" / run
    owner = Owner.this(run, str(state))
    prefix = f"chaoskit-{secrets.token_hex(4)}"
    temporary = Path(tempfile.gettempdir())
    scratch = temporary / prefix
    logs = Logs(engine, folder / "logs")
    await logs.start()
    undoing.push_async_callback(logs.close)
    jobs: list[MeasurerJobs] = []
    task = Task(run=run, folder=folder, state=state, temporary=temporary, cache=temporary)
    supervision = await Supervision.start(task, lambda message: told(jobs[0], message))
    undoing.push_async_callback(supervision.close)
    jobs.append(MeasurerJobs(supervision))
    janitor = await Janitor.start(owner, engine.url, folder, scratch)
    undoing.push_async_callback(janitor.close)
    scratch.mkdir(mode=0o711)
    hand = Hand(engine, owner.labels)
    undoing.push_async_callback(hand.close)
    preparations = await Preparations.make(plan.preparations, engine, prefix, owner.labels, scratch)
    undoing.callback(preparations.close)
    return Ground(
        folder, scratch, prefix, owner, engine, janitor, supervision, jobs[0], hand, logs, preparations
    )


async def _lay(plan: Plan, run: str, ground: Ground, undoing: AsyncExitStack) -> DockerEstate:
    """Networks, volumes and the layout of links: all that is decided before the first service starts."""
    system, engine, labels = plan.system, ground.engine, ground.owner.labels
    inspected = await images.ensure(engine, system, ground.scratch)
    networks = Networks(engine, ground.prefix, labels)
    await networks.create(system)
    on = {name: tuple(map(networks.name, networks_of(one))) for name, one in system.services.items()}
    names = {name: names_of(system, name) for name in system.services}
    ports = {name: ports_of(system, name, inspected[name]) for name in system.services}
    replicas = {name: one.compose.replicas for name, one in system.services.items()}
    layout = lay_out(system, on, names, ports, replicas)
    links = DockerLinks(engine, layout, run, labels, ground.hand)
    prepared = {
        name: prepare(
            system,
            service,
            inspected[name],
            ground.preparations.apply(name, _options(service)),
            networks.names,
            layout.callers.get(name),
            ground.prefix,
            labels,
        )
        for name, service in system.services.items()
    }
    estate = DockerEstate(plan, run, ground, prepared, links)
    undoing.push_async_callback(estate.close)
    await estate.listen()
    return estate


def _options(service: Service) -> dict[str, Any]:
    return {
        "environment": dict(service.environment),
        "command": list(service.command) or None,
        "entrypoint": list(service.entrypoint) or None,
        "volumes": {source: {"bind": target, "mode": "ro"} for target, source in service.mounts.items()},
    }
