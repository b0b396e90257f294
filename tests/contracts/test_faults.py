"""Faults keep their promises on a small bench: undo is data, the witness sees what is there and nothing else.

That no fault is left out, on any runtime, is held by test_every_fault.py; here is what one of them promises besides.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import signal
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
from chaoskit.model.parameters import build
from tests.contracts.bench_estate import Bench
from tests.contracts.postgresql_pair import role

WEB = "customers -> web"
DATABASE = "web -> db"
REPLICATION = "db-standby -> db"

# (fault, target, parameters as a drill writes them)
Case = tuple[str, str, dict[str, Any]]

ON_WEB: list[Case] = [
    ("process.kill", "web", {}),
    ("service.stop", "web", {}),
    ("process.freeze", "web", {}),
    ("host.loss", "web", {}),
    ("link.cut", WEB, {}),
    ("link.latency", WEB, {"latency": "400ms"}),
    ("link.latency", WEB, {"latency": "120ms", "jitter": "40ms", "direction": "requests"}),
    ("link.bandwidth", WEB, {"rate": "20KB"}),
    ("link.bandwidth", WEB, {"rate": "60KB", "direction": "requests"}),
    ("link.reset", WEB, {}),
    ("link.timeout", WEB, {}),
    ("link.timeout", WEB, {"after": "100ms", "direction": "requests"}),
]
ON_DATABASE: list[Case] = [
    ("process.kill", "db", {}),
    ("service.stop", "db", {}),
    ("process.freeze", "db", {}),
    ("host.loss", "db", {}),
    ("link.cut", REPLICATION, {}),
    ("link.latency", REPLICATION, {"latency": "300ms"}),
    ("link.bandwidth", DATABASE, {"rate": "64KB"}),
    ("link.reset", DATABASE, {"after": "50ms"}),
    ("link.timeout", DATABASE, {"direction": "answers"}),
]
DEADLY = ("process.kill", "service.stop", "host.loss")
MEANS = {"limits", "disks", "networks", "clocks"}


def undoable(cases: list[Case]) -> list[Case]:
    return [case for case in cases if case[0] not in DEADLY]


def named(case: Case) -> str:
    return "-".join([case[0], *map(str, case[2].values())])


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(work)


def make(case: Case) -> Fault:
    fault: Fault = build(registry.member("faults", case[0]), case[2])
    return fault


async def inflict(case: Case, estate: Any) -> tuple[Lease, Witness, int]:
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


async def only_look(case: Case, estate: Any) -> Witness:
    fault, target = make(case), case[1]
    return await fault.witness(target, estate, await fault.baseline(target, estate))


async def not_seen(case: Case, estate: Any) -> None:
    """The control: nothing was applied, so nothing may be witnessed."""
    witness = await only_look(case, estate)
    assert not witness.seen, witness.how
    assert witness.seen_ns is None
    assert witness.how


async def undo_from_disk(lease: Lease, estate: Any) -> None:
    read = Lease.model_validate_json(json.dumps(json.loads(lease.model_dump_json())))
    assert read == lease
    assert read.undo.steps
    await estate.undo(read.undo)


async def there_and_back(case: Case, estate: Any) -> None:
    """Undone without ever having been applied, not seen, applied, seen, undone several times, not seen."""
    never = await make(case).undo(case[1], estate)
    await undo_from_disk(Lease(id="0", run="r", step="s", target=case[1], undo=never), estate)
    await not_seen(case, estate)
    lease, witness, begun = await inflict(case, estate)
    for _ in range(3):
        await undo_from_disk(lease, estate)
    proven(witness, begun)
    await not_seen(case, estate)


@pytest.mark.parametrize("case", undoable(ON_WEB), ids=named)
def test_on_an_http_service(case: Case, whole_web: Bench) -> None:
    async def main() -> None:
        await there_and_back(case, whole_web)
        assert await answers(whole_web)

    run(main())


@pytest.mark.parametrize("case", undoable(ON_DATABASE), ids=named)
def test_on_a_database(case: Case, whole_bank: Bench) -> None:
    async def main() -> None:
        await there_and_back(case, whole_bank)
        await PostgreSQL(whole_bank.direct("db"), role()).committed_write(10)

    run(main())


async def answers(estate: Any) -> bool:
    try:
        line = await Dialect.of(estate.plan.system, "web").open(estate.links.address(WEB), 1.0)
    except NoLine:
        return False
    line.close()
    return True


@pytest.mark.parametrize("name", DEADLY)
def test_a_dead_service_stays_dead_and_its_links_look_it_until_it_listens_again(
    name: str, web: Bench
) -> None:
    async def main() -> None:
        case: Case = (name, "web", {})
        await not_seen(case, web)
        lease, witness, begun = await inflict(case, web)
        proven(witness, begun)
        for _ in range(2):
            await undo_from_disk(lease, web)
        assert await web.tree("web") == ()
        assert (await knock(web.address(WEB), 1)).kind == ("answered" if name == "host.loss" else "refused")
        assert not await answers(web)
        await web.start("web")
        assert await answers(web)

    run(main())


@pytest.mark.parametrize("name", DEADLY)
def test_a_database_dies_with_all_its_processes(name: str, bank: Bench) -> None:
    async def main() -> None:
        await not_seen((name, "db", {}), bank)
        _, witness, begun = await inflict((name, "db", {}), bank)
        proven(witness, begun)

    run(main())


def test_freezing_only_the_postmaster_is_no_freeze(bank: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    async def only_the_parent(service: str) -> tuple[Any, ...]:
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
        ("link.latency", {"latency": "4ms"}, "from 5ms"),
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
    for part in ("Witness:", "Undo:", "Fidelity on `local`", "`docker`", f"fault: {name}"):
        assert part in page
    assert dataclasses.is_dataclass(member)
    assert member.__dataclass_params__.frozen
    assert (
        member.requires <= {"processes", "links", "lifecycle", "positions", "outsiders", "releases"} | MEANS
    )
    assert member.requires
