"""Builds plans and conducts them on the fake estate, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import pytest

from chaoskit.clock import Clock, suspended_ns
from chaoskit.conductor.conductor import Conductor
from chaoskit.conductor.stage import Controls
from chaoskit.evidence.chain import verify
from chaoskit.model.drill import Abort, Decision, Drill, Objective, Settle, Steady, Step, When
from chaoskit.model.estate import Estate
from chaoskit.model.history import Event
from chaoskit.model.lease import NothingToUndo, ProcessRef, SignalUndo, ToxicUndo, Undo
from chaoskit.model.member import Look, ResponseContext, ResponseFailed, Witness
from chaoskit.model.plan import Criterion, Place, Plan, PlannedStep, ProbeSchedule
from chaoskit.model.system import Good, Journey, Link, Service, System
from chaoskit.quantity import Duration, Percent, Rate
from tests.conductor.fake_estate import FakeEstate, World
from tests.conductor.virtual_loop import VirtualLoop, run


def seconds(value: float) -> Duration:
    return Duration.of_ns(round(value * 1e9))


def fault(id_: str = "crash", *on: str, name: str = "fake.kill", volley: int = 1, **more: Any) -> PlannedStep:
    more.setdefault("at", None if {"when", "after"} & set(more) else seconds(0))
    place = Place(path="drill.yaml", line=1, column=1)
    more.setdefault("kind", "fault")
    return PlannedStep(id=id_, name=name, on=on or ("db",), volley=volley, place=place, **more)


def response(
    id_: str = "promote", *, name: str = "fake.promote", volley: int = 9, **more: Any
) -> PlannedStep:
    place = Place(path="drill.yaml", line=2, column=1)
    return PlannedStep(
        id=id_, kind="response", name=name, on=("db-standby",), volley=volley, place=place, **more
    )


def down(service: str = "db", **more: Any) -> When:
    return When(down=service, **{"every": seconds(0.1), "misses": 3, "timeout": seconds(0.05), **more})


def plan_of(*steps: PlannedStep, steady: Steady | None = None, **more: Any) -> Plan:
    """A bank of one journey behind a gateway, probed ten times a second; W is 2 s, w 1 s."""
    journey = Journey(get="gateway/pay", good=Good(status=200, within=seconds(1)))
    system = System(
        system="fake",
        compose="compose.yaml",
        folder="/nowhere",
        services={name: Service(name=name) for name in ("gateway", "db", "db-standby")},
        links=(Link.parse("customers -> gateway"), Link.parse("gateway -> db")),
        journeys={"pay": journey},
    )
    drill = Drill(
        drill="fake",
        title="Fake",
        system="system.yaml",
        load={"pay": Rate.parse("20/s")},
        steady=steady
        or Steady(for_=seconds(2), success=Percent.parse("99%"), p99=seconds(0.25), within=seconds(6)),
        timeline=(Step(at=seconds(0), fault="fake.kill", on=("db",)),),
        objectives={"pay": Objective(rto=seconds(60))},
        settle=Settle(hold=seconds(2), gap=seconds(1)),
        abort=more.pop("abort", None),
    )
    return Plan(
        **{
            "drill": drill,
            "drill_path": "drill.yaml",
            "system": system,
            "runtime": "fake",
            "seed": 7,
            "load": drill.load,
            "probes": (ProbeSchedule(journey="pay", every=seconds(0.1), phase_ns=0),),
            "criteria": {"pay": Criterion(window_ns=10**9, hold_ns=2 * 10**9)},
            "steps": steps,
            "deadline": seconds(20),
            **more,
        }
    )


@dataclass(frozen=True)
class FakeKill:
    """The bank is down until somebody promotes; the direct probe sees it as well."""

    targets: ClassVar[str] = "service"
    fails: bool = False
    unseen: bool = False

    async def baseline(self, target: str, estate: Any) -> str:
        estate.world.note(f"baseline {target}")
        return "before"

    async def undo(self, target: str, estate: Any) -> Undo:
        return Undo(steps=(NothingToUndo(why="dead"),))

    async def apply(self, target: str, estate: Any) -> None:
        if self.fails:
            raise OSError("no such process")
        estate.world.note(f"apply {target}")
        await asyncio.sleep(0.01)
        estate.world.up = estate.world.alive = False

    async def witness(self, target: str, estate: Any, baseline: str) -> Witness:
        assert baseline == "before"
        await asyncio.sleep(0.002)
        return Witness(not self.unseen, None if self.unseen else estate.world.loop.clock(), "the kernel")


@dataclass(frozen=True)
class FakeSlowKill(FakeKill):
    """Seen by its witness only five seconds after it began."""

    async def witness(self, target: str, estate: Any, baseline: str) -> Witness:
        await asyncio.sleep(5)
        return await super().witness(target, estate, baseline)


@dataclass(frozen=True)
class FakeFreeze(FakeKill):
    """As a kill, but it can be thawed."""

    async def undo(self, target: str, estate: Any) -> Undo:
        return Undo(steps=(SignalUndo(processes=(ProcessRef(pid=5, start=6),)),))


@dataclass(frozen=True)
class FakeLatency:
    """Customers wait, but not too long."""

    targets: ClassVar[str] = "link"

    async def baseline(self, target: str, estate: Any) -> None:
        return None

    async def undo(self, target: str, estate: Any) -> Undo:
        return Undo(steps=(ToxicUndo(link=target, toxic="slow"),))

    async def apply(self, target: str, estate: Any) -> None:
        estate.world.note(f"apply {target}")

    async def witness(self, target: str, estate: Any, baseline: Any) -> Witness:
        return Witness(True, estate.world.loop.clock(), "a longer round trip")


@dataclass(frozen=True)
class FakePromote:
    """Fences the old primary, and the bank is up again a second later; slow at first, if the world says so."""

    fails: bool = False

    async def run(self, on: Sequence[str], context: ResponseContext) -> None:
        if self.fails:
            raise ResponseFailed("the standby would not leave recovery")
        await context.supersede("db")
        context.record("fenced", service="db")
        await asyncio.sleep(1)
        context.estate.world.come_back()  # type: ignore[attr-defined]


@dataclass(frozen=True)
class FakeProbe:
    @staticmethod
    def fits(system: System, service: str) -> bool:
        return True

    async def look(self, service: str, estate: Any, timeout_s: float) -> Look:
        await asyncio.sleep(0.001)
        return Look(estate.world.alive, "select 1")


class FakeRegistry:
    def __init__(self) -> None:
        self._known: dict[str, dict[str, type[Any]]] = {
            "faults": {
                "fake.kill": FakeKill,
                "fake.slow-kill": FakeSlowKill,
                "fake.freeze": FakeFreeze,
                "fake.latency": FakeLatency,
            },
            "responses": {"fake.promote": FakePromote},
            "probes": {"fake": FakeProbe},
        }

    def members(self, kind: Any) -> Mapping[str, type[Any]]:
        return self._known[kind]

    def member(self, kind: Any, name: str) -> type[Any]:
        return self._known[kind][name]


@dataclass
class Played:
    """What one conducted run left."""

    events: list[Event]
    world: World
    estate: FakeEstate | None
    folder: Path
    seconds: float
    heard: list[Event] = field(default_factory=list)

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [event.data for event in self.events if event.kind == kind]

    def one(self, kind: str) -> dict[str, Any]:
        (found,) = self.of(kind)
        return found

    def at(self, kind: str, **like: Any) -> int:
        """Time of the first such event, ns."""
        return next(e.t for e in self.events if e.kind == kind and like.items() <= e.data.items())

    @property
    def kinds(self) -> list[str]:
        return [event.kind for event in self.events]


Meddle = Callable[[World, asyncio.Event], Any]


def play(
    folder: Path,
    plan: Plan,
    meddle: Meddle | None = None,
    controls: Controls | None = None,
    provision_error: Exception | None = None,
    provision_s: float = 1.0,
    slot_s: float = 0.0,
    cancel_s: float | None = None,
    queued: AbstractAsyncContextManager[Any] | None = None,
    asker: Any = None,
    suspended: Clock = suspended_ns,
    meanwhile: Callable[[], None] | None = None,
) -> Played:
    """Conduct `plan` in virtual time; `meddle(world, stop)` runs beside it."""

    async def work(loop: VirtualLoop) -> Played:
        world = World(loop)
        stop = asyncio.Event()
        estates: list[FakeEstate] = []
        heard: list[Event] = []
        run_folder, state = folder / "run", folder / "state"
        run_folder.mkdir()

        async def provision() -> Estate:
            await asyncio.sleep(provision_s)
            if provision_error is not None:
                raise provision_error
            estates.append(FakeEstate(world, plan, "run-1", run_folder))
            return estates[0]  # type: ignore[return-value]

        @asynccontextmanager
        async def slot() -> Any:
            await asyncio.sleep(slot_s)
            world.note("slot")
            yield
            world.note("slot given back")

        conductor = Conductor(
            plan,
            FakeRegistry(),
            "run-1",
            run_folder,
            state,
            provision,
            queued or slot(),
            heard.append,
            asker=asker,
            suspended=suspended,
            clock=loop.clock,
            controls=controls or Controls(),
            meanwhile=meanwhile,
        )
        beside = asyncio.create_task(meddle(world, stop)) if meddle else None
        begun = loop.now
        try:
            conducting = asyncio.ensure_future(conductor.conduct(stop))
            if cancel_s is not None:
                loop.call_later(cancel_s, conducting.cancel)
                loop.call_later(cancel_s + 0.001, conducting.cancel)
                with pytest.raises(asyncio.CancelledError):
                    await conducting
            else:
                await conducting
        finally:
            if beside is not None:
                beside.cancel()
                await asyncio.gather(beside, return_exceptions=True)
        chain = verify(run_folder / "events.jsonl")
        assert not chain.problems
        assert chain.sealed
        return Played(
            list(chain.events), world, estates[0] if estates else None, run_folder, loop.now - begun, heard
        )

    return run(work)


ABORT = Abort(if_="success < 1%", for_=seconds(3))
DECISION = Decision(role="duty-manager", takes=seconds(120))
