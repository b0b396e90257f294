"""standby-ready names each drift before it costs anything; mend-standby mends what a reload can; a promotion waits."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from functools import partial
from typing import Any

import pytest

from chaoskit import registry
from chaoskit.engines.postgresql import PostgreSQL
from chaoskit.model.member import Look, ResponseFailed
from chaoskit.model.parameters import build
from tests.contracts.bench_estate import LINKS, Bench, system
from tests.contracts.postgresql_pair import Member, await_detached, role
from tests.contracts.responding import Context
from tests.contracts.test_faults import Case, inflict, named, undo_from_disk
from tests.contracts.test_standby_faults import DRIFTS, LIMIT, STANDBY


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(work)


async def ready(bank: Bench, lag: str = "2s") -> Look:
    probe = build(registry.member("probes", "standby-ready"), {"lag": lag})
    look: Look = await probe.look(STANDBY, bank, 10)
    return look


async def mend(bank: Bench) -> list[tuple[str, dict[str, Any]]]:
    context = Context(bank)
    await build(registry.member("responses", "mend-standby"), {}).run([STANDBY], context)
    return context.facts


@pytest.fixture
def whole(whole_bank: Bench) -> Iterator[Bench]:
    """The module's pair; it must be ready again when the test has ended."""
    yield whole_bank
    look = run(ready(whole_bank))
    assert look.ok, look


def test_a_standby_like_its_primary_is_ready(whole: Bench) -> None:
    look = run(ready(whole))
    assert look.ok, look
    assert look.found == ()


@pytest.mark.parametrize("case", DRIFTS, ids=named)
def test_each_drift_is_named_and_mended(case: Case, whole: Bench) -> None:
    words = {
        "host-rules": "lets the application 'app' not in (pg_hba.conf, line 1)",
        "read-only": "it would refuse every payment",
        "synchronous": "it would wait for it",
        "library": "loads chaoskit_library_of_the_primary into every new session and has no such library",
        "address": "the address that web has for db-standby does not lead there",
    }[case[2]["kind"]]

    async def main() -> None:
        lease, _, _ = await inflict(case, whole)
        look = await ready(whole)
        assert not look.ok
        assert len(look.found) == 1, look.found
        assert words in look.found[0]
        assert [kind for kind, _ in await mend(whole)] == ["mended"]
        assert (await ready(whole)).ok
        assert await mend(whole) == [("nothing-to-mend", {"service": STANDBY})]
        await undo_from_disk(lease, whole)

    run(main())


def test_every_drift_is_named_where_there_are_several(whole: Bench) -> None:
    async def main() -> None:
        leases = [(await inflict(case, whole))[0] for case in DRIFTS]
        assert len((await ready(whole)).found) == len(DRIFTS)
        assert [kind for kind, _ in await mend(whole)] == ["mended"] * len(DRIFTS)
        for lease in reversed(leases):
            await undo_from_disk(lease, whole)

    run(main())


def test_a_setting_of_one_member_only_is_named_with_both_values(whole: Bench) -> None:
    standby = whole.members[STANDBY]
    standby.execute("ALTER SYSTEM SET work_mem = '1MB'")
    standby.execute("SELECT pg_reload_conf()")
    whole.until(lambda: not run(ready(whole)).ok)
    (found,) = run(ready(whole)).found
    assert found == "work_mem is '1024' on db-standby and '4096' on db"
    standby.execute("ALTER SYSTEM RESET work_mem")
    standby.execute("SELECT pg_reload_conf()")
    whole.until(lambda: run(ready(whole)).ok)


def test_a_host_rule_that_the_standby_lacks_is_named(whole: Bench) -> None:
    primary = whole.members["db"]
    path = primary.data / "pg_hba.conf"
    before = path.read_text()
    path.write_text(before + "host reports all 10.0.0.0/8 scram-sha-256\n")
    (found,) = run(ready(whole)).found
    assert found.startswith("db-standby lacks its primary's host rule 'host reports all 10.0.0.0")
    path.write_text(before)


def test_a_replay_that_somebody_has_paused_and_a_log_that_does_not_arrive(whole: Bench) -> None:
    standby = whole.members[STANDBY]
    standby.execute("SELECT pg_wal_replay_pause()")
    whole.until(lambda: standby.execute("SELECT pg_get_wal_replay_pause_state()") == [("paused",)])
    found = " ".join(run(ready(whole, lag="300ms")).found)
    assert "that it does not replay: a promotion would wait" in found
    assert "the replay of db-standby is paused" in found
    standby.execute("SELECT pg_wal_replay_resume()")

    async def cut() -> Look:
        await whole.enable("db-standby -> db", False)
        look = await ready(whole, lag="300ms")
        await whole.enable("db-standby -> db", True)
        return look

    assert "has not received a record 0.3 s old" in run(cut()).found[0]
    whole.until(lambda: run(ready(whole)).ok)


