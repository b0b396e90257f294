"""Provisioning with real processes, databases and proxies."""

from __future__ import annotations

import asyncio
import os
import urllib.request
from pathlib import Path

import psycopg
import pytest

from chaoskit.errors import EnvironmentBroken
from chaoskit.model.estate import Address
from chaoskit.model.plan import Wiring
from chaoskit.quantity import Duration
from chaoskit.runtimes import record as records
from chaoskit.runtimes.local.runtime import LocalRuntime
from chaoskit.runtimes.process_table import environment
from chaoskit.runtimes.readiness import tail
from chaoskit.runtimes.residue import residue
from tests.runtimes.local import tiny
from tests.runtimes.local.conftest import Provision, eventually, new_run


def get(address: Address) -> str:
    """The body that a service answers with."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"http://{address}/", timeout=5) as answer:
        return str(answer.read().decode().strip())


def begun(state: Path) -> records.RunRecord | None:
    """The run's record, once it has started a process."""
    record = records.read_record(state)
    return record if record is not None and records.processes(record) else None


async def shop(address: Address, query: str, user: str = "keeper") -> list[tuple[object, ...]]:
    """Rows from the tiny shop's database."""
    password = {"keeper": "keep-drill-only", "postgres": "super-drill-only"}[user]
    connection = await psycopg.AsyncConnection.connect(
        host=address.host, port=address.port, dbname="shop", user=user, password=password, connect_timeout=5
    )
    async with connection:
        return await (await connection.execute(query)).fetchall()  # type: ignore[call-overload, no-any-return]


def test_a_database_pair_and_a_service_come_up_populated(tmp_path: Path, provision: Provision) -> None:
    async def main() -> None:
        async with provision(tiny.plan(tiny.shop(tmp_path))) as estate:
            assert get(estate.links.address("customers -> shop")) == "shop"
            assert await shop(estate.direct("db"), "SELECT count(*) FROM item") == [(301,)]
            assert await shop(estate.links.address("shop -> db"), "SELECT count(*) FROM item") == [(301,)]
            standby = estate.direct("db-standby")
            assert await shop(standby, "SELECT pg_is_in_recovery()") == [(True,)]
            assert await shop(standby, "SHOW synchronous_standby_names") == [("",)]
            assert await shop(standby, "SELECT id FROM item WHERE id LIKE 'seed%'") == [("seed-5",)]
            carried = await estate.links.traffic()
            assert carried["db-standby -> db"].downstream > 10**6  # the base backup came over the link
            assert 0 < carried["customers -> shop"].downstream < 2000
            assert await estate.exits() == ()
            assert "ready to accept connections" in "\n".join(tail(estate.log_path("db"), 1000))

    asyncio.run(main())


def test_a_strict_umask_and_a_path_with_a_space_do_no_harm(tmp_path: Path, provision: Provision) -> None:
    folder = tmp_path / "my bank"
    system = tiny.shop(folder)
    program = folder / "my web.py"
    program.write_bytes((tiny.HERE / "tiny_web.py").read_bytes())
    service, local = tiny.web(
        "shop", "python -S 'my web.py' {address} 8080", after=("db",), directory=".", path="."
    )
    system = system.model_copy(
        update={"services": {**system.services, "shop": service}, "local": {**system.local, "shop": local}}
    )

    async def main() -> None:
        async with provision(tiny.plan(system)) as estate:
            assert get(estate.links.address("customers -> shop")) == "shop"

    before = os.umask(0o077)
    try:
        asyncio.run(main())
    finally:
        os.umask(before)


def test_two_estates_at_once_do_not_meet(tmp_path: Path, provision: Provision) -> None:
    plan = tiny.plan(tiny.system(tmp_path, [tiny.web("shop")], ("customers -> shop",)))

    async def main() -> None:
        async with provision(plan) as one, provision(plan) as two:
            blocks = {estate.supervision.record.block for estate in (one, two)}
            assert len(blocks) == 2
            await one.processes.kill("shop")
            await one.links.mirror("shop", "refused")
            assert get(two.links.address("customers -> shop")) == "shop"
            assert one.direct("shop").port == two.direct("shop").port == 8080

    asyncio.run(main())


