"""Whole trees: found, killed, frozen; and processes that only look like ours are left alone."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from chaoskit import registry
from chaoskit.errors import EnvironmentBroken
from chaoskit.model.estate import Address
from chaoskit.model.lease import ProcessRef, SignalUndo, Undo
from chaoskit.model.member import Fault, Witness
from chaoskit.model.parameters import build
from chaoskit.runtimes import process_table, signals
from chaoskit.runtimes.local.estate import LocalEstate
from tests.runtimes.local import tiny
from tests.runtimes.local.conftest import Provision, eventually

TREE = tiny.WEB + " --tree"


async def until_state(estate: LocalEstate, processes: tuple[ProcessRef, ...], state: str) -> None:
    """Wait until the kernel says so of all."""
    await eventually(lambda: all(estate.processes.state(each) == state for each in processes))


async def whole_tree(estate: LocalEstate, service: str, count: int) -> tuple[ProcessRef, ...]:
    """The tree once it has that many processes."""

    async def whole() -> bool:
        return len(await estate.processes.tree(service)) == count

    await eventually(whole)
    return await estate.processes.tree(service)


async def ended(estate: LocalEstate) -> bool:
    """Whether a service has ended unasked."""
    return bool(await estate.exits())


async def accepted(address: Address) -> bool:
    """False when a connection was accepted there; ConnectionRefusedError when not."""
    _, writer = await asyncio.open_connection(address.host, address.port)
    writer.close()
    return False


def command(pid: int) -> bytes:
    """The process's command line."""
    return Path(f"/proc/{pid}/cmdline").read_bytes()


def nice(pid: int) -> int:
    """The process's priority."""
    return os.getpriority(os.PRIO_PROCESS, pid)


def test_a_daemon_that_hides_belongs_to_the_tree(tmp_path: Path, provision: Provision) -> None:
    services = [tiny.web("shop", TREE), tiny.web("other", TREE)]

    async def main() -> None:
        async with provision(tiny.plan(tiny.system(tmp_path, services))) as estate:
            tree = await whole_tree(estate, "shop", 3)  # the server, the daemon, the daemon's child
            others = await whole_tree(estate, "other", 3)
            assert not set(tree) & set(others)
            sessions = {found.session for each in tree if (found := process_table.look(each.pid))}
            assert len(sessions) == 2
            killed = await estate.processes.kill("shop")
            assert set(killed) == set(tree)
            await until_state(estate, tree, "gone")
            assert await estate.processes.tree("shop") == ()
            assert await estate.exits() == ()  # asked for, so not a crash
            assert {estate.processes.state(each) for each in others} == {"running"}

    asyncio.run(main())


def test_a_frozen_tree_thaws_by_its_undo_and_is_killed_at_the_end(
    tmp_path: Path, provision: Provision
) -> None:
    async def main() -> None:
        async with provision(tiny.plan(tiny.system(tmp_path, [tiny.web("shop", TREE)]))) as estate:
            tree = await whole_tree(estate, "shop", 3)
            undo = Undo(steps=(SignalUndo(processes=tree),))
            for _ in range(2):
                assert set(await estate.processes.freeze("shop")) == set(tree)
                await until_state(estate, tree, "stopped")
                await estate.undo(undo)
                await estate.undo(undo)
                await until_state(estate, tree, "running")
            await estate.processes.freeze("shop")
        assert {estate.processes.state(each) for each in tree} == {"gone"}

    asyncio.run(main())


def test_postgresql_with_its_open_connections_dies_and_comes_back(
    tmp_path: Path, provision: Provision
) -> None:
    init = tmp_path / "init"
    init.mkdir()

    async def main() -> None:
        async with provision(tiny.plan(tiny.system(tmp_path, [tiny.primary(init)]))) as estate:
            tree = await estate.processes.tree("db")
            assert len(tree) > 5
            with pytest.raises(EnvironmentBroken, match="db is running"):
                await estate.lifecycle.start("db")
            assert set(await estate.processes.kill("db")) >= set(tree)
            await estate.lifecycle.start("db")
            assert not {each.pid for each in await estate.processes.tree("db")} & {each.pid for each in tree}
            await estate.lifecycle.stop("db")
            assert "fast shutdown" in estate.log_path("db").read_text()
            await estate.lifecycle.start("db")
            assert await estate.exits() == ()

    asyncio.run(main())


def test_an_unasked_end_is_recorded_with_the_log(tmp_path: Path, provision: Provision) -> None:
    async def main() -> None:
        plan = tiny.plan(tiny.system(tmp_path, [tiny.web("shop", TREE)], ("customers -> shop",)))
        async with provision(plan) as estate:
            tree = await whole_tree(estate, "shop", 3)
            server = next(each for each in tree if b"tiny_web" in command(each.pid))
            os.kill(server.pid, signal.SIGSEGV)
            await eventually(lambda: ended(estate))
            exits = await estate.exits()
            assert [(each.service, each.status) for each in exits] == [("shop", "killed by SIGSEGV")]
            assert exits[0].log_tail[-1].startswith("serving 127.")
            await until_state(estate, tree, "gone")  # as in a container, the rest goes with it
            address = estate.links.address("customers -> shop")
            with pytest.raises(ConnectionRefusedError):
                await eventually(lambda: accepted(address))

    asyncio.run(main())


