"""The faults and responses on the real `local` runtime: what the bench shows must hold where drills run."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import psycopg
import pytest

from chaoskit import registry
from chaoskit.clock import monotonic_ns
from chaoskit.engines.dialect import Dialect, knock, silence
from chaoskit.engines.line import NoLine, RawLine
from chaoskit.engines.postgresql import PostgreSQL
from chaoskit.model.lease import Undo
from chaoskit.model.member import Fault, ResponseFailed, Witness
from chaoskit.model.parameters import build
from chaoskit.runtimes.local.estate import LocalEstate
from tests.contracts.responding import Context
from tests.runtimes.local import tiny
from tests.runtimes.local.conftest import Provision, provision, state

__all__ = ["provision", "state"]  # fixtures

CUSTOMERS = "customers -> shop"
LINK_FAULTS: list[tuple[str, str, dict[str, Any]]] = [
    ("link.cut", CUSTOMERS, {}),
    ("link.latency", CUSTOMERS, {"latency": "150ms", "jitter": "20ms"}),
    ("link.bandwidth", CUSTOMERS, {"rate": "20KB"}),
    ("link.reset", CUSTOMERS, {}),
    ("link.timeout", CUSTOMERS, {}),
    ("link.cut", "db-standby -> db", {}),
    ("link.latency", "db-standby -> db", {"latency": "400ms"}),
    ("link.bandwidth", "shop -> db", {"rate": "64KB", "direction": "answers"}),
    ("link.reset", "shop -> db", {}),
    ("link.timeout", "shop -> db", {"direction": "answers"}),
]


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(work)


async def inflict(
    estate: LocalEstate, name: str, target: str, parameters: dict[str, Any]
) -> tuple[Undo, Witness]:
    fault: Fault = build(registry.member("faults", name), parameters)
    baseline = await fault.baseline(target, estate)
    undo = Undo.model_validate_json((await fault.undo(target, estate)).model_dump_json())
    begun = monotonic_ns()
    await fault.apply(target, estate)
    witness = await fault.witness(target, estate, baseline)
    assert witness.seen, f"{name} on {target}: {witness.how}"
    assert witness.seen_ns is not None
    assert begun < witness.seen_ns <= monotonic_ns()
    return undo, witness


async def only_look(estate: LocalEstate, name: str, target: str, parameters: dict[str, Any]) -> Witness:
    fault: Fault = build(registry.member("faults", name), parameters)
    return await fault.witness(target, estate, await fault.baseline(target, estate))


async def answers(estate: LocalEstate) -> bool:
    try:
        line = await Dialect.of(estate.plan.system, "shop").open(estate.links.address(CUSTOMERS), 2)
    except NoLine:
        return False
    line.close()
    return True


def server(estate: LocalEstate, name: str) -> PostgreSQL:
    return PostgreSQL(estate.direct(name), estate.plan.system.roles["database"])


async def respond(estate: LocalEstate, name: str, *on: str, **parameters: Any) -> dict[str, dict[str, Any]]:
    context = Context(estate)
    await build(registry.member("responses", name), parameters).run(on, context)
    return dict(context.facts)


def test_links_are_broken_witnessed_and_whole_again(tmp_path: Path, provision: Provision) -> None:
    async def main() -> None:
        async with provision(tiny.plan(tiny.shop(tmp_path))) as estate:
            for name, target, parameters in LINK_FAULTS:
                undo, _ = await inflict(estate, name, target, parameters)
                for _ in range(2):
                    await estate.undo(undo)
            for name, target, parameters in (LINK_FAULTS[0], LINK_FAULTS[-1]):
                assert not (await only_look(estate, name, target, parameters)).seen
            assert await answers(estate)
            await server(estate, "db").committed_write(10)  # synchronous: the standby is back on its link

    run(main())


def test_a_service_that_is_killed_or_loses_its_host_comes_back_with_its_links(
    tmp_path: Path, provision: Provision
) -> None:
    async def main() -> None:
        system = tiny.system(tmp_path, [tiny.web("shop", f"{tiny.WEB} --tree")], (CUSTOMERS,))
        async with provision(tiny.plan(system)) as estate:
            link = estate.links.address(CUSTOMERS)
            for name, kind in (("process.kill", "refused"), ("host.loss", "silent")):
                assert not (await only_look(estate, name, "shop", {})).seen
                open_before = await RawLine.open(link, 2)
                undo, witness = await inflict(estate, name, "shop", {})
                assert " processes left" in witness.how
                assert (await silence(link, 0.3)).kind == kind
                assert (await open_before.ending(0.3)).kind == ("silent" if kind == "silent" else "closed")
                for _ in range(2):
                    await estate.undo(undo)
                assert not await answers(estate)
                assert set(await respond(estate, "restart-service", "shop")) == {"started"}
                assert await answers(estate)

    run(main())


def test_a_frozen_primary_is_fenced_and_nothing_from_before_is_acknowledged(
    tmp_path: Path, provision: Provision
) -> None:
    async def main() -> None:
        async with provision(tiny.plan(tiny.shop(tmp_path))) as estate:
            assert not (await only_look(estate, "process.freeze", "db", {})).seen
            role = estate.plan.system.roles["database"]
            before = await psycopg.AsyncConnection.connect(
                host=estate.links.address("shop -> db").host,
                port=5432,
                dbname=role.database,
                user=role.user,
                password=role.password,
                autocommit=True,
            )
            undo, witness = await inflict(estate, "process.freeze", "db", {})
            assert "connection from before gives no answer" in witness.how
            facts = await respond(estate, "promote-standby")
            assert set(facts) == {"fenced", "promoted", "writable"}
            await estate.undo(undo)  # it thaws, and still believes that it is the primary
            await asyncio.wait_for(server(estate, "db").ping(10), 10)
            with pytest.raises(psycopg.OperationalError):
                await before.execute("CREATE TABLE acknowledged ()")
            for link in ("shop -> db", "db-standby -> db"):
                assert (await knock(estate.links.address(link), 2)).kind == "refused"
            with pytest.raises(ResponseFailed, match="second one"):
                await respond(estate, "restart-service", "db")

    run(main())


@pytest.mark.parametrize("name", ["process.kill", "host.loss"])
def test_the_standby_of_a_dead_synchronous_primary_is_promoted(
    name: str, tmp_path: Path, provision: Provision
) -> None:
    async def main() -> None:
        async with provision(tiny.plan(tiny.shop(tmp_path))) as estate:
            await inflict(estate, name, "db", {})
            facts = await respond(estate, "promote-standby", "db-standby", **{"catch-up": "200ms"})
            assert list(facts)[-1] == "writable"
            assert "no process left" in facts["fenced"]["how"]
            assert await server(estate, "db-standby").writable(5)
            assert (await knock(estate.links.address("shop -> db"), 2)).kind == "refused"

    run(main())


def test_a_database_that_forks_between_lease_and_freeze_wakes_whole(
    tmp_path: Path, provision: Provision
) -> None:
    """The lease was written before the freeze: a backend that was forked since is not in it, and must wake too."""

    async def main() -> None:
        async with provision(tiny.plan(tiny.shop(tmp_path))) as estate:
            fault: Fault = build(registry.member("faults", "process.freeze"), {})
            undo = await fault.undo("db", estate)
            role = estate.plan.system.roles["database"]
            late = await psycopg.AsyncConnection.connect(
                host=estate.direct("db").host,
                port=5432,
                dbname=role.database,
                user=role.user,
                password=role.password,
                autocommit=True,
            )
            await fault.apply("db", estate)
            await estate.undo(undo)
            async with asyncio.timeout(10):
                await late.execute("SELECT 1")
            states = {estate.processes.state(one) for one in await estate.processes.tree("db")}
            assert states == {"running"}

    run(main())
