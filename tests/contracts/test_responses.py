"""Every response proves what it is for, and does nothing where it cannot."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Coroutine
from types import SimpleNamespace
from typing import Any, cast

import psycopg
import pytest

from chaoskit import registry
from chaoskit.engines.dialect import Dialect, knock, silence
from chaoskit.engines.line import NoLine
from chaoskit.engines.postgresql import PostgreSQL
from chaoskit.engines.postgresql_line import PostgresLine
from chaoskit.engines.session import EngineError, QueryRefused, Unreachable
from chaoskit.errors import EnvironmentBroken, ServiceDown
from chaoskit.model.estate import Address, Toxic
from chaoskit.model.lease import SignalUndo, Undo
from chaoskit.model.member import ResponseFailed
from chaoskit.model.parameters import build
from chaoskit.responses.promote_standby import PromoteStandby
from tests.contracts.bench_estate import Bench
from tests.contracts.postgresql_pair import role
from tests.contracts.responding import Context

TO_OLD = "web -> db"


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(work)


async def promote(bank: Bench, *on: str, **parameters: Any) -> Context:
    context = Context(bank)
    await build(registry.member("responses", "promote-standby"), parameters).run(on, context)
    return context


def server(bank: Bench, name: str) -> PostgreSQL:
    return PostgreSQL(bank.direct(name), role())


def in_recovery(bank: Bench) -> bool:
    return bool(run(server(bank, "db-standby").in_recovery()))


def test_the_standby_of_a_dead_primary_is_promoted_and_proven(bank: Bench) -> None:
    async def drill() -> Context:
        await bank.kill("db")
        return await promote(bank, "db-standby")

    context = run(drill())
    assert [kind for kind, _ in context.facts] == ["fenced", "promoted", "writable"]
    assert context.superseded == ["db"]
    facts = dict(context.facts)
    assert "no process left" in facts["fenced"]["how"]
    assert facts["promoted"]["timeline"] == 2
    assert facts["writable"]["after_ms"] >= facts["promoted"]["after_ms"] >= facts["fenced"]["after_ms"] > 0
    assert run(server(bank, "db-standby").writable())
    assert run(knock(bank.address(TO_OLD), 1)).kind == "refused"


def test_a_frozen_primary_is_fenced_and_acknowledges_nothing_after_it_thaws(bank: Bench) -> None:
    """Through a connection from before the freeze: what it sends after the fence is never acknowledged."""
    open_before = bank.members["db"].connect(bank.address(TO_OLD))
    tree = run(bank.tree("db"))

    async def drill() -> Context:
        await bank.freeze("db")
        return await promote(bank)

    context = run(drill())
    assert "connections through them have ended" in dict(context.facts)["fenced"]["how"]
    run(bank.undo(Undo(steps=(SignalUndo(processes=tree),))))
    assert bank.state(tree[0]) == "running"
    with pytest.raises(psycopg.OperationalError):
        open_before.execute("CREATE TABLE acknowledged ()")
    with pytest.raises(psycopg.OperationalError):
        bank.members["db"].connect(bank.address(TO_OLD))
    assert run(server(bank, "db-standby").writable())


def test_an_inherited_synchronous_standby_does_not_hang_the_new_primary(bank: Bench) -> None:
    standby = bank.members["db-standby"]
    standby.execute("ALTER SYSTEM SET synchronous_standby_names = 'FIRST 1 (standby)'")
    standby.execute("SELECT pg_reload_conf()")

    async def drill() -> Context:
        await bank.kill("db")
        return await promote(bank, within="10s")

    facts = dict(run(drill()).facts)
    assert facts["synchronous-cleared"]["was"] == "FIRST 1 (standby)"
    assert "writable" in facts


def test_without_a_fence_nothing_is_promoted(bank: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    async def pretend(service: str) -> tuple[str, ...]:
        return ("web -> db", "db-standby -> db")

    monkeypatch.setattr(bank, "fence", pretend)

    with pytest.raises(ResponseFailed, match="is answered at"):
        run(promote(bank, "db-standby"))
    assert in_recovery(bank)


def test_a_link_left_out_of_the_fence_stops_the_promotion(
    bank: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def forgetful(service: str) -> tuple[str, ...]:
        return ("web -> db",)

    monkeypatch.setattr(bank, "fence", forgetful)
    with pytest.raises(ResponseFailed, match="did not take down db-standby -> db"):
        run(promote(bank, "db-standby"))
    assert in_recovery(bank)


def test_a_dead_looking_primary_that_still_answers_is_not_called_dead(
    bank: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A runtime that loses sight of the processes proves nothing: the server's own answer counts."""

    async def nothing(service: str) -> tuple[Any, ...]:
        return ()

    monkeypatch.setattr(bank, "tree", nothing)
    context = run(promote(bank, "db-standby"))
    assert "no process left" not in dict(context.facts)["fenced"]["how"]
    assert run(knock(bank.address(TO_OLD), 1)).kind == "refused"


