"""The drill's timeline: starts each step at its time or upon its event; steps run in parallel.

step ── at ────────────────┐
     ── when {down|…} ─────┼── after ──► faults of one volley together │ decision, response ──► begun … ended
     ── the step before ───┘
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from chaoskit.conductor import actors, decisions, looks
from chaoskit.conductor.detection import Detector, probe_for
from chaoskit.conductor.recovery_watch import RecoveryWatch
from chaoskit.conductor.stage import Stage
from chaoskit.conductor.stop_rule import watch_rule
from chaoskit.errors import ChaoskitError
from chaoskit.model.drill import When
from chaoskit.model.plan import PlannedStep

LEAD_NS = 500_000_000
"""A volley with a known instant is armed this long before it, so that the leases' fsync delays nothing."""


@dataclass
class Progress:
    """How far one step has come. `lost` says why what follows it can never start."""

    begun: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    lost: str | None = None

    def lose(self, why: str) -> None:
        """Let nobody wait for what will not come."""
        self.lost = self.lost or why
        self.begun.set()
        self.ended.set()


class WaitPassed(Exception):
    """The deadline of a step's wait has passed."""


class Timeline:
    """Runs all steps of a plan on a stage; ends the run when a step's wait passes or a fault cannot be done."""

    def __init__(self, stage: Stage, recovery: RecoveryWatch) -> None:
        self._stage = stage
        self.recovery = recovery
        self._progress = {step.id: Progress() for step in stage.plan.steps}
        self._baselines = actors.Baselines(stage)
        self._prepared: dict[int, list[actors.Armed]] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._moved_ns = 0
        self._witnessing = 0

    @property
    def settled(self) -> bool:
        """Whether nothing more will be begun, witnessed or undone by the timeline."""
        return not self._witnessing and all(
            progress.ended.is_set()
            or (step.kind == "fault" and step.for_ is None and progress.begun.is_set())
            for step in self._stage.plan.steps
            for progress in (self._progress[step.id],)
        )

    async def prepare(self) -> None:
        """Take every baseline, and arm the volleys that are due at once, while the system is still steady."""
        volleys = self._volleys()
        try:
            await self._baselines.take([step for _, steps in volleys for step in steps])
            for number, steps in volleys:
                if steps[0].at is not None and steps[0].at.ns <= LEAD_NS:
                    self._prepared[number] = await actors.arm(self._stage, steps, self._baselines)
        except actors.FaultFailed as error:
            self._stage.ending.set("broken", str(error))

    def start(self) -> None:
        """Start every step's task; `stage.zero_ns` is set."""
        planned = max((step.at.ns for step in self._stage.plan.steps if step.at is not None), default=0)
        self._moved_ns = self._stage.zero_ns + planned
        for number, steps in self._volleys():
            self._spawn(self._volley(number, steps), steps)
        for step in self._stage.plan.steps:
            if step.kind != "fault":
                self._spawn(self._response(step), [step])
            elif step.id in self._stage.controls.disarm:
                self._stage.recorder.record("step.disarmed", step=step.id)
                self._done(step)

    async def stop(self) -> None:
        """Cancel whatever is waiting or running; returns when all of it has stopped."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._baselines.close()

    def _volleys(self) -> list[tuple[int, list[PlannedStep]]]:
        faults = [
            step
            for step in self._stage.plan.steps
            if step.kind == "fault" and step.id not in self._stage.controls.disarm
        ]
        faults.sort(key=lambda step: step.volley)
        return [(number, list(steps)) for number, steps in groupby(faults, key=lambda step: step.volley)]

    def _spawn(self, work: Coroutine[Any, Any, None], steps: Sequence[PlannedStep]) -> None:
        async def guarded() -> None:
            try:
                await work
            except WaitPassed as error:
                self._fail(steps, str(error))
                self._stage.ending.set("timeout", str(error))
            except (actors.FaultFailed, ChaoskitError) as error:
                self._fail(steps, str(error))
                self._stage.ending.set("broken", str(error))
            except Exception as error:  # noqa: BLE001 - a member's bug: the run has no answer, and says so
                why = f"{steps[0].id} ({steps[0].name}) crashed: {type(error).__name__}: {error}"
                self._fail(steps, why)
                self._stage.ending.set("broken", why)

        self._tasks.append(asyncio.create_task(guarded(), name=steps[0].id))

    def _fail(self, steps: Sequence[PlannedStep], why: str) -> None:
        for step in steps:
            self._stage.recorder.record("step.failed", step=step.id, error=why)
            self._progress[step.id].lose(why)

    async def _volley(self, number: int, steps: list[PlannedStep]) -> None:
        instant = await self._due(steps[0], LEAD_NS)
        if instant is None:
            for step in steps:
                self._skip(step)
            return
        armed = self._prepared.pop(number, None)
        if armed is None:
            await self._baselines.renew(steps)
            armed = await actors.arm(self._stage, steps, self._baselines)
        await self._stage.sleep_until(instant)
        self._witnessing += 1
        try:
            applied_ns, witnesses = await actors.apply(self._stage, armed)
            for step in steps:
                self._begun(step)
            await asyncio.gather(
                *witnesses,
                *(self._lift(step, armed, applied_ns) for step in steps if step.for_ is not None),
            )
        finally:
            self._witnessing -= 1

    async def _lift(self, step: PlannedStep, armed: list[actors.Armed], applied_ns: int) -> None:
        assert step.for_ is not None
        await self._stage.sleep_until(applied_ns + step.for_.ns)
        if step.id in self._stage.controls.leave_out:
            # A control run: the fault stays until the run's end heals it.
            self._stage.recorder.record("step.left_out", step=step.id)
            self._done(step)
            return
        await actors.lift(self._stage, [one for one in armed if one.step.id == step.id])
        self._done(step)

    async def _response(self, step: PlannedStep) -> None:
        if await self._due(step, 0) is None:
            self._skip(step)
            return
        if step.id in self._stage.controls.leave_out:
            self._stage.recorder.record("step.left_out", step=step.id)
            self._progress[step.id].lose("it was left out")
            return
        self._moves(self._stage.clock() + step.lived_ns(self._stage.plan.pace))
        if (why_not := await decisions.decide(self._stage, step)) is not None:
            self._progress[step.id].lose(why_not)
            return
        self._begun(step)
        if step.kind == "probe":
            await looks.look(self._stage, step)
            self._done(step)
        elif await actors.respond(self._stage, step):
            self._done(step)
        else:
            self._progress[step.id].lose("it failed")

    async def _due(self, step: PlannedStep, lead_ns: int) -> int | None:
        """The instant at which to act, returned up to `lead_ns` before it; None: what it follows will not come."""
        stage = self._stage
        if step.at is not None:
            instant = stage.zero_ns + step.at.ns
        else:
            if not await self._triggered(step):
                return None
            instant = stage.clock() + (step.after.ns if step.after else 0)
            self._moves(instant)
        await stage.sleep_until(instant - lead_ns)
        return instant

    async def _triggered(self, step: PlannedStep) -> bool:
        if step.when is not None:
            return await self._within(step, step.when)
        if step.after_step is not None:
            before = self._progress[step.after_step]
            follows = next(one for one in self._stage.plan.steps if one.id == step.after_step)
            await (before.begun if follows.kind == "fault" else before.ended).wait()
            return before.lost is None
        return True

    async def _within(self, step: PlannedStep, when: When) -> bool:
        """Wait for the event; `within` counts from when the timeline last moved, or will by its own times.

        Raises WaitPassed.
        """
        waiting = asyncio.ensure_future(self._event(step, when))
        try:
            while True:
                left = self._last_call_ns(when) - self._stage.clock()
                if left <= 0:
                    raise WaitPassed(f"{step.id}: {describe(when)} did not happen within {when.within}")
                done, _ = await asyncio.wait({waiting}, timeout=left / 1e9)
                if done:
                    return waiting.result()
        finally:
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)

    def _last_call_ns(self, when: When) -> int:
        steps = self._stage.plan.steps
        awaited = next((step for step in steps if step.id == when.done), None)
        lasting = awaited.for_.ns if awaited is not None and awaited.for_ is not None else 0
        return self._moved_ns + lasting + when.within.ns

    async def _event(self, step: PlannedStep, when: When) -> bool:
        if when.down is not None:
            return await self._detect(step, when.down, when)
        if when.stop_rule is not None:
            await watch_rule(self._stage, step.id, when.stop_rule)
            return True
        if when.recovered is not None:
            await self.recovery.recovered(when.recovered)
            return True
        awaited = self._progress[when.done or when.begun or ""]
        await (awaited.ended if when.done is not None else awaited.begun).wait()
        return awaited.lost is None

    async def _detect(self, step: PlannedStep, service: str, when: When) -> bool:
        stage = self._stage
        phase = random.Random(f"{stage.plan.seed} detection {step.id}").randrange(when.every.ns)
        probe = probe_for(stage.registry, stage.plan.system, service)
        detector = Detector(step.id, service, probe, when, phase, stage.estate, stage.recorder, stage.clock)
        alert = await detector.alert(stage.zero_ns)
        # Of what was down before the fault, no time from the fault on says how soon it is found.
        early = not 0 < stage.first_fault_ns <= alert.first_known_ns
        stage.recorder.record(
            "detect.alert",
            step=step.id,
            service=service,
            first_miss=alert.first_miss_ns,
            misses=when.misses,
            period_ns=when.every.ns,
            false_alarm=early,
        )
        if early:
            stage.ending.set("broken", f"{step.id}: a false alarm about {service} began before any fault")
        return True

    def _moves(self, at_ns: int) -> None:
        self._moved_ns = max(self._moved_ns, at_ns)

    def _begun(self, step: PlannedStep) -> None:
        self._moves(self._stage.clock())
        self._progress[step.id].begun.set()

    def _done(self, step: PlannedStep) -> None:
        self._begun(step)
        self._progress[step.id].ended.set()

    def _skip(self, step: PlannedStep) -> None:
        why = "what it follows did not come about"
        self._stage.recorder.record("step.skipped", step=step.id, reason=why)
        self._progress[step.id].lose(why)


def describe(when: When) -> str:
    """The event in words: `ledger-db down`."""
    if when.stop_rule is not None:
        return f"the stop rule {when.stop_rule}"
    for word in ("down", "recovered", "done", "begun"):
        if (value := getattr(when, word)) is not None:
            return f"{value} {word}"
    return "an event"
