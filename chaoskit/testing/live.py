"""One provisioned estate as tests use it: faults by the drills' own means, with leases, witnesses and a record.

asked ► baseline ► lease on disk ► apply ► witness ─── the test's body ─── undo ► what died is started again
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from chaoskit import planner, registry, run_folder
from chaoskit.clock import boot_id, monotonic_ns
from chaoskit.conductor import actors
from chaoskit.conductor.detection import probe_for
from chaoskit.conductor.ending import Ending
from chaoskit.conductor.leases import LeaseBook
from chaoskit.conductor.observation import Observation
from chaoskit.conductor.recorder import Recorder
from chaoskit.conductor.stage import Stage
from chaoskit.errors import EnvironmentBroken, InputError
from chaoskit.model.estate import Estate, Runtime
from chaoskit.model.history import Event
from chaoskit.model.member import ResponseFailed, Witness
from chaoskit.model.plan import Plan, PlannedStep
from chaoskit.model.preparation import Preparation
from chaoskit.spec import Loaded

LOOK_S = 1.0


@dataclass(frozen=True)
class Standing:
    """A fault that has been applied to all its targets, and what was seen of it, by target."""

    step: PlannedStep
    armed: tuple[actors.Armed, ...]
    witnesses: dict[str, Witness]

    @property
    def unwitnessed(self) -> dict[str, Witness]:
        return {target: one for target, one in self.witnesses.items() if not one.seen}


@dataclass
class Live:
    """`begun_alive` are the services that had a process when the estate was ready: they have one after a reset.

    `begun_answering` are those that answered a look in the protocol they are taken to speak: they do again.
    """

    plan: Plan
    estate: Estate
    stage: Stage
    recorder: Recorder
    heard: dict[tuple[str, str], Witness]
    begun_alive: tuple[str, ...] = ()
    begun_answering: tuple[str, ...] = ()
    standing: dict[str, Standing] = field(default_factory=dict)
    touched: bool = False
    seen_exits: int = 0

    @property
    def folder(self) -> Path:
        return self.estate.folder

    def refuse_standing(self, step: PlannedStep) -> None:
        """Raises InputError for a fault that stands: begun again, what it has broken would be forgotten."""
        if step.id in self.standing:
            raise InputError(
                f"{step.name} on {', '.join(step.on)} stands already: end it first, or make another"
            )

    async def begin(self, step: PlannedStep) -> Standing:
        """Arm and apply the fault on all targets in one instant, and wait for its witnesses.

        Raises EnvironmentBroken, with nothing of it left standing, when it cannot be done.
        """
        self.touched = True
        baselines = actors.Baselines(self.stage)
        armed: list[actors.Armed] = []
        try:
            await baselines.take([step])
            armed = await actors.arm(self.stage, [step], baselines)
            self.standing[step.id] = Standing(step, tuple(armed), {})
            _, looking = await actors.apply(self.stage, armed)
            await asyncio.gather(*looking)
        except BaseException as error:
            await self._undo(armed)
            self.standing.pop(step.id, None)
            if isinstance(error, actors.FaultFailed):
                raise EnvironmentBroken(str(error)) from None
            raise
        finally:
            baselines.close()
        nothing = Witness(False, None, "no witness has said anything")
        seen = {target: self.heard.get((step.id, target), nothing) for target in step.on}
        self.standing[step.id] = Standing(step, tuple(armed), seen)
        return self.standing[step.id]

    async def end(self, step: PlannedStep) -> None:
        """Undo the fault; harmless when that was done. Raises EnvironmentBroken when it cannot be undone."""
        standing = self.standing.get(step.id)
        if standing is None:
            return
        failed = await self._undo(standing.armed)
        if failed:
            raise EnvironmentBroken(f"{step.name} could not be undone: {'; '.join(failed)}")
        self.standing.pop(step.id, None)

    async def revive(self, services: Sequence[str]) -> list[str]:
        """Start those of the services that have no process any more, as the runbook would; returns which."""
        dead = [name for name in services if name in self.begun_alive and not await self.processes(name)]
        # Side by side, but a database before its standby, which cannot start without it.
        standbys = {role.standby for role in self.plan.system.roles.values()}
        for group in ([one for one in dead if one not in standbys], [one for one in dead if one in standbys]):
            await asyncio.gather(*(self._restart(name) for name in group))
        return dead

    async def processes(self, service: str) -> list[Any]:
        """The service's processes that live, stopped ones included."""
        tree = await self.estate.processes.tree(service)
        return [one for one in tree if self.estate.processes.state(one) != "gone"]

    async def look(self, service: str) -> str | None:
        """Ask the service directly, in its own protocol; None if it answers, else why not."""
        try:
            probe = probe_for(self.stage.registry, self.plan.system, service)
            look = await probe.look(service, self.estate, LOOK_S)
        except (EnvironmentBroken, OSError) as error:
            return str(error)
        return None if look.ok else look.detail

    async def close(self) -> None:
        """End everything of it and prove that it is gone. Raises EnvironmentBroken naming what is left."""
        try:
            await self.estate.close()
        finally:
            self.recorder.record("estate.closed", left=[])
            self.recorder.close()

    async def _restart(self, service: str) -> None:
        response = registry.member("responses", "restart-service")()
        context = actors.Context(self.stage, self.estate, f"restart {service}")
        try:
            await response.run((service,), context)
        except ResponseFailed as error:
            raise EnvironmentBroken(str(error)) from None

    async def _undo(self, armed: Sequence[actors.Armed]) -> list[str]:
        """Run the undo of what is still owed, last first; returns what failed."""
        failed = []
        for one in reversed(armed):
            lease = self.stage.leases.get(one.lease.id)
            if lease.state != "held":
                continue
            self.stage.change(self.stage.clock())
            if await actors.undo(self.stage, lease):
                self.recorder.record("fault.undone", step=one.step.id, target=one.target)
            else:
                failed.append(f"{one.target}: see `undo.failed` in {self.folder / 'events.jsonl'}")
        return failed


