"""The janitor and the sweep against an engine that can be slow, hung and gone: what dies leaves nothing."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import typer

from chaoskit.cli import leftovers
from chaoskit.cli.app import clean, heal
from chaoskit.errors import EnvironmentBroken
from chaoskit.model.lease import Lease, NothingToUndo, Undo
from chaoskit.runtimes.docker import ownership, removal
from chaoskit.runtimes.docker import sweep as sweep_module
from chaoskit.runtimes.docker.engine_socket import EngineSocket
from chaoskit.runtimes.docker.janitor import Janitor
from chaoskit.runtimes.docker.janitor_record import JanitorRecord, records
from chaoskit.runtimes.docker.ownership import Owner
from chaoskit.runtimes.docker.sweep import sweep
from chaoskit.runtimes.process_table import alive, look
from chaoskit.runtimes.supervision import own_environment
from tests.runtimes.docker.fake_engine import FakeEngine

GONE_WITHIN_S = 15.0  # a bound for a busy machine; what it takes on an idle one is measured elsewhere


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "state"
    monkeypatch.setenv("CHAOSKIT_STATE_DIR", str(folder))
    # `clean` removes the scratch of every dead process on the machine: here only what this test left.
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    return folder


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeEngine]:
    place = Path(f"/tmp/chaoskit-fake-{os.getpid()}-{time.monotonic_ns()}.sock")
    fake = FakeEngine(place)
    monkeypatch.setenv("DOCKER_HOST", fake.url)
    yield fake
    fake.hung.clear()
    with contextlib.suppress(FileNotFoundError):
        fake.close()


class Victim:
    """A conductor in a process of its own."""

    def __init__(self, engine: FakeEngine, state: Path, run: str, *more: str) -> None:
        self.state = state / "runs" / run
        self.folder = state.parent / "reports" / run
        self.scratch = state.parent / f"scratch-{run}"
        self.state.mkdir(parents=True)
        places = [str(self.state), str(self.folder), str(self.scratch)]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.runtimes.docker.janitor_victim", engine.url, *places, *more],
            stdout=subprocess.PIPE,
            text=True,
            env=own_environment(),
            cwd=Path(__file__).parents[3],
            start_new_session=True,
        )
        assert self.process.stdout is not None
        self.said = self.process.stdout.readline().strip()

    @property
    def janitor(self) -> int:
        """Its pid, by what it was started with."""
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                words = (entry / "cmdline").read_bytes().split(b"\0")
                if b"chaoskit.runtimes.docker.janitor_process" in words and any(
                    str(self.state).encode() in word for word in words
                ):
                    return int(entry.name)
        raise AssertionError("no janitor runs")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


@contextlib.contextmanager
def victim(engine: FakeEngine, state: Path, run: str, *more: str) -> Iterator[Victim]:
    one = Victim(engine, state, run, *more)
    try:
        yield one
    finally:
        one.kill()


def until(true: Callable[[], bool], within_s: float = GONE_WITHIN_S) -> bool:
    """Wait for what nothing announces."""
    end = time.monotonic() + within_s
    while not (found := true()) and time.monotonic() < end:
        time.sleep(0.01)
    return found


def kill_janitor(one: Victim) -> None:
    """SIGKILL of the conductor and of its janitor at once."""
    janitor = look(one.janitor)
    assert janitor is not None
    os.kill(one.process.pid, signal.SIGSTOP)  # so that it cannot start another one
    os.kill(janitor.pid, signal.SIGKILL)
    one.kill()
    assert until(lambda: not alive(janitor.pid, janitor.start))


def test_a_killed_conductor_leaves_nothing(engine: FakeEngine, state: Path) -> None:
    engine.add("containers", "bystander", {"chaoskit.run": "mine", "other": "label"})
    with victim(engine, state, "mine") as one:
        assert one.said == "ready"
        held = Lease(id="1", run="mine", step="s", target="db", undo=Undo(steps=(NothingToUndo(why="-"),)))
        (one.state / "leases").mkdir()
        (one.state / "leases" / "1.json").write_text(held.model_dump_json())
        assert len(engine.names()) == 5
        assert len(records()) == 1
        one.kill()
        assert until(lambda: not records() and engine.names() == ["bystander"])
    assert not one.scratch.exists()
    assert not one.state.exists()
    assert json.loads((one.folder / "leases.json").read_text())[0]["state"] == "undone"
    assert "nothing is left" in (one.folder / "logs" / "janitor.log").read_text()


def test_a_container_that_appears_after_its_conductor_died_goes_as_well(
    engine: FakeEngine, state: Path
) -> None:
    engine.delay_s["mine-late"] = 1.2
    with victim(engine, state, "mine", "late") as one:
        assert one.said == "asked"
        assert until(lambda: engine.asked.count("POST /v1.41/containers/create") == 3)
    assert until(lambda: not records() and engine.names() == [])
    assert "found container mine-late" in (one.folder / "logs" / "janitor.log").read_text()


def test_what_appears_while_the_janitor_watches_on_is_removed(engine: FakeEngine, state: Path) -> None:
    with victim(engine, state, "mine") as one:
        (record,) = records()
        one.kill()
        assert until(lambda: engine.names() == [])
        engine.add("containers", "late", record.owner.labels)
        assert until(lambda: not records())
    assert engine.names() == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_terminals_signals_do_not_end_the_janitor(
    engine: FakeEngine, state: Path, number: signal.Signals
) -> None:
    with victim(engine, state, "mine") as one:
        os.kill(one.janitor, number)
        os.killpg(one.process.pid, number)
        one.process.wait()
        assert until(lambda: not records() and engine.names() == [])


def test_an_engine_that_hangs_is_waited_for(engine: FakeEngine, state: Path) -> None:
    with victim(engine, state, "mine") as one:
        engine.hung.set()
        before = len(engine.asked)
        one.kill()
        assert until(lambda: len(engine.asked) > before)
        engine.hung.clear()
        assert until(lambda: not records() and engine.names() == [])


def test_a_stopped_conductor_is_alive(engine: FakeEngine, state: Path) -> None:
    with victim(engine, state, "mine") as one:
        os.kill(one.process.pid, signal.SIGSTOP)
        assert sweep(engine.url) == []
        assert leftovers.clean() == []
        assert len(engine.names()) == 4
        os.kill(one.process.pid, signal.SIGCONT)
        one.kill()
        assert until(lambda: engine.names() == [])


def test_a_killed_janitor_is_replaced(engine: FakeEngine, state: Path) -> None:
    with victim(engine, state, "mine") as one:
        first = one.janitor
        os.kill(first, signal.SIGKILL)

        def another() -> bool:
            with contextlib.suppress(AssertionError):
                return one.janitor != first
            return False

        assert until(another)
        assert until(lambda: len(records()) == 1)
        one.kill()
        assert until(lambda: not records() and engine.names() == [])


def test_the_state_directory_may_go(engine: FakeEngine, state: Path) -> None:
    import shutil

    with victim(engine, state, "mine") as one:
        shutil.rmtree(state)
        one.kill()
        assert until(lambda: engine.names() == [])
        assert until(lambda: not one.scratch.exists())


def test_conductor_and_janitor_killed_the_sweep_cleans_up(engine: FakeEngine, state: Path) -> None:
    with victim(engine, state, "mine") as one:
        kill_janitor(one)
        assert len(engine.names()) == 4
        (line,) = sweep(engine.url)
        assert line == "mine: removed 2 containers, 1 network, 1 volume"
    assert engine.names() == []
    assert not one.scratch.exists()
    assert not records()
    assert not one.state.exists()
    assert sweep(engine.url) == []


def test_a_run_of_another_state_directory_is_swept_by_its_labels(
    engine: FakeEngine, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with victim(engine, state, "mine") as one:
        kill_janitor(one)
        monkeypatch.setenv("CHAOSKIT_STATE_DIR", str(state.parent / "another"))
        assert leftovers.heal() == ["mine: removed 2 containers, 1 network, 1 volume"]
    assert engine.names() == []


def test_two_sweeps_at_once(engine: FakeEngine, state: Path) -> None:
    with victim(engine, state, "mine") as one:
        kill_janitor(one)
        engine.delay_s["mine-one"] = 0.2

        async def both() -> list[list[str]]:
            return await asyncio.gather(*(asyncio.to_thread(sweep, engine.url) for _ in range(3)))

        assert all("mine" in line for lines in asyncio.run(both()) for line in lines)
    assert engine.names() == []
    assert not records()


def exit_of(command: Callable[[], Any]) -> int:
    try:
        command()
    except typer.Exit as ended:
        return ended.exit_code
    return 0


def test_what_the_engine_will_not_remove_is_named(
    engine: FakeEngine, state: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with victim(engine, state, "mine") as one:
        kill_janitor(one)
        engine.refuse["mine-one"] = 500
        monkeypatch.setattr(sweep_module, "_REMOVE_S", 0.3)
        lines = sweep(engine.url)
        assert any("container mine-one" in line for line in lines), lines
        assert any("cannot remove mine-one" in line for line in lines), lines
        assert leftovers.cleaned(forget=True).left == ["mine"]
        assert exit_of(clean) == 3
        assert capsys.readouterr().err == "still there, or nobody can tell: mine\n"
        assert len(records()) == 1
        engine.refuse.clear()
        assert leftovers.cleaned(forget=False) == leftovers.Cleaning(["mine: removed 1 container"])
        assert exit_of(clean) == 0
    assert engine.names() == []


@pytest.mark.parametrize("janitor", [True, False])
def test_what_its_own_janitor_is_at_is_not_left(janitor: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    dead = itertools.chain([{"mine", "other"}], itertools.repeat({"mine"}, 3), itertools.repeat(set()))
    monkeypatch.setattr(leftovers, "_dead", lambda: next(dead) if janitor else {"mine"})
    monkeypatch.setattr(leftovers, "_JANITOR_S", 10.0 if janitor else 0.2)
    monkeypatch.setattr(leftovers, "_swept", lambda _: leftovers._Swept())
    monkeypatch.setattr(leftovers.host, "heal", list)
    assert leftovers.cleaned(forget=False).left == ([] if janitor else ["mine"])


def test_a_network_that_the_engine_miscounts_holds_nobody_up(engine: FakeEngine, state: Path) -> None:
    """It has happened: no container is connected to it, and the engine says that it is in use."""
    with victim(engine, state, "mine") as one, victim(engine, state, "other") as other:
        kill_janitor(one)
        kill_janitor(other)
        engine.refuse["mine-net"] = 403
        lines = sweep(engine.url)
        assert "other: removed 2 containers, 1 network, 1 volume" in lines
        assert any("mine-net" in line and "after a restart of the engine" in line for line in lines), lines
        assert [record.owner.run for record in records()] == ["mine"]
        engine.refuse.clear()
        assert sweep(engine.url) == ["mine: removed 1 network"]
    assert (engine.names(), records()) == ([], [])


def test_without_its_engine_heal_says_what_may_be_left_and_clean_forgets(
    engine: FakeEngine, state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with victim(engine, state, "mine") as one:
        kill_janitor(one)
        engine.close()
        assert exit_of(heal) == 3
        (line,) = leftovers.heal()
        assert line.startswith(f"mine: the Docker engine at {engine.url}: No such file or directory")
        assert "chaoskit clean" in line
        forgotten = leftovers.cleaned(forget=True)
        assert forgotten.left == ["mine"], "nobody can tell what its engine has"
        (line,) = forgotten.lines
        assert line.startswith("mine: forgotten, though the Docker engine")
        assert not one.scratch.exists()
    assert leftovers.clean() == []
    assert leftovers.heal() == []


def test_a_hung_engine_does_not_hold_a_sweep_up(
    engine: FakeEngine, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(removal, "LOOK_S", 0.3)
    engine.hung.set()
    with pytest.raises(EnvironmentBroken, match=r"did not answer within 0\.3 s"):
        sweep(engine.url)
    assert leftovers.heal() == []


@pytest.mark.parametrize("how", ["hung", "gone"])
def test_close_is_soon_done_with_a_dead_engine(
    engine: FakeEngine, state: Path, tmp_path: Path, how: str
) -> None:
    async def conduct() -> None:
        owner = Owner.this("mine", str(state / "runs" / "mine"))
        janitor = await Janitor.start(owner, engine.url, tmp_path / "run")
        engine.hung.set() if how == "hung" else engine.close()
        async with asyncio.timeout(15):
            (left,) = await janitor.close()
        assert left.startswith(f"the Docker engine at {engine.url}: ")

    asyncio.run(conduct())
    assert len(records()) == 1  # for the next start


def test_whose_it_is_is_judged_by_boot_host_and_namespace() -> None:
    here = Owner.this("mine", "/state/runs/mine")
    assert here.standing() == "alive"
    assert Owner.of(here.labels) == here
    assert replace(here, start=here.start + 1).standing() == "dead"
    assert replace(here, boot="another", pid=1).standing() == "dead"
    assert replace(here, boot="another", host="another").standing() == "foreign"
    assert replace(here, start=1, namespace="pid:[1]").standing() == "foreign"
    assert Owner.of({**here.labels, ownership.PID: "x"}) is None
    assert Owner.of({ownership.RUN: "mine"}) is None


def test_another_machines_objects_are_left_alone_and_told(engine: FakeEngine, state: Path) -> None:
    here = Owner.this("theirs", "/state/runs/theirs")
    engine.add("containers", "a", replace(here, boot="another", host="another").labels)
    engine.add("networks", "b", {ownership.RUN: "nobodys"})
    lines = leftovers.clean()
    assert [line.partition(": ")[0] for line in lines] == ["nobodys", "theirs"]
    assert all("left alone" in line for line in lines)
    assert engine.names() == ["a", "b"]


def test_close_removes_and_proves(engine: FakeEngine, state: Path, tmp_path: Path) -> None:
    async def conduct() -> None:
        run = state / "runs" / "mine"
        run.mkdir(parents=True)
        owner = Owner.this("mine", str(run))
        janitor = await Janitor.start(owner, engine.url, tmp_path / "run")
        entry = look(janitor.pid)
        assert entry is not None
        for kind in engine.objects:
            engine.add(kind, f"my-{kind}", owner.labels)
        assert len(await janitor.remaining()) == 3
        assert await janitor.close() == []
        assert await janitor.remaining() == []
        assert await janitor.close() == []
        assert not alive(entry.pid, entry.start)
        assert not records()
        assert run.exists()  # whose the leases are while the conductor lives: not the janitor's

    asyncio.run(conduct())


def test_close_without_a_janitor_removes_as_well(engine: FakeEngine, state: Path, tmp_path: Path) -> None:
    async def conduct() -> None:
        owner = Owner.this("mine", str(state / "runs" / "mine"))
        janitor = await Janitor.start(owner, engine.url, tmp_path / "run")
        engine.add("containers", "one", owner.labels)
        os.kill(janitor.pid, signal.SIGKILL)  # and it is not noticed before the next line
        assert await janitor.close() == []

    asyncio.run(conduct())
    assert engine.names() == []
    assert not records()


def test_a_janitor_that_is_killed_again_and_again_is_told(
    engine: FakeEngine, state: Path, tmp_path: Path
) -> None:
    async def conduct() -> None:
        owner = Owner.this("mine", str(state / "runs" / "mine"))
        janitor = await Janitor.start(owner, engine.url, tmp_path / "run")
        engine.add("containers", "one", owner.labels)
        async with asyncio.timeout(GONE_WITHIN_S):
            while janitor.broken is None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(janitor.pid or -1, signal.SIGKILL) if janitor.pid else None
                await asyncio.sleep(0.02)
        assert "janitor" in janitor.broken
        assert await janitor.close() == []

    asyncio.run(conduct())
    assert engine.names() == []


def test_a_state_directory_that_cannot_be_written_is_refused(engine: FakeEngine, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    owner = Owner.this("mine", str(tmp_path / "file" / "runs" / "mine"))

    async def conduct() -> None:
        with pytest.raises(EnvironmentBroken, match="CHAOSKIT_STATE_DIR"):
            await Janitor.start(owner, engine.url, tmp_path / "run")

    asyncio.run(conduct())


def test_a_record_is_of_its_run_alone(state: Path) -> None:
    here = Owner.this("mine", str(state / "runs" / "mine"))
    old = JanitorRecord(replace(here, start=1), "unix:///nowhere", "/nowhere")
    new = JanitorRecord(here, "unix:///nowhere", "/nowhere")
    old.write()
    new.write()
    old.forget()
    assert records() == [new]
    new.forget()
    assert records() == []


def test_an_engine_elsewhere_is_refused_by_name() -> None:
    with pytest.raises(EnvironmentBroken, match="ssh://"):
        EngineSocket("ssh://somewhere").call("GET", "/info")
