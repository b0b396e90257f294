"""An estate of the mind: services that are up or down, and measurers that write real journals about it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from chaoskit.conductor.journal import JournalWriter
from chaoskit.conductor.task import MeasurerTask
from chaoskit.model.estate import Address, Exit, LinkBytes, ProxyHeldUp, ProxyRestart, Toxic
from chaoskit.model.lease import ProcessRef, ProcessState, Undo
from chaoskit.model.plan import Plan
from tests.conductor.virtual_loop import VirtualLoop

LATENCY_S = 0.004


@dataclass
class World:
    """What is true in this bank. `up` is what customers see, `alive` what a direct probe sees."""

    loop: VirtualLoop
    up: bool = True
    alive: bool = True
    latency_s: float = LATENCY_S
    done: list[str] = field(default_factory=list)
    bytes_per_look: dict[str, tuple[int, int]] = field(default_factory=dict)
    killed: list[tuple[str, bool]] = field(default_factory=list)
    exits: list[Exit] = field(default_factory=list)
    restarts: list[ProxyRestart] = field(default_factory=list)
    held_up: list[ProxyHeldUp] = field(default_factory=list)
    direct: dict[str, int] = field(default_factory=dict)
    bypassed: dict[str, int] = field(default_factory=dict)
    close_error: str = ""
    measurer_dies_at: dict[str, float] = field(default_factory=dict)
    load_stops: tuple[float, float] = (0.0, 0.0)
    slow_after_s: float = 0.0

    def note(self, what: str) -> None:
        self.done.append(what)

    def come_back(self) -> None:
        """Customers are served again, for the first `slow_after_s` seconds slower than any steady state allows."""
        self.up, self.latency_s = True, 0.4 if self.slow_after_s else LATENCY_S
        self.loop.call_later(self.slow_after_s, setattr, self, "latency_s", LATENCY_S)


class FakeHelper:
    """A measurer: periodic arrivals per journey, answered by the world, written as the real ones do."""

    pid = 4242

    def __init__(self, world: World, task: MeasurerTask) -> None:
        self._world = world
        self._told = task
        self._stopping = asyncio.Event()
        self._ids = 0
        self._journal = JournalWriter(task.journal)
        self._status: int | None = None
        self._work = asyncio.create_task(self._run())

    async def terminate(self, within_s: float) -> int | None:
        self._stopping.set()
        await asyncio.shield(self._work)
        return self._status

    async def exited(self) -> int | None:
        return self._status

    async def _run(self) -> None:
        task, loop = self._told, self._world.loop
        self._journal.write({"r": "begin", "t": loop.clock(), "source": task.source})
        if task.source == "load":
            periods = {name: 1 / rate.per_second for name, rate in task.rates.items()}
        else:
            periods = {probe.journey: probe.every.s for probe in task.probes}
        dies = self._world.measurer_dies_at.get(task.source)
        await asyncio.sleep(max(0.0, task.start_at_ns / 1e9 - loop.now))
        due = dict.fromkeys(periods, task.start_at_ns / 1e9)
        while not self._stopping.is_set():
            journey = min(due, key=lambda name: due[name])
            await asyncio.sleep(max(0.0, due[journey] - loop.now))
            if dies is not None and loop.now >= dies:
                self._status = -9
                return
            stop, go_on = self._world.load_stops
            if task.source == "load" and stop <= loop.now < go_on:
                await asyncio.sleep(go_on - loop.now)
            self._journal.write({"r": "beat", "t": loop.clock()})
            await self._operate(journey, round(due[journey] * 1e9))
            due[journey] += periods[journey]
        await asyncio.sleep(self._world.latency_s)  # drain
        self._journal.write({"r": "end", "t": loop.clock(), "scheduled": self._ids, "sent": self._ids})
        self._status = 0

    async def _operate(self, journey: str, intended: int) -> None:
        """Good answers take the world's latency; a bank that is down refuses at once."""
        loop, self._ids = self._world.loop, self._ids + 1
        identity, woke, up = self._ids, loop.clock(), self._world.up
        self._journal.write(
            {
                "r": "intent",
                "id": identity,
                "key": f"{self._told.source}-{identity}",
                "journey": journey,
                "attempt": 1,
                "tap": False,
                "intended": intended,
                "woke": woke,
                "payload_hash": None,
                "amount": None,
                "currency": None,
                "values": {},
            }
        )
        done = woke + (round(self._world.latency_s * 1e9) if up else 0)

        def answer() -> None:
            self._journal.write(
                {
                    "r": "done",
                    "id": identity,
                    "sent": woke,
                    "done": done,
                    "outcome": "ok" if up else "fail",
                    "status": 200 if up else None,
                    "error": None if up else "refused",
                    "read": {},
                }
            )

        loop.call_at(done / 1e9, answer)


