"""What stands before the first container of a run: engine, who cleans up, who runs the measurers, root's hand, logs."""

from __future__ import annotations

import asyncio
import secrets
import tempfile
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from chaoskit.model.plan import Plan
from chaoskit.run_folder import state_directory
from chaoskit.runtimes.docker.engine import Engine
from chaoskit.runtimes.docker.hand import Hand
from chaoskit.runtimes.docker.janitor import Janitor
from chaoskit.runtimes.docker.logs import Logs
from chaoskit.runtimes.docker.ownership import Owner
from chaoskit.runtimes.docker.preparations import Preparations
from chaoskit.runtimes.docker.sweep import sweep
from chaoskit.runtimes.heal import heal
from chaoskit.runtimes.measurer_jobs import MeasurerJobs
from chaoskit.runtimes.supervision import Supervision, Task, launch


@dataclass(frozen=True)
class Ground:
    """`prefix` begins the name of every object of the run; `scratch` is a folder of this machine that goes with it."""

    folder: Path
    scratch: Path
    prefix: str
    owner: Owner
    engine: Engine
    janitor: Janitor
    supervision: Supervision
    jobs: MeasurerJobs
    hand: Hand
    logs: Logs
    preparations: Preparations


async def prepare_ground(plan: Plan, run: str, folder: Path, undoing: AsyncExitStack) -> Ground:
    """Sweep what dead runs have left, then start what every run needs; `undoing` takes each of it down again.

    Raises EnvironmentBroken.
    """
    engine = await asyncio.to_thread(Engine)
    undoing.callback(engine.close)
    await asyncio.gather(asyncio.to_thread(heal), asyncio.to_thread(sweep, engine.url))
    state = state_directory() / "runs" / run
    owner = Owner.this(run, str(state))
    prefix = f"chaoskit-{secrets.token_hex(4)}"
    temporary = Path(tempfile.gettempdir())
    logs = Logs(engine, folder / "logs")
    undoing.push_async_callback(logs.close)
    task = Task(run=run, folder=folder, state=state, temporary=temporary, cache=temporary)
    both = await asyncio.gather(
        _supervise(task, undoing),
        _clean_up(owner, engine, folder, temporary / prefix, undoing),
        return_exceptions=True,  # the one that comes up is taken down again, whatever becomes of the other
    )
    if failed := [one for one in both if isinstance(one, BaseException)]:
        raise failed[0]
    (supervision, jobs), janitor = cast(tuple[tuple[Supervision, MeasurerJobs], Janitor], both)
    (temporary / prefix).mkdir(mode=0o711)
    await logs.start()
    hand = Hand(engine, owner.labels)
    undoing.push_async_callback(hand.close)
    preparations = await Preparations.make(
        plan.preparations, engine, prefix, owner.labels, temporary / prefix
    )
    undoing.callback(preparations.close)
    return Ground(
        folder,
        temporary / prefix,
        prefix,
        owner,
        engine,
        janitor,
        supervision,
        jobs,
        hand,
        logs,
        preparations,
    )


async def _clean_up(
    owner: Owner, engine: Engine, folder: Path, scratch: Path, undoing: AsyncExitStack
) -> Janitor:
    janitor = await Janitor.start(owner, engine.url, folder, scratch)
    undoing.push_async_callback(janitor.close, engine)
    return janitor


async def _supervise(task: Task, undoing: AsyncExitStack) -> tuple[Supervision, MeasurerJobs]:
    jobs: list[MeasurerJobs] = []

    def told(message: Mapping[str, Any]) -> None:
        # Here the supervisor runs measurers alone.
        if message["role"] == "measurer" and message["event"] == "exit":
            jobs[0].ended(message["name"], message["status"])

    supervision = await Supervision.start(launch(task), told)
    undoing.push_async_callback(supervision.close)
    jobs.append(MeasurerJobs(supervision))
    return supervision, jobs[0]