def test_catching_up_lets_a_slow_line_drain(bank: Bench) -> None:
    primary = bank.members["db"]
    primary.execute("CREATE TABLE arrived (n int)")

    async def drill() -> Context:
        slow = Toxic("slow", "latency", "downstream", {"latency": 2500, "jitter": 0})
        await bank.add_toxic("db-standby -> db", slow)
        await asyncio.to_thread(primary.execute, "INSERT INTO arrived SELECT generate_series(1, 500)")
        await bank.kill("db")
        await bank.mirror("db", "refused")
        return await promote(bank, **{"catch-up": "4s"})

    facts = dict(run(drill()).facts)
    assert facts["caught-up"]["received_bytes"] > 0
    assert bank.members["db-standby"].execute("SELECT count(*) FROM arrived") == [(500,)]


def test_without_catching_up_what_is_on_the_line_is_gone(bank: Bench) -> None:
    primary = bank.members["db"]
    primary.execute("CREATE TABLE arrived (n int)")
    bank.until(lambda: bank.members["db-standby"].execute("SELECT to_regclass('arrived')") != [(None,)])

    async def drill() -> None:
        slow = Toxic("slow", "latency", "downstream", {"latency": 5000, "jitter": 0})
        await bank.add_toxic("db-standby -> db", slow)
        await asyncio.to_thread(primary.execute, "INSERT INTO arrived SELECT generate_series(1, 500)")
        await bank.kill("db")
        await promote(bank)

    run(drill())
    assert bank.members["db-standby"].execute("SELECT count(*) FROM arrived") == [(0,)]


def test_a_primary_is_not_promoted(bank: Bench) -> None:
    with pytest.raises(ResponseFailed, match="not in recovery"):
        run(promote(bank, "db"))
    assert bank.fenced == set()


@pytest.mark.parametrize("on", [("web",), ("db-standby", "db"), ("nothing",)])
def test_a_target_that_is_no_standby_is_refused(bench: Bench, on: tuple[str, ...]) -> None:
    with pytest.raises(ResponseFailed):
        run(promote(bench, *on))


@pytest.mark.parametrize(
    "parameters", [{"within": "0s"}, {"catch-up": "1m", "within": "30s"}, {"fence": "no"}]
)
def test_parameters_that_cannot_work_are_refused(parameters: dict[str, str]) -> None:
    with pytest.raises(ValueError):
        build(registry.member("responses", "promote-standby"), parameters)


async def restart(bank: Bench, *on: str) -> Context:
    context = Context(bank)
    await build(registry.member("responses", "restart-service"), {}).run(on, context)
    return context


def test_a_dead_service_is_started_again(web: Bench) -> None:
    async def drill() -> Context:
        await web.kill("web")
        await web.mirror("web", "refused")
        return await restart(web, "web")

    assert [kind for kind, _ in run(drill()).facts] == ["started"]
    assert run(knock(web.address("customers -> web"), 1)).kind == "answered"