async def start(
    runtime: Runtime, loaded: Loaded, reports: Path, preparations: tuple[Preparation, ...] = ()
) -> Live:
    """Provision the system of `loaded`; its logs and the record of what tests did to it lie in a folder of its own.

    Raises InputError for what this runtime cannot run, EnvironmentBroken when something does not come up.
    """
    plan = planner.plan(loaded, runtime, registry).model_copy(update={"preparations": preparations})
    folder = run_folder.make_run_folder(reports, plan.drill.drill, datetime.now())
    state = run_folder.state_directory() / "runs" / folder.name
    heard: dict[tuple[str, str], Witness] = {}
    ending = Ending()
    recorder = Recorder(
        folder / "events.jsonl",
        monotonic_ns,
        lambda event: _hear(event, heard),
        lambda error: ending.set("broken", error),
    )
    recorder.record(
        "run.begin",
        run=folder.name,
        wall=datetime.now(UTC).isoformat(timespec="milliseconds"),
        boot_id=boot_id(),
        system=plan.system.system,
        runtime=plan.runtime,
    )
    try:
        estate = await runtime.provision(plan, folder.name, folder)
    except BaseException:
        recorder.close()
        with suppress(OSError):  # it was never used, or is kept for whoever cleans up
            state.rmdir()
        raise
    stage = Stage(plan, estate, registry, recorder, monotonic_ns, LeaseBook(state), ending, Observation(()))
    live = Live(plan, estate, stage, recorder, heard)
    try:
        live.begun_alive = tuple([name for name in plan.system.services if await live.processes(name)])
        looks = await asyncio.gather(*(live.look(name) for name in live.begun_alive))
    except BaseException:  # a test's own time limit, say: nobody else knows of it yet who could end it
        await live.close()
        raise
    live.begun_answering = tuple(
        name for name, why in zip(live.begun_alive, looks, strict=True) if why is None
    )
    return live


def _hear(event: Event, heard: dict[tuple[str, str], Witness]) -> None:
    if event.kind in ("fault.witnessed", "fault.unwitnessed"):
        data = event.data
        seen = event.kind == "fault.witnessed"
        heard[data["step"], data["target"]] = Witness(seen, data.get("hi"), data["how"])
