"""Provisions a plan's system as containers of a local Docker Engine."""

from __future__ import annotations

import asyncio
import os
from contextlib import AsyncExitStack
from pathlib import Path

from chaoskit.errors import ChaoskitError
from chaoskit.model.plan import Fidelity, Plan
from chaoskit.runtimes.bring_up import bring_up, refuse_cycles
from chaoskit.runtimes.docker import images, run_files
from chaoskit.runtimes.docker.engine import engine_url
from chaoskit.runtimes.docker.estate import CAPABILITIES, DockerEstate
from chaoskit.runtimes.docker.fidelity import describe
from chaoskit.runtimes.docker.ground import Ground, prepare_ground
from chaoskit.runtimes.docker.laps import Laps
from chaoskit.runtimes.docker.lifecycle import START_S
from chaoskit.runtimes.docker.link_layout import lay_out
from chaoskit.runtimes.docker.links import DockerLinks
from chaoskit.runtimes.docker.networks import Networks
from chaoskit.runtimes.docker.positions import CONFINED
from chaoskit.runtimes.docker.preflight import preflight
from chaoskit.runtimes.docker.prepare import container_name, names_of, networks_of, ports_of, prepare
from chaoskit.runtimes.docker.translate import Context, container_options
from chaoskit.runtimes.docker.volumes_plan import plan_volumes
from chaoskit.runtimes.outsiders import said_of_attacked, with_sources


class DockerRuntime:
    """Containers of a local engine, on the Compose file's own networks, the real Toxiproxy between them."""

    name = "docker"
    capabilities = CAPABILITIES
    wires_by_environment = False

    def fidelity(self, plan: Plan) -> tuple[Fidelity, ...]:
        """What stands for each service here."""
        found = said_of_attacked(tuple(describe(plan.system)), plan, "positions", CONFINED)
        return with_sources(found, plan)

    async def provision(self, plan: Plan, run: str, folder: Path) -> DockerEstate:
        """Start every service and link of the plan's system; what dead runs have left is swept first.

        Raises EnvironmentBroken, with nothing left behind, when something does not come up.
        """
        refuse_cycles(plan.system)
        folder = Path(os.path.abspath(folder))  # noqa: PTH100, ASYNC240 - no need to look at the disk
        laps = Laps()
        await asyncio.to_thread(preflight, engine_url(), plan.system, folder)
        laps.end("preflight")
        async with AsyncExitStack() as undoing:
            ground = await prepare_ground(plan, run, folder, undoing)
            laps.end("janitor and supervisor")
            estate = await _lay(plan, run, ground, laps)
            undoing.pop_all()  # from here on it closes itself
        try:
            await bring_up(
                plan.system, estate.lifecycle, estate.links.start(), estate.direct, lambda _: START_S
            )
            await estate.backups.begin()
        except BaseException as error:
            try:
                await asyncio.shield(estate.close())
            except ChaoskitError as left:
                error.add_note(str(left))
            raise
        laps.end("services, links and population")
        return estate


async def _lay(plan: Plan, run: str, ground: Ground, laps: Laps) -> DockerEstate:
    """Networks, volumes and the layout of links: all that is decided before the first service starts."""
    system, engine, labels = plan.system, ground.engine, ground.owner.labels
    networks = Networks(engine, ground.prefix, labels)
    files = plan_volumes(system, ground.prefix, ground.scratch)
    inspected, _, _ = await asyncio.gather(
        images.ensure(engine, system, ground.scratch),
        networks.create(system),
        run_files.make(engine, files, labels),
    )
    on = {name: tuple(map(networks.name, networks_of(one))) for name, one in system.services.items()}
    names = {name: names_of(system, name) for name in system.services}
    ports = {name: ports_of(system, name, inspected[name]) for name in system.services}
    replicas = {name: one.compose.replicas for name, one in system.services.items()}
    layout = lay_out(system, on, names, ports, replicas)
    links = DockerLinks(engine, layout, run, labels, ground.hand)
    containers = {
        name: container_name(ground.prefix, service, 1) for name, service in system.services.items()
    }
    prepared = {}
    for name, service in system.services.items():
        options = container_options(service, Context(files.mounts[name], containers, labels))
        prepared[name] = prepare(
            system,
            service,
            inspected[name],
            ground.preparations.apply(name, options),
            networks.names,
            layout.callers.get(name),
            ground.prefix,
            labels,
        )
    estate = DockerEstate(plan, run, ground, prepared, links, laps)
    await estate.listen()
    laps.end("images, networks and volumes")
    return estate
