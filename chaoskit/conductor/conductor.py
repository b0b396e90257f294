"""Conducts one run from an empty folder to a sealed history.

    provision ► slot ► steady ──► timeline … hold ──► quiesce ► collect ► close ► seal
         │        │       │            │                 ▲
         └────────┴───────┴────────────┴─ an ending ─────┘   a person's stop, a guard, a death, a deadline

Whatever ends the run, everything from `quiesce` on is done, and done once: it cannot be cancelled, only bounded.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from chaoskit.clock import Clock, boot_id, monotonic_ns, suspended_ns
from chaoskit.conductor import actors, gate, quiesce
from chaoskit.conductor.collect_before import collect_before
from chaoskit.conductor.ending import Ending
from chaoskit.conductor.leases import LeaseBook
from chaoskit.conductor.measurers import Measurers
from chaoskit.conductor.observation import Observation
from chaoskit.conductor.recorder import Listener, Onlooker, Recorder
from chaoskit.conductor.recovery_watch import RecoveryWatch
from chaoskit.conductor.redundancy_watch import RedundancyWatch
from chaoskit.conductor.stage import Controls, Queued, Registry, Stage
from chaoskit.conductor.timeline import Timeline
from chaoskit.conductor.versions import record_versions
from chaoskit.conductor.watchers import CrashWatch, watch_end, watch_guard, watch_itself, watch_measurers
from chaoskit.errors import ChaoskitError, EnvironmentBroken
from chaoskit.model.estate import Estate
from chaoskit.model.people import Asker
from chaoskit.model.plan import Plan

BEGIN_WITHIN_S = 15.0
"""How long the measurers' interpreters may take to begin their journals."""
CANCEL_WITHIN_S = 15.0
"""How long provisioning may take to wind down after it was interrupted."""


@dataclass(frozen=True)
class Conductor:
    """One run. `provision` brings up the estate; `slot` is the machine-wide right to measure; `state` the run's folder
    in the state directory, where leases go; `listener` hears events, `onlooker` sees operations, `asker` asks people;
    `meanwhile` is done in a thread while the books are read twice, when nobody is measured any more; `machine` is what
    the run says of its machine.
    """

    plan: Plan
    registry: Registry
    run: str
    folder: Path
    state: Path
    provision: Callable[[], Awaitable[Estate]]
    slot: AbstractAsyncContextManager[Any]
    listener: Listener | None = None
    onlooker: Onlooker | None = None
    asker: Asker | None = None
    clock: Clock = monotonic_ns
    suspended: Clock = suspended_ns
    controls: Controls = field(default_factory=Controls)
    meanwhile: Callable[[], None] | None = None
    machine: Mapping[str, Any] = field(default_factory=dict)

    async def conduct(self, stop: asyncio.Event) -> None:
        """Run until the history is sealed. Setting `stop`, or cancelling, interrupts: heals, keeps what there is.

        How the run ended is in its `run.end` event. Raises EnvironmentBroken, after everything was undone, if the
        events could not be written to their end.
        """
        work = asyncio.ensure_future(_Run(self).conduct(stop))
        cancelled: asyncio.CancelledError | None = None
        while not work.done():
            try:
                await asyncio.wait({work})
            except asyncio.CancelledError as error:  # whoever cancels has to wait until all is healed
                cancelled = error
                stop.set()
        work.result()
        if cancelled is not None:
            raise cancelled


