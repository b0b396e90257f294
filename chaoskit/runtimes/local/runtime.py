"""Provisions a plan's system as local processes."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING

from chaoskit.errors import ChaoskitError
from chaoskit.model.plan import Fidelity, Plan
from chaoskit.run_folder import state_directory
from chaoskit.runtimes.bring_up import bring_up, refuse_cycles
from chaoskit.runtimes.heal import heal
from chaoskit.runtimes.local import pg_install
from chaoskit.runtimes.local.capabilities import CAPABILITIES
from chaoskit.runtimes.local.preflight import preflight, temporary_folder
from chaoskit.runtimes.outsiders import said_of_attacked, with_sources
from chaoskit.runtimes.supervision import Task, launch

if TYPE_CHECKING:  # all that runs a system: a plan does not need it
    from chaoskit.runtimes.local.estate import LocalEstate

_PROXY_S = 20.0
# What a fault puts there shares the machine's network and user with everything else.
_UNCONFINED = (
    "; who is put in its place is kept to the run's addresses and folders by his own code alone, "
    "not by a network or a user of his own"
)


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
        return with_sources(said_of_attacked(tuple(found), plan, "positions", _UNCONFINED), plan)

    async def provision(self, plan: Plan, run: str, folder: Path) -> LocalEstate:
        """Start every service and link of the plan's system; what dead runs have left is swept first.

        Raises EnvironmentBroken, with nothing left behind, when something does not come up.
        """
        refuse_cycles(plan.system)
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
        supervisor = launch(task)
        # Loaded while the supervisor's interpreter starts, which takes about as long.
        from chaoskit.runtimes.local.estate import LocalEstate

        estate = await LocalEstate.open(plan, run, task.folder, supervisor)
        try:
            await bring_up(
                plan.system,
                estate.lifecycle,
                estate.start_proxy(_PROXY_S),
                estate.direct,
                lambda standby: plan.system.local[standby].start_within.s,
            )
            await estate.backups.begin()
        except BaseException as error:
            try:
                await asyncio.shield(estate.close())
            except ChaoskitError as left:
                error.add_note(str(left))
            raise
        return estate
