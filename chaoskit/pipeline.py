"""A drill from file to verdict: load, plan, provision, conduct, collect, measure, judge, report."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from chaoskit import planner, registry, run_folder
from chaoskit.clock import Clock, suspended_ns
from chaoskit.errors import EnvironmentBroken, InputError
from chaoskit.model.estate import Runtime
from chaoskit.model.history import Event, Operation
from chaoskit.model.people import Asker
from chaoskit.model.plan import Plan
from chaoskit.spec import Loaded

if TYPE_CHECKING:  # what a plan does not need, and what takes longer to import than a plan takes to make
    from chaoskit.conductor.stage import Controls
    from chaoskit.judging import Run

Pace = Literal["drill", "real"]


class Onlooker(Protocol):
    """Whoever watches a run: events as they are recorded, operations as the journals tell of them.

    One who is a `model.people.Asker` as well is asked for the decisions that a drill wants from a person.
    """

    def hear(self, event: Event) -> None: ...

    def see(self, operations: Sequence[Operation]) -> None: ...


Watch = Callable[[Path, Plan], contextlib.AbstractContextManager[Onlooker]]
"""Makes whoever watches a run, of its folder and its plan."""


def runtime(name: str) -> Runtime:
    """The runtime of that name; InputError names the known ones."""
    if name == "local":
        from chaoskit.runtimes.local.runtime import LocalRuntime

        return LocalRuntime()
    if name == "docker":
        from chaoskit.runtimes.docker.runtime import DockerRuntime

        return DockerRuntime()
    raise InputError(f"--runtime {name}: no such runtime; known: local, docker")


def with_seed(loaded: Loaded, seed: int) -> Loaded:
    """The same drill with another seed."""
    return replace(loaded, drill=loaded.drill.model_copy(update={"seed": seed}))


def make_plan(loaded: Loaded, runtime_name: str, pace: Pace = "drill", terminal: bool = False) -> Plan:
    """PLAN: pure; refuses, by name and place, what cannot run on this runtime, or asks where nobody is there."""
    return planner.plan(loaded, runtime(runtime_name), registry, pace=pace, terminal=terminal)


def run(
    loaded: Loaded,
    *,
    runtime_name: str = "local",
    reports: Path = Path("reports"),
    pace: Pace = "drill",
    watch: Watch | None = None,
    terminal: bool = False,
) -> Run:
    """Run a loaded drill to its verdict. InputError before anything starts; every later trouble is a verdict.

    `terminal`: what `watch` makes can ask a person.

    SIGINT, SIGTERM and SIGHUP heal, judge what was recorded, and end as `interrupted`; a second one does no harm.
    """
    return run_plan(make_plan(loaded, runtime_name, pace, terminal), reports=reports, watch=watch)


def run_plan(
    plan: Plan,
    *,
    reports: Path,
    watch: Watch | None = None,
    controls: Controls | None = None,
    suspended: Clock = suspended_ns,
) -> Run:
    """Run a plan to its verdict; with `controls` some of its steps are taken out, which the history says.

    `suspended` tells for how long this host has slept since it booted.
    """
    from chaoskit.conductor.stage import Controls

    folder = _begin(plan, reports)
    # A loop of its own: asyncio.run would take away the one that a caller in a test session has set.
    with (
        watch(folder, plan) if watch else contextlib.nullcontext() as onlooker,
        asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner,
    ):
        runner.run(_conduct(plan, folder, onlooker, controls or Controls(), suspended))
    from chaoskit.judging import judge_folder

    try:
        return judge_folder(folder)
    except OSError as error:
        raise EnvironmentBroken(
            f"{folder}: the verdict cannot be written: {error.strerror}; `chaoskit judge {folder}` gives it again"
        ) from error


def _begin(plan: Plan, reports: Path) -> Path:
    """A run folder with its plan, and room for the end. EnvironmentBroken, and nothing left, where there is none."""
    from chaoskit.evidence import room

    folder = run_folder.make_run_folder(reports, plan.drill.drill, datetime.now())
    try:
        room.keep(folder)
        run_folder.write_json(folder / "plan.json", plan)
    except OSError as error:
        run_folder.remove_run_folder(folder)
        raise EnvironmentBroken(
            f"{folder}: a run cannot be recorded there: {error.strerror}; choose another place with --reports"
        ) from error
    return folder


async def _conduct(
    plan: Plan, folder: Path, onlooker: Onlooker | None, controls: Controls, suspended: Clock
) -> None:
    """PROVISION, CONDUCT, COLLECT: everything that needs the estate, ending in a sealed history."""
    from chaoskit.conductor.conductor import Conductor
    from chaoskit.machine import this_machine
    from chaoskit.runtimes.slot import Slot

    stop, chosen = asyncio.Event(), runtime(plan.runtime)
    conductor = Conductor(
        plan=plan,
        registry=registry,
        run=folder.name,
        folder=folder,
        state=run_folder.state_directory() / "runs" / folder.name,
        provision=lambda: chosen.provision(plan, folder.name, folder),
        slot=Slot(folder.name),
        listener=onlooker.hear if onlooker else None,
        onlooker=onlooker.see if onlooker else None,
        asker=onlooker if isinstance(onlooker, Asker) else None,
        suspended=suspended,
        controls=controls,
        meanwhile=_load_judge,
        machine=this_machine(),
    )
    try:
        with _signals(asyncio.get_running_loop(), stop):
            await conductor.conduct(stop)
    finally:
        # Stopped before anything was started, nobody else knows of the folder; one that still holds anything stays.
        for empty in (conductor.state / "leases", conductor.state):
            with contextlib.suppress(OSError):
                empty.rmdir()


def _load_judge() -> None:
    """Load what a run needs when it has ended, which takes about as long as to judge a short one."""
    importlib.import_module("chaoskit.judging")


@contextlib.contextmanager
def _signals(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> Iterator[None]:
    """SIGINT, SIGTERM and SIGHUP set `stop`; repeated ones change nothing, so that healing is never cut short."""
    heeded = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # `nohup` wants the drill to outlive its terminal
        heeded.append(signal.SIGHUP)
    try:
        for number in heeded:
            loop.add_signal_handler(number, stop.set)
    except (ValueError, RuntimeError):  # not the main thread: whoever is decides about signals
        yield
        return
    try:
        yield
    finally:
        for number in heeded:
            loop.remove_signal_handler(number)