class _Run:
    """The run while it lasts."""

    def __init__(self, conductor: Conductor) -> None:
        self._own = conductor
        self._ending = Ending()
        self._recorder = Recorder(
            conductor.folder / "events.jsonl",
            conductor.clock,
            conductor.listener,
            lambda error: self._ending.set("broken", error),
        )
        self._leases = LeaseBook(conductor.state)
        self._estate: Estate | None = None
        self._stage: Stage | None = None
        self._measurers: Measurers | None = None
        self._crashes: CrashWatch | None = None
        self._slot_held = False

    async def conduct(self, stop: asyncio.Event) -> None:
        """All phases; the second half whatever became of the first."""
        self._begin()
        stopping = asyncio.create_task(self._await_stop(stop))
        try:
            for part in (self._provide, self._take_slot, self._measure):
                if self._ending.end is None:
                    await self._until_ending(part())
            if self._ending.end is None:
                self._ending.set("broken", "the run came to its end without a reason")
            await self._finish()
        finally:
            stopping.cancel()
            self._recorder.close()
        if self._recorder.failure is not None:
            raise self._recorder.failure

    def _begin(self) -> None:
        own = self._own
        self._recorder.record(
            "run.begin",
            run=own.run,
            wall=datetime.now(UTC).isoformat(timespec="milliseconds"),
            boot_id=boot_id(),
            suspended_ns=own.suspended(),
            machine=dict(own.machine),
            version=_version(),
            controls={name: sorted(steps) for name, steps in asdict(own.controls).items()},
        )

    async def _await_stop(self, stop: asyncio.Event) -> None:
        await stop.wait()
        if self._ending.interrupt():
            self._recorder.record("interrupted")

    async def _until_ending(self, work: Coroutine[Any, Any, None]) -> None:
        """Run `work` to its end, or until the run has ended; an error in it is an ending as well."""
        task = asyncio.create_task(work)
        ended = asyncio.create_task(self._ending.wait())
        await asyncio.wait({task, ended}, return_when=asyncio.FIRST_COMPLETED)
        ended.cancel()
        if not task.done():
            task.cancel()
            _, pending = await asyncio.wait({task}, timeout=CANCEL_WITHIN_S)
            if pending:
                self._recorder.record("trouble", what="a phase did not wind down in time")
                return
        if task.cancelled() or (error := task.exception()) is None:
            return
        if not isinstance(error, ChaoskitError | OSError | TimeoutError):
            self._recorder.record("trouble", what=f"{type(error).__name__}: {error}")
        self._ending.set("broken", str(error) or type(error).__name__)

    async def _provide(self) -> None:
        begun = self._own.clock()
        with self._recorder.phase("provision"):
            self._estate = await self._own.provision()
        self._recorder.record("estate.ready", seconds=round((self._own.clock() - begun) / 1e9, 3))
        await record_versions(self._estate, self._recorder)

    async def _take_slot(self) -> None:
        with self._recorder.phase("slot"):
            slot = self._own.slot
            if isinstance(slot, Queued):
                slot.tell = self._waiting
            await slot.__aenter__()
            self._slot_held = True

    def _waiting(self, whom: str, before: int) -> None:
        self._recorder.record("slot.waiting", whom=whom, before=before)

    async def _measure(self) -> None:
        own, estate = self._own, self._estate
        assert estate is not None
        measurers = Measurers(own.plan, estate, own.folder, self._recorder, own.clock)
        onlooker = None if own.onlooker is None else self._recorder.harmless(own.onlooker)
        observation = Observation(measurers.journals, onlooker)
        stage = Stage(
            own.plan,
            estate,
            own.registry,
            self._recorder,
            own.clock,
            self._leases,
            self._ending,
            observation,
            own.controls,
            own.asker,
        )
        self._stage, self._measurers, self._crashes = stage, measurers, CrashWatch(stage)
        timeline, redundancy = Timeline(stage, RecoveryWatch(stage)), RedundancyWatch(stage)
        following = (observation.follow(), self._crashes.follow(), redundancy.follow())
        watching = [
            asyncio.create_task(self._watched(one)) for one in (*following, watch_measurers(stage, measurers))
        ]
        try:
            with self._recorder.phase("steady"):
                await self._settle_in(stage, measurers, timeline)
            if self._ending.end is None:
                await self._play(stage, timeline, redundancy, watching)
        finally:
            # The ending that was found in here cancels this very task a moment later.
            await _to_its_end(_wind_down(watching, timeline))

    async def _settle_in(self, stage: Stage, measurers: Measurers, timeline: Timeline) -> None:
        before = await stage.estate.links.traffic()
        await measurers.start()
        try:
            async with asyncio.timeout(BEGIN_WITHIN_S):
                while not stage.observation.begun:
                    await stage.observation.next_look()
        except TimeoutError:
            self._ending.set("broken", f"load and prober did not begin within {BEGIN_WITHIN_S:g} s")
            return
        await gate.reach_steady(stage, stage.clock(), before)
        if self._ending.end is None and await collect_before(stage, self._own.folder):
            # Reading all of the books is work for the system too: it must be well again before it is broken.
            await gate.reach_steady(stage, stage.clock(), before)
        if self._ending.end is None:
            await timeline.prepare()
            await actors.kill_watchdogs(stage)

    async def _play(
        self,
        stage: Stage,
        timeline: Timeline,
        redundancy: RedundancyWatch,
        watching: list[asyncio.Task[None]],
    ) -> None:
        stage.zero_ns = self._recorder.record("timeline.zero").t
        timeline.start()
        watching += [
            asyncio.create_task(self._watched(one)) for one in (watch_guard(stage), watch_itself(stage))
        ]
        await watch_end(stage, timeline, timeline.recovery, redundancy)

    async def _watched(self, work: Coroutine[Any, Any, None]) -> None:
        """A watcher that fails ends the run: what it watched for would go unseen."""
        try:
            await work
        except EnvironmentBroken as error:
            self._ending.set("broken", str(error))
        except Exception as error:  # noqa: BLE001 - whatever it is, the run has no answer, and says so
            self._ending.set("broken", f"a watcher failed: {type(error).__name__}: {error}")

    async def _finish(self) -> None:
        """Quiesce, collect, close, seal; each step whatever the one before did."""
        await quiesce.finish(
            self._recorder,
            self._ending,
            quiesce.Remains(self._estate, self._stage, self._measurers, self._crashes, self._leases),
            self._own.folder,
            self._give_slot_back,
            self._own.suspended,
            self._own.meanwhile,
        )

    async def _give_slot_back(self) -> None:
        if self._slot_held:
            self._slot_held = False
            await self._own.slot.__aexit__(None, None, None)


async def _wind_down(watching: list[asyncio.Task[None]], timeline: Timeline) -> None:
    for task in watching:
        task.cancel()
    await asyncio.gather(*watching, return_exceptions=True)
    await timeline.stop()


async def _to_its_end(work: Coroutine[Any, Any, None]) -> None:
    """Do all of it, whoever cancels meanwhile: that is raised afterwards."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            cancelled = error
    task.result()
    if cancelled is not None:
        raise cancelled


def _version() -> str:
    try:
        return version("chaoskit")
    except PackageNotFoundError:
        return "unknown"