def test_a_limit_raised_on_the_primary_alone_is_named_and_a_restart_of_the_standby_mends_it(
    bank: Bench,
) -> None:
    async def main() -> Look:
        await bank.kill("db")
        old = bank.members["db"]
        await asyncio.to_thread(await_detached, old.data)
        (old.data / "postmaster.pid").unlink()
        bank._adopt("db", await asyncio.to_thread(Member.start, old.data, old.address, "max_connections=300"))
        await asyncio.to_thread(
            bank.until, lambda: bool(bank.members["db"].execute("SELECT 1 FROM pg_stat_replication"))
        )
        return await ready(bank, lag="300ms")

    look = run(main())
    assert not look.ok
    told = " ".join(look.found)
    assert "max_connections is '100' on db-standby and '300' on db: the replay stops" in told
    assert "the replay of db-standby is paused" in told
    ((kind, facts),) = run(mend(bank))
    assert (kind, facts["how"]) == ("mended", "max_connections set to 300, and restarted")
    assert run(ready(bank)).ok


def test_a_limit_is_mended_only_while_the_primary_says_what_it_is(bank: Bench) -> None:
    async def main() -> list[tuple[str, dict[str, Any]]]:
        await inflict(LIMIT, bank)
        await bank.kill("db")
        return await mend(bank)

    assert run(main()) == [("nothing-to-mend", {"service": STANDBY})]


def test_a_standby_stopped_at_a_limit_is_not_promoted(bank: Bench) -> None:
    async def main() -> None:
        await inflict(LIMIT, bank)
        await bank.kill("db")
        await build(registry.member("responses", "promote-standby"), {"within": "3s"}).run([], Context(bank))

    with pytest.raises(ResponseFailed):
        run(main())


def test_a_member_that_does_not_answer_is_not_ready(bank: Bench) -> None:
    async def main() -> Look:
        await bank.kill("db")
        return await ready(bank)

    look = run(main())
    assert not look.ok
    assert "could not be compared" in look.detail


def test_access_that_no_rule_refuses_by_name_is_not_mended_by_a_reload(bank: Bench) -> None:
    path = bank.members[STANDBY].data / "pg_hba.conf"
    path.write_text("host all postgres 127.0.0.0/8 scram-sha-256\n")
    bank.members[STANDBY].execute("SELECT pg_reload_conf()")
    bank.until(lambda: not run(ready(bank)).ok)
    with pytest.raises(ResponseFailed, match="cannot be mended by a reload"):
        run(mend(bank))


def test_a_promotion_tells_what_refuses_it_and_goes_on_when_that_is_mended(bank: Bench) -> None:
    async def main() -> list[tuple[str, dict[str, Any]]]:
        await inflict(DRIFTS[0], bank)
        await bank.kill("db")
        context = Context(bank)
        promote = build(registry.member("responses", "promote-standby"), {"within": "15s"})
        promoting = asyncio.create_task(promote.run([], context))
        async with asyncio.timeout(10):
            while not any(kind == "refused" for kind, _ in context.facts):  # noqa: ASYNC110 - the response's own pace
                await asyncio.sleep(0.02)
        assert not promoting.done()
        assert [kind for kind, _ in await mend(bank)] == ["mended"]
        await promoting
        return context.facts

    facts = run(main())
    assert [kind for kind, _ in facts] == ["fenced", "promoted", "refused", "writable"]
    assert "pg_hba.conf rejects connection" in dict(facts)["refused"]["why"]
    assert run(PostgreSQL(bank.direct(STANDBY), role()).writable())


def test_a_promotion_that_nobody_mends_fails_with_what_refused_it(bank: Bench) -> None:
    async def main() -> None:
        await inflict(DRIFTS[1], bank)
        await bank.kill("db")
        await build(registry.member("responses", "promote-standby"), {"within": "2s"}).run([], Context(bank))

    with pytest.raises(ResponseFailed, match="accepts no writes"):
        run(main())


@pytest.mark.parametrize(("kind", "name"), [("probes", "standby-ready"), ("responses", "mend-standby")])
def test_only_a_standby_is_looked_at_or_mended(kind: Any, name: str) -> None:
    member = build(registry.member(kind, name), {})
    refuse = partial(member.prepare, "web") if kind == "probes" else partial(member.check, ("web",))
    with pytest.raises(ValueError, match="web is no standby"):
        refuse(system(LINKS))


def test_detection_never_takes_it_for_a_sign_of_life() -> None:
    assert registry.member("probes", "standby-ready").fits(system(LINKS), STANDBY) == 0


def test_what_is_left_as_it_is_is_told(bench: Bench) -> None:
    context = Context(bench)
    run(build(registry.member("responses", "leave-as-is"), {}).run([STANDBY], context))
    assert context.facts == [("left-as-it-is", {"services": [STANDBY]})]
