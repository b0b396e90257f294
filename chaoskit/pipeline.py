"""A drill from file to verdict: load, plan, provision, conduct, collect, measure, judge, report."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Literal, Protocol

from chaoskit import evidence, metrics, planner, registry, run_folder
from chaoskit.clock import Clock, suspended_ns
from chaoskit.conductor.conductor import Conductor
from chaoskit.conductor.stage import Controls
from chaoskit.errors import EnvironmentBroken, InputError
from chaoskit.evidence import manifest, room
from chaoskit.judge import judge
from chaoskit.model.drill import Drill
from chaoskit.model.estate import Runtime
from chaoskit.model.history import Event, History, Operation
from chaoskit.model.measurement import Measurements
from chaoskit.model.people import Asker
from chaoskit.model.plan import Plan
from chaoskit.model.verdict import Result
from chaoskit.regular_file import read_regular
from chaoskit.spec import Loaded

Pace = Literal["drill", "real"]


class Onlooker(Protocol):
    """Whoever watches a run: events as they are recorded, operations as the journals tell of them.

    One who is a `model.people.Asker` as well is asked for the decisions that a drill wants from a person.
    """

    def hear(self, event: Event) -> None: ...

    def see(self, operations: Sequence[Operation]) -> None: ...


Watch = Callable[[Path, Plan], contextlib.AbstractContextManager[Onlooker]]
"""Makes whoever watches a run, of its folder and its plan."""


@dataclass(frozen=True)
class Run:
    """A finished run: where it lies, what was recorded, measured and judged.

    `written` is the result's file, if it is new; `head` vouches for every file of the folder (`evidence.manifest`);
    `series` is what the runs of its `repeat:` came to, in words.
    """

    folder: Path
    history: History
    measurements: Measurements
    result: Result
    written: Path | None = None
    head: str | None = None
    series: str | None = None


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
    folder = _begin(plan, reports)
    # A loop of its own: asyncio.run would take away the one that a caller in a test session has set.
    with (
        watch(folder, plan) if watch else contextlib.nullcontext() as onlooker,
        asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner,
    ):
        runner.run(_conduct(plan, folder, onlooker, controls or Controls(), suspended))
    try:
        return judge_folder(folder)
    except OSError as error:
        raise EnvironmentBroken(
            f"{folder}: the verdict cannot be written: {error.strerror}; `chaoskit judge {folder}` gives it again"
        ) from error


def _begin(plan: Plan, reports: Path) -> Path:
    """A run folder with its plan, and room for the end. EnvironmentBroken, and nothing left, where there is none."""
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


def judge_folder(folder: Path, drill: Drill | None = None) -> Run:
    """MEASURE and JUDGE a run folder with nothing running; a first judgement writes result.json, later ones beside it.

    With `drill`, its objectives are used instead of the plan's, and the result names both.
    """
    history = evidence.load_history(folder)
    with contextlib.suppress(OSError):  # a killed run has it still
        room.give_back(folder)
    measurements = metrics.measure(history)
    result = judge(history, measurements, registry, drill)
    target = folder / "result.json"
    if drill is not None:
        target = run_folder.unused_name(target)
    elif not target.exists():
        run_folder.write_json(folder / "measurements.json", measurements)
    new = drill is not None or not target.exists()
    if new:
        run_folder.write_json(target, result)
    if drill is None and new:
        manifest.write_manifest(folder)
    # Of a folder that was changed since, the head would vouch for what is no longer there.
    head = manifest.head_of(folder) if drill is None and new else manifest.vouched_head(folder)
    return Run(folder, history, measurements, result, target if new else None, head)


def verify_folder(folder: Path, head: str | None = None) -> manifest.Verification:
    """Check a run folder against its manifest and the head that was kept elsewhere, and its result against its history.

    The history is judged again: a result that this chaoskit would not give is a problem too.
    """
    found = manifest.check(folder, head)
    if found.problems:
        return found
    history = evidence.load_history(folder)
    again = judge(history, metrics.measure(history), registry, None)
    try:
        told = Result.model_validate_json(read_regular(folder / "result.json"))
    except (OSError, ValueError) as error:
        why = str(error).splitlines()[0]
    else:
        if told == Result.model_validate_json(again.model_dump_json()):
            return found
        why = f"says {told.outcome}, and its history, judged again by this version, {again.outcome}"
        if told.outcome == again.outcome:
            why = "differs from what its history gives when it is judged again by this version"
    return replace(found, standing="altered", problems=(f"result.json: {why}",))


async def _conduct(
    plan: Plan, folder: Path, onlooker: Onlooker | None, controls: Controls, suspended: Clock
) -> None:
    """PROVISION, CONDUCT, COLLECT: everything that needs the estate, ending in a sealed history."""
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
    )
    try:
        with _signals(asyncio.get_running_loop(), stop):
            await conductor.conduct(stop)
    finally:
        # Stopped before anything was started, nobody else knows of the folder; one that still holds anything stays.
        for empty in (conductor.state / "leases", conductor.state):
            with contextlib.suppress(OSError):
                empty.rmdir()


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
