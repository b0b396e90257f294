"""Provisions a plan's system as containers of a local Docker Engine."""

from __future__ import annotations

import asyncio
import os
import secrets
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path

from chaoskit.errors import ChaoskitError
from chaoskit.model.plan import Fidelity, Plan
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
from chaoskit.runtimes.docker.networks import Networks, NetworkWanted
from chaoskit.runtimes.docker.ownership import Owner
from chaoskit.runtimes.docker.prepare import ports_of, prepare
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
            ground = await _ground(run, Path(os.path.abspath(folder)), undoing)  # noqa: PTH100, ASYNC240 - no look
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


async def _ground(run: str, folder: Path, undoing: AsyncExitStack) -> Ground:
    """Engine, janitor, supervisor: what must stand before anything of the run is made."""
    engine = await asyncio.to_thread(Engine)
    undoing.callback(engine.close)
    await asyncio.to_thread(heal)
    await asyncio.to_thread(sweep, engine.url)
    state = state_directory() / "runs" / run
    owner = Owner.this(run, str(state))
    jobs: list[MeasurerJobs] = []
    temporary = Path(tempfile.gettempdir())
    task = Task(run=run, folder=folder, state=state, temporary=temporary, cache=temporary)
    supervision = await Supervision.start(task, lambda message: told(jobs[0], message))
    undoing.push_async_callback(supervision.close)
    jobs.append(MeasurerJobs(supervision))
    janitor = await Janitor.start(owner, engine.url, folder)
    undoing.push_async_callback(janitor.close)
    logs = Logs(engine, folder / "logs")
    await logs.start()
    undoing.push_async_callback(logs.close)
    return Ground(folder, owner, engine, janitor, supervision, jobs[0], Hand(engine, owner.labels), logs)


async def _lay(plan: Plan, run: str, ground: Ground, undoing: AsyncExitStack) -> DockerEstate:
    """Networks and the layout of links: all that is decided before the first service starts."""
    system, engine = plan.system, ground.engine
    inspected = await images.ensure(engine, system)
    prefix = f"chaoskit-{secrets.token_hex(4)}"
    networks = Networks(engine, prefix, ground.owner.labels)
    await networks.create({"default": NetworkWanted()}, {})
    networks_of = {name: tuple(networks.names.values()) for name in system.services}
    ports = {name: ports_of(system, name, inspected[name]) for name in system.services}
    layout = lay_out(system, networks_of, {name: (name,) for name in system.services}, ports)
    links = DockerLinks(engine, layout, run, ground.owner.labels, ground.hand)
    prepared = {
        name: prepare(
            system,
            service,
            inspected[name],
            networks_of[name],
            layout.callers.get(name),
            prefix,
            ground.owner.labels,
        )
        for name, service in system.services.items()
    }
    estate = DockerEstate(plan, run, ground, prepared, links)
    undoing.push_async_callback(estate.close)
    await estate.listen()
    return estate
