"""What an estate does when its own parts end: it says so, never guesses, and still leaves nothing."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from chaoskit.errors import EnvironmentBroken
from chaoskit.runtimes import record as records
from chaoskit.runtimes.local.estate import LocalEstate
from chaoskit.runtimes.local.runtime import LocalRuntime
from chaoskit.runtimes.process_table import alive, look, table
from chaoskit.runtimes.residue import residue
from chaoskit.runtimes.signals import send
from tests.runtimes.local import tiny
from tests.runtimes.local.conftest import Provision, eventually, new_run

LINK = ("customers -> shop",)


def broken(estate: LocalEstate) -> bool:
    """Whether the supervisor's end has been noticed."""
    return estate.supervision.ended.is_set()


async def says_so(estate: LocalEstate) -> bool:
    """False while exits() still answers; raises what it raises."""
    await estate.exits()
    return False


def test_a_killed_supervisor_is_noticed_and_cleaned_up_after(tmp_path: Path) -> None:
    async def main() -> None:
        plan = tiny.plan(tiny.system(tmp_path, [tiny.web("shop", tiny.WEB + " --tree")], LINK))
        run = new_run()
        estate = await LocalRuntime().provision(plan, run, tmp_path / run)
        record = estate.supervision.record
        known = records.processes(record)
        send(record.supervisor.pid, record.supervisor.start, signal.SIGKILL)
        await eventually(lambda: broken(estate))
        with pytest.raises(EnvironmentBroken, match="supervisor has ended"):
            await estate.processes.kill("shop")
        with pytest.raises(EnvironmentBroken, match="supervisor has ended"):
            await estate.exits()
        await estate.close()
        assert residue(record, known) == []
        assert not [who for who in known if alive(who.pid, who.start)]

    asyncio.run(main())


def test_a_dead_proxy_is_not_taken_for_the_systems_doing(tmp_path: Path, provision: Provision) -> None:
    plan = tiny.plan(tiny.system(tmp_path, [tiny.web("shop")], LINK))

    async def main() -> None:
        async with provision(plan) as estate:
            (proxy,) = await estate.supervision.call("tree", name="proxy:toxiproxy")
            send(*proxy, signal.SIGKILL)
            with pytest.raises(EnvironmentBroken, match=r"proxy of the links has ended \(killed by SIGKILL"):
                await eventually(lambda: says_so(estate))
            with pytest.raises(EnvironmentBroken, match="proxy"):
                await estate.links.fence("shop")

    asyncio.run(main())


def test_a_killed_keeper_takes_its_service_along_and_that_is_not_the_systems_doing(
    tmp_path: Path, provision: Provision
) -> None:
    plan = tiny.plan(tiny.system(tmp_path, [tiny.web("shop", tiny.WEB + " --tree"), tiny.web("other")]))

    async def main() -> None:
        async with provision(plan) as estate:
            tree = await estate.processes.tree("shop")
            server = look(tree[0].pid)
            assert server is not None
            os.kill(server.parent, signal.SIGKILL)
            await eventually(lambda: all(estate.processes.state(each) == "gone" for each in tree))
            with pytest.raises(EnvironmentBroken, match="the keeper of shop was killed, and shop with it"):
                await eventually(lambda: says_so(estate))
            assert await estate.processes.tree("other")

    asyncio.run(main())


def test_terminal_signals_do_not_reach_the_supervisor(tmp_path: Path, provision: Provision) -> None:
    async def main() -> None:
        async with provision(tiny.plan(tiny.system(tmp_path, [tiny.web("shop")]))) as estate:
            who = estate.supervision.record.supervisor
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                send(who.pid, who.start, number)
            assert len(await estate.processes.tree("shop")) == 1
            entry = look(who.pid)
            assert entry is not None
            assert entry.session == who.pid

    asyncio.run(main())


def test_shared_memory_of_a_killed_service_is_removed(tmp_path: Path, provision: Provision) -> None:
    names = [f"chaoskit-{new_run()}-{number}" for number in range(2)]
    services = [
        tiny.web(f"shop-{number}", f"{tiny.WEB} --shared {name}") for number, name in enumerate(names)
    ]
    files = [Path("/dev/shm") / name for name in names]

    async def main() -> None:
        async with provision(tiny.plan(tiny.system(tmp_path, services))) as estate:
            assert all(file.exists() for file in files)
            await estate.processes.kill("shop-0")
        assert not any(file.exists() for file in files)

    asyncio.run(main())


def test_a_run_is_not_started_twice(tmp_path: Path) -> None:
    plan = tiny.plan(tiny.system(tmp_path, [tiny.web("shop")]))

    async def main() -> None:
        run = new_run()
        estate = await LocalRuntime().provision(plan, run, tmp_path / run)
        try:
            with pytest.raises(EnvironmentBroken, match=f"{run} is running already"):
                await LocalRuntime().provision(plan, run, tmp_path / run)
            assert await estate.processes.tree("shop")
        finally:
            await estate.close()
            await estate.close()

    asyncio.run(main())


def test_close_is_quick_and_ends_everything_below_the_supervisor(tmp_path: Path) -> None:
    plan = tiny.plan(tiny.system(tmp_path, [tiny.web("shop", tiny.WEB + " --tree")], LINK))

    async def main() -> None:
        run = new_run()
        estate = await LocalRuntime().provision(plan, run, tmp_path / run)
        marks = set(await estate.processes.tree("shop"))
        await estate.processes.freeze("shop")
        await estate.close()
        assert not [each for each in marks if alive(each.pid, each.start)]
        assert estate.supervision.record.supervisor.pid not in table()
        assert (tmp_path / run / "logs" / "shop.log").exists()

    asyncio.run(main())


def test_a_task_runs_to_its_end_before_who_waits_for_it(tmp_path: Path, provision: Provision) -> None:
    task, local = tiny.web("migrate", "python -S -c 'print(1)'", ready=None)
    task = task.model_copy(update={"ports": ()})
    shop, how = tiny.web("shop")
    shop = shop.model_copy(update={"depends_on": {"migrate": "service_completed_successfully"}})

    async def main(run: str) -> None:
        services = [(task, local.model_copy(update={"run": run})), (shop, how)]
        async with provision(tiny.plan(tiny.system(tmp_path, services, LINK))) as estate:
            assert estate.log_path("migrate").read_text() == "1\n"
            assert await estate.exits() == ()

    asyncio.run(main("python -S -c 'print(1)'"))
    with pytest.raises(EnvironmentBroken, match=r"migrate ended \(exit status 4\), and others wait"):
        asyncio.run(main("python -S -c 'raise SystemExit(4)'"))