def test_a_measurer_is_asked_to_end_and_says_how_it_did(tmp_path: Path, provision: Provision) -> None:
    polite = "import sys; print(sys.stdin.read(), flush=True); signal.sigwait({signal.SIGTERM}); sys.exit(7)"
    block = "import signal; signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM}); "
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(99)"

    async def main() -> None:
        async with provision(tiny.plan(tiny.system(tmp_path, [tiny.web("shop")]))) as estate:
            helper = await estate.spawn("load", (sys.executable, "-c", block + polite), b"x" * 300_000)
            assert await helper.exited() is None
            await eventually(lambda: estate.log_path("load").stat().st_size > 300_000)
            assert nice(helper.pid) == nice(os.getpid())
            assert await helper.terminate(5) == 7
            assert await helper.exited() == 7
            assert estate.log_path("load").read_text() == "x" * 300_000 + "\n"
            helper = await estate.spawn("prober", (sys.executable, "-c", deaf))
            await eventually(lambda: estate.log_path("prober").stat().st_size > 0)
            assert await helper.terminate(0.1) is None
            await estate.spawn("left", (sys.executable, "-c", "import time; time.sleep(99)"))

    asyncio.run(main())


def test_another_process_with_a_known_pid_is_not_signalled() -> None:
    sleeper = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(60)"])
    try:
        entry = process_table.look(sleeper.pid)
        assert entry is not None
        assert not signals.send(entry.pid, entry.start + 1, signal.SIGKILL)
        signals.continue_all([(entry.pid, entry.start - 1)])
        assert process_table.state(entry.pid, entry.start) == "running"
        assert process_table.state(entry.pid, entry.start + 1) == "gone"
        assert signals.send(entry.pid, entry.start, signal.SIGKILL)
        assert sleeper.wait(5) == -signal.SIGKILL
        assert process_table.state(entry.pid, entry.start) == "gone"
        assert not signals.send(entry.pid, entry.start, signal.SIGKILL)
    finally:
        sleeper.kill()
        sleeper.wait()


def test_a_process_name_cannot_confuse_the_table(tmp_path: Path) -> None:
    program = tmp_path / "a) Z 1 (b"
    program.symlink_to(sys.executable)
    sleeper = subprocess.Popen([program, "-S", "-c", "import time; time.sleep(60)"])
    try:
        entry = process_table.look(sleeper.pid)
        assert entry is not None
        assert (entry.pid, entry.parent, entry.ended) == (sleeper.pid, os.getpid(), False)
        # Other tests' servers may be children of this process as well.
        below = process_table.descendants(process_table.table(), [os.getpid()])
        assert [each.pid for each in below if each.pid == sleeper.pid] == [sleeper.pid]
    finally:
        sleeper.kill()
        sleeper.wait()


BOMB = """
import os, runpy, sys, time
if os.fork() == 0:
    end = time.monotonic() + 2
    while time.monotonic() < end:
        if os.fork():
            os._exit(0)  # always a new pid, always an orphan
    time.sleep(60)
sys.argv[0] = {program!r}
runpy.run_path({program!r}, run_name="__main__")
"""


def test_what_forks_for_ever_is_stopped_and_killed(tmp_path: Path, provision: Provision) -> None:
    program = str(tiny.HERE / "tiny_web.py")
    bomb = tmp_path / "bomb.py"
    bomb.write_text(BOMB.format(program=program))
    plan = tiny.plan(tiny.system(tmp_path, [tiny.web("shop", tiny.WEB.replace(program, str(bomb)))]))

    async def main() -> None:
        async with provision(plan) as estate:
            assert await estate.processes.tree("shop")
            await estate.processes.kill("shop")
            await whole_tree(estate, "shop", 0)

    asyncio.run(main())


@pytest.mark.parametrize("turns", [1, 2, 3, 20])
def test_a_command_whose_caller_gives_up_is_ended_also_before_it_runs(
    tmp_path: Path, provision: Provision, turns: int
) -> None:
    """As a copy of a database is, which would go on writing to where a later one is put."""

    async def main() -> None:
        async with provision(tiny.plan(tiny.system(tmp_path, [tiny.web("web")]))) as estate:
            run = estate.lifecycle.clusters._run
            log = estate.log_path("copy")
            caller = asyncio.create_task(run(("sleep", "271828"), log, user=None, within_s=None))
            for _ in range(turns):  # of the loop: it asks, the supervisor is told, and answers
                await asyncio.sleep(0)
            caller.cancel()
            with pytest.raises(asyncio.CancelledError):
                await caller
            assert await estate.supervision.call("tree", name="sleep#1") == []
            assert await estate.supervision.call("gone", 5, name="sleep#1") is None

    asyncio.run(main())


def test_a_service_that_is_started_as_soon_as_it_has_stopped_was_seen_to_stop(
    tmp_path: Path, provision: Provision
) -> None:
    """Whoever notices early waits for its end, and is quicker with the start than the clock of start times."""
    system = tiny.system(tmp_path, [tiny.web("web")], ("customers -> web",))

    async def main() -> None:
        async with provision(tiny.plan(system)) as estate:
            for _ in range(3):
                fault = build(registry.member("faults", "service.stop"), {})
                baseline = await fault.baseline("web", estate)

                async def stopped(fault: Fault = fault, baseline: object = baseline) -> Witness:
                    await fault.apply("web", estate)
                    return await fault.witness("web", estate, baseline)

                async def started() -> None:
                    await asyncio.sleep(0)  # the stop has the service first
                    await estate.lifecycle.start("web")

                witness, _ = await asyncio.gather(stopped(), started())
                assert witness.seen, witness.how

    asyncio.run(main())