def test_callees_are_where_the_wiring_points(tmp_path: Path, provision: Provision) -> None:
    system = tiny.system(tmp_path, [tiny.web("back"), tiny.web("front")], ("front -> back",))
    front = system.services["front"].model_copy(update={"environment": {"GREETING_OF": "http://back:8080"}})
    local = system.local["front"].model_copy(update={"environment": {"HOSTS": "{address}"}})
    system = system.model_copy(
        update={"services": {**system.services, "front": front}, "local": {**system.local, "front": local}}
    )
    wiring = Wiring(
        service="front",
        variable="GREETING_OF",
        original="http://back:8080",
        template="http://{link:front -> back}:8080",
        links=("front -> back",),
    )

    async def main() -> None:
        async with provision(tiny.plan(system, (wiring,))) as estate:
            (process,) = await estate.processes.tree("front")
            seen = environment(process.pid)
            link = estate.links.address("front -> back")
            assert (seen["GREETING_OF"], seen["HOSTS"]) == (f"http://{link}", estate.direct("front").host)
            assert link.host != estate.direct("back").host
            assert os.getpriority(os.PRIO_PROCESS, process.pid) == os.getpriority(os.PRIO_PROCESS, 0) + 10

    asyncio.run(main())


@pytest.mark.parametrize("link", [(), ("customers -> shop",)])
def test_a_service_on_all_addresses_is_refused_by_name(
    tmp_path: Path, provision: Provision, link: tuple[str, ...]
) -> None:
    everywhere = tiny.web(
        "shop", tiny.WEB.replace("{address}", "0.0.0.0").replace("8080", "18080"), port=18080
    )

    async def main() -> None:
        async with provision(tiny.plan(tiny.system(tmp_path, [everywhere], link))):
            pass

    with pytest.raises(
        EnvironmentBroken, match=r"shop listens on all addresses \(0\.0\.0\.0:18080\).*\{address\}"
    ):
        asyncio.run(main())


def test_a_crash_at_start_shows_the_end_of_the_log(tmp_path: Path, provision: Provision, state: Path) -> None:
    services = [tiny.web("shop", tiny.WEB + " --crash"), tiny.web("other")]

    async def main() -> None:
        async with provision(tiny.plan(tiny.system(tmp_path, services, ("customers -> shop",)))):
            pass

    with pytest.raises(
        EnvironmentBroken, match=r"shop ended \(exit status 1\).*(?s:.)*cannot open the vault"
    ):
        asyncio.run(main())
    assert list((state / "runs").iterdir()) == []


def test_a_service_that_never_gets_ready_meets_its_limit(tmp_path: Path, provision: Provision) -> None:
    slow = tiny.web("shop", tiny.WEB + " --after 60", start_within=Duration.parse("300ms"))

    async def main() -> None:
        async with provision(tiny.plan(tiny.system(tmp_path, [slow]))):
            pass

    with pytest.raises(EnvironmentBroken, match="shop was not ready within 300ms"):
        asyncio.run(main())


def test_a_program_that_is_not_there_is_named(tmp_path: Path, provision: Provision) -> None:
    async def main() -> None:
        async with provision(tiny.plan(tiny.system(tmp_path, [tiny.web("shop", "no-such-program --x")]))):
            pass

    with pytest.raises(EnvironmentBroken, match="no-such-program: No such file"):
        asyncio.run(main())


def test_cancelled_while_provisioning_leaves_nothing(tmp_path: Path, state: Path) -> None:
    async def main() -> None:
        plan = tiny.plan(
            tiny.system(tmp_path, [tiny.web("shop", tiny.WEB + " --after 60")], ("customers -> shop",))
        )
        run = new_run()
        provisioning = asyncio.create_task(LocalRuntime().provision(plan, run, tmp_path / run))
        await eventually(lambda: bool(begun(state / "runs" / run)))
        record = begun(state / "runs" / run)
        assert record is not None
        provisioning.cancel()
        with pytest.raises(asyncio.CancelledError):
            await provisioning
        assert residue(record) == []

    asyncio.run(main())


def test_depends_on_in_a_circle_is_refused(tmp_path: Path) -> None:
    system = tiny.system(tmp_path, [tiny.web("one", after=("two",)), tiny.web("two", after=("one",))])
    with pytest.raises(EnvironmentBroken, match="circle"):
        asyncio.run(LocalRuntime().provision(tiny.plan(system), new_run(), tmp_path))
