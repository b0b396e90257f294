"""The actors of the timeline: faults, armed and then applied in one instant, and responses by machine and by people.

arm      baseline ► undo as data ► lease fsynced        for every target of the volley
apply    lo ► apply, lo ► apply …                       concurrently, each with its own lo
witness  seen by something other than the injector      concurrently, gives each its hi
lift     undo, if the drill says `for:`
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from chaoskit.conductor.stage import Stage
from chaoskit.errors import EnvironmentBroken
from chaoskit.model.estate import Estate
from chaoskit.model.lease import Lease, MirrorUndo, NothingToUndo, RaisedLimitUndo
from chaoskit.model.member import Fault, Response, ResponseFailed, Witness
from chaoskit.model.parameters import build
from chaoskit.model.plan import PlannedStep

ARM_WITHIN_S = 10.0
RENEW_WITHIN_S = 0.3
APPLY_WITHIN_S = 10.0
WITNESS_WITHIN_S = 30.0
UNDO_WITHIN_S = 10.0
RESTARTS_WITHIN_S = 60.0  # an undo by restarts of databases, one after the other


@dataclass(frozen=True)
class Armed:
    """One fault on one target, its lease on disk, ready to be applied."""

    step: PlannedStep
    target: str
    fault: Fault
    baseline: Any
    lease: Lease


class FaultFailed(Exception):
    """A fault could not be armed or applied: there is no experiment, hence no answer."""


class Baselines:
    """What witnesses need from before: taken of every fault while all is well, and again just before each volley.

    The first look is the one that counts where an earlier fault makes the second one slow or impossible (a link that is
    already delayed); the second where the first has gone stale (processes come and go, servers close idle connections).
    """

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._taken: dict[tuple[str, str], Any] = {}

    async def take(self, steps: Sequence[PlannedStep]) -> None:
        """Look at every target of every step, side by side. Raises FaultFailed."""
        await asyncio.gather(*(self._take(step, target) for step in steps for target in step.on))

    async def renew(self, steps: Sequence[PlannedStep]) -> None:
        """Look again, but not for long; what cannot be had quickly stays as it was, unless the fault says `renewed`.

        Raises FaultFailed.
        """
        await asyncio.gather(*(self._renew(step, target) for step in steps for target in step.on))

    def pop(self, step: PlannedStep, target: str) -> Any:
        """Hand a baseline over to its witness."""
        return self._taken.pop((step.id, target))

    def close(self) -> None:
        """Let go of what no witness has asked for."""
        for baseline in self._taken.values():
            _let_go(baseline)
        self._taken.clear()

    async def _take(self, step: PlannedStep, target: str) -> None:
        try:
            async with asyncio.timeout(ARM_WITHIN_S):
                self._taken[step.id, target] = await _member(self._stage, step).baseline(
                    target, self._stage.estate
                )
        except Exception as error:
            raise _failed(self._stage, step, target, error) from error

    async def _renew(self, step: PlannedStep, target: str) -> None:
        fault = _member(self._stage, step)
        must = getattr(fault, "renewed", False)
        try:
            async with asyncio.timeout(ARM_WITHIN_S if must else RENEW_WITHIN_S):
                fresh = await fault.baseline(target, self._stage.estate)
        except Exception as error:
            if isinstance(error, TimeoutError) and not must:
                return
            raise _failed(self._stage, step, target, error) from error
        _let_go(self._taken.get((step.id, target)))
        self._taken[step.id, target] = fresh


def _let_go(baseline: Any) -> None:
    if callable(close := getattr(baseline, "close", None)):
        close()


def _member(stage: Stage, step: PlannedStep) -> Fault:
    fault: Fault = build(stage.registry.member("faults", step.name), step.params)
    return fault


async def arm(stage: Stage, steps: Sequence[PlannedStep], baselines: Baselines) -> list[Armed]:
    """Take the leases of every target of every step; return when all are on disk. Raises FaultFailed."""
    armed = await asyncio.gather(
        *(_prepare(stage, step, target, baselines) for step in steps for target in step.on)
    )
    await stage.leases.hold([one.lease for one in armed])
    for one in armed:
        stage.recorder.record("lease.held", lease=one.lease.model_dump(mode="json"))
    return list(armed)


async def _prepare(stage: Stage, step: PlannedStep, target: str, baselines: Baselines) -> Armed:
    fault = _member(stage, step)
    try:
        async with asyncio.timeout(ARM_WITHIN_S):
            undo = await fault.undo(target, stage.estate)
    except Exception as error:
        raise _failed(stage, step, target, error) from error
    hit = {target} if fault.targets == "service" else set()
    mirrored = {one.service for one in undo.steps if isinstance(one, MirrorUndo)}
    lease = Lease(
        id=f"{step.id}.{1 + step.on.index(target)}",
        run=stage.estate.run,
        step=step.id,
        target=target,
        undo=undo,
        services=tuple(sorted(hit | mirrored)),
    )
    return Armed(step, target, fault, baselines.pop(step, target), lease)


def _failed(stage: Stage, step: PlannedStep, target: str, error: Exception) -> FaultFailed:
    text = _words(error)
    stage.recorder.record("fault.failed", step=step.id, target=target, error=text)
    return FaultFailed(f"{step.name} on {target} could not be done: {text}")


async def apply(stage: Stage, armed: Sequence[Armed]) -> tuple[int, list[asyncio.Task[None]]]:
    """Apply all at once; returns when the last was applied, ns, and the witnesses, who look from when theirs was.

    Raises FaultFailed if one could not be applied.
    """
    applied = [asyncio.create_task(_apply_one(stage, one)) for one in armed]
    witnesses = [
        asyncio.create_task(_witness(stage, one, done)) for one, done in zip(armed, applied, strict=True)
    ]
    try:
        await asyncio.gather(*applied)
    except BaseException:
        for task in (*applied, *witnesses):
            task.cancel()
        await asyncio.gather(*applied, *witnesses, return_exceptions=True)
        raise
    return stage.clock(), witnesses


async def _apply_one(stage: Stage, one: Armed) -> None:
    step, target = one.step, one.target
    if any(isinstance(undo, NothingToUndo) and undo.dies for undo in one.lease.undo.steps):
        stage.killed[target] = stage.clock()
    lo = stage.clock()
    stage.first_fault_ns = stage.first_fault_ns or lo
    stage.last_fault_ns = lo
    stage.change(lo)
    stage.recorder.record("fault.begin", step=step.id, name=step.name, target=target, lo=lo)
    try:
        async with asyncio.timeout(APPLY_WITHIN_S):
            await one.fault.apply(target, stage.estate)
    except Exception as error:
        raise _failed(stage, step, target, error) from error
    stage.recorder.record("fault.applied", step=step.id, target=target)


async def _witness(stage: Stage, one: Armed, applied: asyncio.Task[None]) -> None:
    began = stage.clock()
    if not getattr(one.fault, "watched", False):
        await applied
    try:
        async with asyncio.timeout(WITNESS_WITHIN_S):
            seen = await one.fault.witness(one.target, stage.estate, one.baseline)
    except Exception as error:  # noqa: BLE001 - a broken witness has seen nothing; the run goes on and is unknown
        seen = Witness(False, None, f"the witness failed: {_words(error)}")
    about = {"step": one.step.id, "target": one.target, "how": seen.how}
    if seen.seen:
        hi = seen.seen_ns if seen.seen_ns is not None else stage.clock()
        stage.recorder.record("fault.witnessed", hi=hi, **about)
        # A recovery time's lower bound counts from here: the run has to wait that much longer to say "more than".
        stage.unsure_ns = max(stage.unsure_ns, hi - began)
    else:
        stage.recorder.record("fault.unwitnessed", **about)


async def undo(stage: Stage, lease: Lease) -> bool:
    """Run a lease's undo and note it; harmless if it was run before. False if it failed: the lease stays held."""
    slow = any(isinstance(step, RaisedLimitUndo) for step in lease.undo.steps)
    try:
        async with asyncio.timeout(RESTARTS_WITHIN_S if slow else UNDO_WITHIN_S):
            await stage.estate.undo(lease.undo)
        await stage.leases.undone(lease.id)
    except Exception as error:  # noqa: BLE001 - whatever it is, the other leases are undone all the same
        stage.recorder.record("undo.failed", id=lease.id, error=_words(error))
        return False
    stage.recorder.record("lease.undone", id=lease.id)
    return True


