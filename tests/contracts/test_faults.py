"""Every fault keeps its promises: undo is data, the witness sees what is there and nothing else, undo may repeat."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import Coroutine
from typing import Any

import pytest

from chaoskit import registry
from chaoskit.clock import monotonic_ns
from chaoskit.engines.dialect import Dialect, knock
from chaoskit.engines.line import NoLine
from chaoskit.engines.postgresql import PostgreSQL
from chaoskit.model.lease import Lease
from chaoskit.model.member import Fault, Witness
from chaoskit.spec.member_params import build
from tests.contracts.bench_estate import Bench
from tests.contracts.postgresql_pair import role

WEB = "customers -> web"
DATABASE = "web -> db"
REPLICATION = "db-standby -> db"

# (fault, target, parameters as a drill writes them)
ON_WEB: list[tuple[str, str, dict[str, Any]]] = [
    ("process.kill", "web", {}),
    ("process.freeze", "web", {}),
    ("host.loss", "web", {}),
    ("link.cut", WEB, {}),
    ("link.latency", WEB, {"latency": "400ms"}),
    ("link.latency", WEB, {"latency": "120ms", "jitter": "40ms", "direction": "requests"}),
    ("link.bandwidth", WEB, {"rate": "20KB"}),
    ("link.bandwidth", WEB, {"rate": "200KB", "direction": "requests"}),
    ("link.reset", WEB, {}),
    ("link.timeout", WEB, {}),
    ("link.timeout", WEB, {"after": "100ms", "direction": "requests"}),
]
ON_DATABASE: list[tuple[str, str, dict[str, Any]]] = [
    ("process.kill", "db", {}),
    ("process.freeze", "db", {}),
    ("host.loss", "db", {}),
    ("link.cut", REPLICATION, {}),
    ("link.latency", REPLICATION, {"latency": "300ms"}),
    ("link.bandwidth", DATABASE, {"rate": "64KB"}),
    ("link.reset", DATABASE, {"after": "50ms"}),
    ("link.timeout", DATABASE, {"direction": "answers"}),
]
UNDONE = [case for case in ON_WEB if case[0] not in ("process.kill", "host.loss")]


def named(case: tuple[str, str, dict[str, Any]]) -> str:
    return "-".join([case[0], *map(str, case[2].values())])


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(work)


def make(case: tuple[str, str, dict[str, Any]]) -> Fault:
    fault: Fault = build(registry.member("faults", case[0]), case[2])
    return fault


async def inflict(case: tuple[str, str, dict[str, Any]], estate: Bench) -> tuple[Lease, Witness, int]:
    """As the conductor does: baseline, undo, apply, witness. Returns also when the application began."""
    fault, target = make(case), case[1]
    baseline = await fault.baseline(target, estate)
    undo = await fault.undo(target, estate)
    lease = Lease(id="1", run="r", step="s", target=target, undo=undo)
    begun = monotonic_ns()
    await fault.apply(target, estate)
    return lease, await fault.witness(target, estate, baseline), begun


def proven(witness: Witness, begun_ns: int) -> None:
    assert witness.seen, witness.how
    assert witness.seen_ns is not None
    assert begun_ns <= witness.seen_ns <= monotonic_ns()
    assert len(witness.how) > 20


def test_every_registered_fault_is_held_to_the_contract() -> None:
    assert {case[0] for case in ON_WEB} == set(registry.members("faults"))
    assert {case[0] for case in ON_DATABASE} == set(registry.members("faults"))


@pytest.mark.parametrize("case", ON_WEB, ids=named)
def test_is_witnessed_on_an_http_service(case: tuple[str, str, dict[str, Any]], web: Bench) -> None:
    _, witness, begun = run(inflict(case, web))
    proven(witness, begun)


@pytest.mark.parametrize("case", ON_DATABASE, ids=named)
def test_is_witnessed_on_a_database(case: tuple[str, str, dict[str, Any]], bank: Bench) -> None:
    _, witness, begun = run(inflict(case, bank))
    proven(witness, begun)


async def only_look(case: tuple[str, str, dict[str, Any]], estate: Bench) -> Witness:
    fault, target = make(case), case[1]
    return await fault.witness(target, estate, await fault.baseline(target, estate))


@pytest.mark.parametrize("case", ON_WEB, ids=named)
def test_nothing_is_witnessed_that_was_not_applied(case: tuple[str, str, dict[str, Any]], web: Bench) -> None:
    witness = run(only_look(case, web))
    assert not witness.seen
    assert witness.seen_ns is None
    assert witness.how


def test_nothing_is_witnessed_on_a_database_that_was_left_alone(bank: Bench) -> None:
    async def look_at_all() -> list[str]:
        return [named(case) for case in ON_DATABASE if (await only_look(case, bank)).seen]

    assert run(look_at_all()) == []


@pytest.mark.parametrize("case", ON_WEB, ids=named)
def test_undo_is_plain_data_made_before_anything_is_broken(
    case: tuple[str, str, dict[str, Any]], web: Bench
) -> None:
    async def only_undo() -> Lease:
        undo = await make(case).undo(case[1], web)
        await web.undo(undo)  # never applied: harmless
        return Lease(id="1", run="r", step="s", target=case[1], undo=undo)

    lease = run(only_undo())
    assert Lease.model_validate_json(json.dumps(json.loads(lease.model_dump_json()))) == lease
    assert lease.undo.steps


async def answers(estate: Bench) -> bool:
    try:
        line = await Dialect.of(estate.plan.system, "web").open(estate.address(WEB), 1.0)
    except NoLine:
        return False
    line.close()
    return True


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("case", UNDONE, ids=named)
def test_undo_brings_service_back_and_may_repeat(
    case: tuple[str, str, dict[str, Any]], times: int, web: Bench
) -> None:
    async def there_and_back() -> None:
        lease, witness, _ = await inflict(case, web)
        assert witness.seen, witness.how
        from_disk = Lease.model_validate_json(lease.model_dump_json())
        for _ in range(times):
            await web.undo(from_disk.undo)
        assert await answers(web)
        assert not (await only_look(case, web)).seen

    run(there_and_back())


@pytest.mark.parametrize("name", ["process.kill", "host.loss"])
def test_a_dead_service_stays_dead_and_its_links_look_it_until_it_listens_again(
    name: str, web: Bench
) -> None:
    async def there_and_back() -> None:
        lease, witness, _ = await inflict((name, "web", {}), web)
        assert witness.seen, witness.how
        for _ in range(2):
            await web.undo(lease.undo)
        assert await web.tree("web") == ()
        assert (await knock(web.address(WEB), 1)).kind == (
            "refused" if name == "process.kill" else "answered"
        )
        assert not await answers(web)
        await web.start("web")
        assert await answers(web)

    run(there_and_back())


def test_a_frozen_database_wakes_with_all_its_processes(bank: Bench) -> None:
    async def there_and_back() -> None:
        lease, witness, _ = await inflict(("process.freeze", "db", {}), bank)
        assert witness.seen, witness.how
        assert "connection from before" in witness.how
        await bank.undo(lease.undo)
        await PostgreSQL(bank.direct("db"), role()).committed_write(5)

    run(there_and_back())


def test_freezing_only_the_postmaster_is_no_freeze(bank: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    async def only_the_parent(service: str) -> tuple[Any, ...]:
        import os
        import signal

        os.kill(bank.roots[service].pid, signal.SIGSTOP)
        return ()

    monkeypatch.setattr(bank, "freeze", only_the_parent)
    _, witness, _ = run(inflict(("process.freeze", "db", {}), bank))
    assert not witness.seen
    assert "running" in witness.how


def test_a_kill_that_spares_one_process_is_not_witnessed(
    bank: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def spare(service: str) -> tuple[Any, ...]:
        tree = await bank.tree(service)
        import os
        import signal

        os.kill(tree[-1].pid, signal.SIGSTOP)
        return ()

    monkeypatch.setattr(bank, "kill", spare)
    _, witness, _ = run(inflict(("process.kill", "db", {}), bank))
    assert not witness.seen


def test_the_service_that_is_not_running_cannot_be_killed_or_frozen(web: Bench) -> None:
    async def again() -> list[Witness]:
        await web.kill("web")
        return [
            await only_look((name, "web", {}), web)
            for name in ("process.kill", "process.freeze", "host.loss")
        ]

    assert [one.seen for one in run(again())] == [False, False, False]


def test_a_protocol_that_is_not_known_is_cut_and_reset_but_never_timed(bench: Bench) -> None:
    bench.start_cache()
    bench.open_link("web -> cache")
    seen = {}
    for case in [
        ("link.latency", "web -> cache", {"latency": "50ms"}),
        ("link.timeout", "web -> cache", {}),
        ("link.bandwidth", "web -> cache", {"rate": "1KB"}),
        ("process.freeze", "cache", {}),
    ]:
        lease, witness, _ = run(inflict(case, bench))
        run(bench.undo(lease.undo))
        seen[case[0]] = witness.seen
        assert "not known" in witness.how
    assert seen == {
        "link.latency": False,
        "link.timeout": False,
        "link.bandwidth": False,
        "process.freeze": True,
    }
    assert run(inflict(("link.reset", "web -> cache", {}), bench))[1].seen
    bench.proxy.api.remove_toxic("web -> cache", "chaoskit-reset_peer-0-downstream")
    assert run(inflict(("link.cut", "web -> cache", {}), bench))[1].seen


def test_a_volley_of_kill_and_cut_is_witnessed_on_both(bank: Bench) -> None:
    """The cut and the kill of one instant: each witness still sees its own."""

    async def volley() -> list[Witness]:
        cases = [("link.cut", REPLICATION, {}), ("process.kill", "db", {})]
        faults = [make(case) for case in cases]
        baselines = [await f.baseline(case[1], bank) for f, case in zip(faults, cases, strict=True)]
        await asyncio.gather(*(f.apply(case[1], bank) for f, case in zip(faults, cases, strict=True)))
        looks = zip(faults, cases, baselines, strict=True)
        return await asyncio.gather(*(f.witness(case[1], bank, before) for f, case, before in looks))

    assert [one.seen for one in run(volley())] == [True, True]


@pytest.mark.parametrize(
    ("name", "parameters", "words"),
    [
        ("link.latency", {}, "Field required"),
        ("link.latency", {"latency": "0ms"}, "from 1ms"),
        ("link.latency", {"latency": "1500us"}, "whole milliseconds"),
        ("link.latency", {"latency": "1h"}, "20000ms"),
        ("link.latency", {"latency": "1s", "jitter": "2s"}, "more than the latency"),
        ("link.latency", {"latency": "1s", "direction": "up"}, "requests"),
        ("link.bandwidth", {"rate": "1500B"}, "whole KB"),
        ("link.bandwidth", {"rate": "0KB"}, "whole KB"),
        ("link.reset", {"after": "1us"}, "whole milliseconds"),
        ("link.timeout", {"after": "2h"}, "300000ms"),
        ("process.kill", {"signal": "TERM"}, "unknown parameter"),
    ],
)
def test_parameters_that_cannot_work_are_refused(name: str, parameters: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make((name, "", parameters))


@pytest.mark.parametrize("name", sorted(registry.members("faults")))
def test_the_manual_page_tells_what_a_reader_needs(name: str) -> None:
    member = registry.member("faults", name)
    page = member.__doc__ or ""
    for part in ("Witness:", "Undo:", "Fidelity on `local`:", f"fault: {name}"):
        assert part in page
    assert dataclasses.is_dataclass(member)
    assert member.__dataclass_params__.frozen
    assert member.requires <= {"processes", "links", "lifecycle"}