def test_one_that_does_not_start_leaves_none_that_is_still_being_started(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started: list[str] = []

    async def start(service: str) -> None:
        if service == "gone":
            raise EnvironmentBroken("it ended")
        await asyncio.sleep(0.1)
        started.append(service)

    async def nothing(*_: object) -> None:
        return None

    monkeypatch.setattr("chaoskit.responses.restart_service.give_network_back", nothing)
    system = SimpleNamespace(role_of=lambda service: None, roles={})
    estate: Any = SimpleNamespace(plan=SimpleNamespace(system=system), lifecycle=SimpleNamespace(start=start))

    async def drill() -> None:
        with pytest.raises(ResponseFailed, match="gone did not start: it ended"):
            await restart(estate, "gone", "slow")
        assert started == ["slow"]

    run(drill())


def test_a_member_is_started_though_its_dead_partner_has_no_address(
    bank: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a container that has ended: the engine gives its address to the next one."""
    direct = bank.direct

    def nowhere(service: str) -> Address:
        if service == "db":
            raise ServiceDown("db is down, so that it has no address")
        return direct(service)

    async def drill() -> Context:
        await bank.kill("db")
        await bank.kill("db-standby")
        monkeypatch.setattr(bank, "direct", nowhere)
        return await restart(bank, "db-standby")

    assert [kind for kind, _ in run(drill()).facts] == ["started"]


def test_a_service_that_lost_its_host_gets_its_own_links_back_before_it_starts(bank: Bench) -> None:
    bank.start_web()
    fault = build(registry.member("faults", "host.loss"), {})

    async def drill() -> None:
        undo = await fault.undo("web", bank)
        await fault.apply("web", bank)
        assert (await silence(bank.address(TO_OLD), 0.2)).kind == "silent"
        with pytest.raises(NoLine):
            await Dialect.of(bank.plan.system, "db").open(bank.address(TO_OLD), 0.3)
        await restart(bank, "web")
        (await Dialect.of(bank.plan.system, "db").open(bank.address(TO_OLD), 5)).close()
        await bank.undo(undo)

    run(drill())


def test_a_new_primary_that_is_full_is_proven_when_a_place_is_free(bank: Bench) -> None:
    standby = server(bank, "db-standby")
    bank.members["db"].execute("ALTER ROLE app CONNECTION LIMIT 1")

    async def drill() -> None:
        target = await server(bank, "db").lsn()
        while (await standby.lsn()) < target:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.02)
        line = await PostgresLine.open(bank.direct("db-standby"), role(), 5)  # takes the only place
        asyncio.get_running_loop().call_later(0.7, line.close)
        await bank.kill("db")
        await promote(bank)

    run(drill())


def test_a_dead_primary_is_started_again_beside_its_standby(bank: Bench) -> None:
    async def drill() -> None:
        await bank.kill("db")
        await restart(bank, "db")

    run(drill())
    assert run(server(bank, "db").writable())


def test_a_standby_is_started_again_beside_its_primary(bank: Bench) -> None:
    async def drill() -> None:
        await bank.kill("db-standby")
        await restart(bank, "db-standby")

    run(drill())
    assert in_recovery(bank)


def test_an_old_primary_is_not_started_beside_the_new_one(bank: Bench) -> None:
    async def drill() -> None:
        await bank.kill("db")
        await promote(bank)
        await restart(bank, "db")

    with pytest.raises(ResponseFailed, match="would be a second one"):
        run(drill())
    assert run(bank.tree("db")) == ()


def test_a_primary_is_not_started_beside_a_partner_that_does_not_say_what_it_is(bank: Bench) -> None:
    async def drill() -> None:
        await bank.kill("db")
        await bank.freeze("db-standby")
        await restart(bank, "db")

    with pytest.raises(ResponseFailed, match="does not say"):
        run(drill())
    assert run(bank.tree("db")) == ()


def test_a_member_that_turns_out_to_be_a_second_writer_is_stopped_again(bank: Bench) -> None:
    async def drill() -> None:
        await server(bank, "db-standby").promote(10)
        await bank.kill("db-standby")
        await restart(bank, "db-standby")  # its partner lives, and both write now

    with pytest.raises(ResponseFailed, match="stopped again"):
        run(drill())
    assert run(bank.tree("db-standby")) == ()


def test_restart_needs_to_be_told_what(web: Bench) -> None:
    with pytest.raises(ResponseFailed, match="on:"):
        run(restart(web))


@pytest.mark.parametrize("name", sorted(registry.members("responses")))
def test_the_manual_page_tells_what_a_reader_needs(name: str) -> None:
    page = registry.member("responses", name).__doc__ or ""
    assert f"respond: {name}" in page
    assert re.search(r"Fidelity on `local`( and `docker`)?:", page)


def test_what_refused_a_promotion_is_told_though_the_last_try_had_no_time() -> None:
    """As on a machine that is so busy that the last log-in, with 50 ms left, is not answered."""
    answers = iter([QueryRefused("db accepts no writes"), Unreachable("no log-in within 0.05 s")])

    class Server:
        async def committed_write(self, within_s: float) -> None:
            raise next(answers)

    told: list[Any] = []
    context: Any = SimpleNamespace(record=lambda kind, **data: told.append((kind, data["why"])))
    proof = PromoteStandby()._proof(cast(Any, Server()), context, 0)
    with pytest.raises(EngineError, match=r"accepts no writes; and at last: no log-in"):
        asyncio.run(proof)
    assert told == [("refused", "db accepts no writes")]