async def lift(stage: Stage, armed: Sequence[Armed]) -> None:
    """End a fault whose `for:` has passed.

    This is the drill's own timeline and no healing: a frozen node that wakes up asks nobody, so a superseded lease is
    run as well, and what the fence cut off stays cut off (the estate sees to that).
    """
    for one in armed:
        stage.change(stage.clock())
        if not await undo(stage, one.lease):
            raise FaultFailed(f"{one.step.name} on {one.target} could not be undone after {one.step.for_}")
        stage.recorder.record("fault.undone", step=one.step.id, target=one.target)


@dataclass
class Context:
    """What a response may use besides the estate (model.member.ResponseContext)."""

    stage: Stage
    estate: Estate
    step: str

    def record(self, kind: str, **facts: Any) -> None:
        """Append `response.fact` with `fact` = kind."""
        self.stage.recorder.record("response.fact", **{**facts, "step": self.step, "fact": kind})

    def change(self) -> None:
        """As the protocol says."""
        self.stage.change(self.stage.clock())

    async def supersede(self, service: str) -> None:
        """From here on nobody undoes the leases on `service`, and COLLECT offers it no write."""
        self.stage.fenced.add(service)
        for lease in await self.stage.leases.supersede(service):
            self.stage.recorder.record("lease.superseded", id=lease.id, by=self.step)

    async def readmit(self, service: str) -> None:
        """As the protocol says; what it was superseded in stays superseded."""
        await self.estate.links.readmit(service)
        self.stage.fenced.discard(service)
        self.stage.recorder.record("member.readmitted", service=service, by=self.step)


async def respond(stage: Stage, step: PlannedStep) -> bool:
    """Run a response; False if it failed, which is a finding. A crash of its code raises."""
    response: Response = build(stage.registry.member("responses", step.name), step.params)
    stage.change(stage.clock())
    stage.recorder.record("response.begin", step=step.id, name=step.name, on=list(step.on))
    try:
        await response.run(step.on, Context(stage, stage.estate, step.id))
    except asyncio.CancelledError:
        stage.recorder.record("response.failed", step=step.id, error="not finished when the run ended")
        raise
    except (ResponseFailed, EnvironmentBroken, OSError, TimeoutError) as error:
        stage.recorder.record("response.failed", step=step.id, error=_words(error))
        return False
    except Exception as error:
        stage.recorder.record("response.failed", step=step.id, error=_words(error))
        raise
    stage.recorder.record("response.done", step=step.id)
    return True


async def kill_watchdogs(stage: Stage) -> None:
    """A control run: what would bring the system back by itself is dead before anything else is broken."""
    for service in sorted(stage.controls.dead):
        stage.killed[service] = stage.clock()
        await stage.estate.processes.kill(service, revive=False)
        stage.recorder.record("watchdog.killed", service=service)


def _words(error: BaseException) -> str:
    if isinstance(error, ResponseFailed | EnvironmentBroken):
        return str(error)
    if isinstance(error, TimeoutError) and not str(error):
        return "no answer in time"
    return f"{type(error).__name__}: {error}"
