"""Provisions a plan's system as local processes."""

from __future__ import annotations

import asyncio
import graphlib
import os
from pathlib import Path

from chaoskit.errors import ChaoskitError, EnvironmentBroken
from chaoskit.model.plan import Fidelity, Plan
from chaoskit.model.system import System
from chaoskit.run_folder import state_directory
from chaoskit.runtimes.heal import heal
from chaoskit.runtimes.local import pg_install
from chaoskit.runtimes.local.estate import CAPABILITIES, LocalEstate
from chaoskit.runtimes.local.preflight import preflight, temporary_folder
from chaoskit.runtimes.population import populate, until_streaming
from chaoskit.runtimes.supervision import Task

_PROXY_S = 20.0
_POPULATE_S = 60.0


class LocalRuntime:
    """Linux processes, PostgreSQL from a wheel, the embedded proxy: no Docker, no root, seconds."""

    name = "local"
    capabilities = CAPABILITIES
    wires_by_environment = True

    def fidelity(self, plan: Plan) -> tuple[Fidelity, ...]:
        """What stands for each service here."""
        found = []
        for name in plan.system.services:
            local = plan.system.local.get(name)
            if local is not None and local.postgresql is not None:
                version = pg_install.wheel().version.rpartition(".")[0]
                what = (
                    f"PostgreSQL {version} as processes of this machine, fsync off: "
                    "a killed process loses nothing it wrote, a power failure is not modelled"
                )
                found.append(Fidelity(service=name, kind="embedded", what=what))
            else:
                what = "the service's own code as a process of this machine, without its container"
                found.append(Fidelity(service=name, kind="real", what=what))
        return tuple(found)

    async def provision(self, plan: Plan, run: str, folder: Path) -> LocalEstate:
        """Start every service and link of the plan's system; what dead runs have left is swept first.

        Raises EnvironmentBroken, with nothing left behind, when something does not come up.
        """
        _refuse_cycles(plan.system)
        await asyncio.to_thread(preflight, plan.system)
        await asyncio.to_thread(heal)
        postgresql = any(local.postgresql for local in plan.system.local.values())
        task = Task(
            run=run,
            folder=Path(os.path.abspath(folder)),  # noqa: PTH100, ASYNC240 - no need to look at the disk
            state=state_directory() / "runs" / run,
            temporary=temporary_folder(postgresql),
            cache=pg_install.cache_folder(),
        )
        estate = await LocalEstate.open(plan, task)
        try:
            await _bring_up(estate)
        except BaseException as error:
            try:
                await asyncio.shield(estate.close())
            except ChaoskitError as left:
                error.add_note(str(left))
            raise
        return estate


def _refuse_cycles(system: System) -> None:
    graph = {name: set(_before(system, name)) for name in system.services}
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        raise EnvironmentBroken(
            f"depends_on goes in a circle: {' → '.join(error.args[1])}; break it in the Compose file"
        ) from None


def _before(system: System, service: str) -> dict[str, str]:
    """What must be there before the service starts, and how: Compose's depends_on; a standby needs its
    primary.
    """
    conditions = dict(system.services[service].depends_on)
    role = system.role_of(service)
    if role is not None and system.roles[role].standby == service:
        conditions[system.roles[role].primary] = "service_healthy"
    return conditions


async def _bring_up(estate: LocalEstate) -> None:
    system = estate.plan.system
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(estate.start_proxy(_PROXY_S))
            for service in system.services:
                group.create_task(_start_in_turn(estate, service))
    except BaseExceptionGroup as several:
        raise _first(several) from None
    for name, role in system.roles.items():
        if role.standby is not None:
            limit_s = system.local[role.standby].start_within.s
            await until_streaming(name, role, estate.direct(role.primary), limit_s)
    await populate(system, estate.direct, _POPULATE_S)


async def _start_in_turn(estate: LocalEstate, service: str) -> None:
    for other, condition in _before(estate.plan.system, service).items():
        moments = estate.lifecycle.started if condition == "service_started" else estate.lifecycle.ready
        await moments[other].wait()
    await estate.lifecycle.start(service)


def _first(several: BaseExceptionGroup[BaseException]) -> BaseException:
    """The error that says why: the others of a group that is torn down follow from it."""
    flat: list[BaseException] = []
    for error in several.exceptions:
        flat += [_first(error)] if isinstance(error, BaseExceptionGroup) else [error]
    return next((error for error in flat if isinstance(error, ChaoskitError)), flat[0])