class FakeProcesses:
    def __init__(self, world: World) -> None:
        self.world = world

    async def tree(self, service: str) -> tuple[ProcessRef, ...]:
        return (ProcessRef(pid=1, start=1),)

    async def kill(self, service: str, *, revive: bool = True) -> tuple[ProcessRef, ...]:
        self.world.killed.append((service, revive))
        return ()

    async def freeze(self, service: str) -> tuple[ProcessRef, ...]:
        return ()

    def state(self, process: ProcessRef) -> ProcessState:
        return "running" if self.world.alive else "gone"


class FakeLifecycle:
    async def start(self, service: str) -> None:
        return None

    async def stop(self, service: str) -> None:
        return None


class FakeLinks:
    def __init__(self, world: World, plan: Plan) -> None:
        self.world = world
        self._names = [link.name for link in plan.system.links]
        self._looks = 0

    def address(self, link: str, port: int | None = None) -> Address:
        return Address("127.0.0.1", 1)

    async def enable(self, link: str, enabled: bool, by: str = "fault") -> None:
        return None

    async def add_toxic(self, link: str, toxic: Toxic) -> None:
        return None

    async def remove_toxic(self, link: str, toxic: str) -> None:
        return None

    async def mirror(self, service: str, mode: Literal["refused", "silent"]) -> tuple[str, ...]:
        return ()

    async def fence(self, service: str) -> tuple[str, ...]:
        return ()

    async def readmit(self, service: str) -> None:
        return None

    def restarts(self) -> tuple[ProxyRestart, ...]:
        return tuple(self.world.restarts)

    def held_up(self) -> tuple[ProxyHeldUp, ...]:
        return tuple(self.world.held_up)

    async def bypassed(self) -> Mapping[str, int]:
        return self.world.bypassed

    async def traffic(self) -> Mapping[str, LinkBytes]:
        self._looks += 1
        carried = {name: self.world.bytes_per_look.get(name, (100, 200)) for name in self._names}
        return {
            name: LinkBytes(
                up * self._looks, down * self._looks, self.world.direct.get(name, 0) * self._looks
            )
            for name, (up, down) in carried.items()
        }


class FakeEstate:
    capabilities = frozenset({"processes", "links", "lifecycle"})

    def __init__(self, world: World, plan: Plan, run: str, folder: Path) -> None:
        self.world = world
        self.plan = plan
        self.run = run
        self.folder = folder
        self.processes = FakeProcesses(world)
        self.lifecycle = FakeLifecycle()
        self.links = FakeLinks(world, plan)
        self.undone: list[Undo] = []
        self.helpers: dict[str, FakeHelper] = {}
        self.closed = False

    def direct(self, service: str) -> Address:
        return Address("127.0.0.1", 2)

    async def undo(self, undo: Undo) -> None:
        self.undone.append(undo)
        self.world.note("undo " + ",".join(step.op for step in undo.steps))
        if any(step.op in ("signal.cont", "toxic.remove", "link.enable") for step in undo.steps):
            self.world.up = self.world.alive = True

    async def spawn(self, name: str, argv: tuple[str, ...], stdin: bytes = b"") -> FakeHelper:
        helper = FakeHelper(self.world, MeasurerTask.model_validate_json(stdin))
        self.helpers[name] = helper
        return helper

    async def exits(self) -> tuple[Exit, ...]:
        return tuple(self.world.exits)

    def log_path(self, service: str) -> Path:
        return self.folder / "logs" / f"{service}.log"

    async def close(self) -> None:
        self.closed = True
        self.world.note("close")
        if self.world.close_error:
            raise OSError(self.world.close_error)


def data(events: list[Any], kind: str) -> list[dict[str, Any]]:
    """The data of all events of a kind, in order."""
    return [event.data for event in events if event.kind == kind]
