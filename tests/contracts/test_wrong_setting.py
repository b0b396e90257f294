"""A bad setting that an operator pushes: refused before anything is changed, seen by customers, taken back for good."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from chaoskit import registry
from chaoskit.engines.member_settings import CannotSet
from chaoskit.engines.postgresql import PostgreSQL
from chaoskit.errors import EnvironmentBroken
from chaoskit.model.lease import Lease
from chaoskit.model.member import ResponseFailed
from chaoskit.model.parameters import build
from tests.contracts.bench_estate import Bench, system
from tests.contracts.postgresql_pair import Member, await_detached, role
from tests.contracts.responding import Context
from tests.contracts.test_faults import (
    Case,
    inflict,
    not_seen,
    only_look,
    proven,
    there_and_back,
    undo_from_disk,
)
from tests.contracts.test_standby_faults import killed_after_applying

NAME = "mistake.wrong-command"


def pushing(setting: str, value: Any) -> Case:
    return (NAME, "db", {"setting": setting, "value": value})


READ_ONLY = pushing("default_transaction_read_only", "on")
HASTY = pushing("statement_timeout", "1ms")
PUSHED: list[Case] = [
    READ_ONLY,
    HASTY,
    pushing("statement_timeout", 1),
    pushing("Idle_Session_Timeout", "150ms"),
    pushing("search_path", '"$user", nowhere'),
    pushing("checkpoint_timeout", "11min"),
]


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(work)


def name_of(case: Case) -> str:
    return f"{case[2]['setting']}={case[2]['value']}"


@pytest.fixture
def whole(whole_bank: Bench, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """The module's pair, for tests that leave it whole."""
    monkeypatch.setattr("chaoskit.faults.mistake_wrong_command._WITHIN_S", 0.5)
    before = kept(whole_bank)
    yield whole_bank
    assert kept(whole_bank) == before


def kept(bank: Bench) -> list[str]:
    """What postgresql.auto.conf of the primary says, without the server's remarks."""
    text = (bank.members["db"].data / "postgresql.auto.conf").read_text()
    return sorted(line for line in text.splitlines() if not line.startswith("#"))


def write(bank: Bench) -> None:
    """As a customer's payment does it. Raises psycopg.Error."""
    with bank.members["db"].connect() as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS paid (n int)")
        connection.execute("INSERT INTO paid VALUES (1)")


@pytest.mark.parametrize("case", PUSHED, ids=name_of)
def test_there_and_back(case: Case, whole: Bench) -> None:
    async def main() -> None:
        await there_and_back(case, whole)
        await PostgreSQL(whole.direct("db"), role()).committed_write(10)

    run(main())


def test_it_hurts_whoever_is_logged_in_already_and_the_witness_is_the_application(whole: Bench) -> None:
    with whole.members["db"].connect() as open_before:
        lease, witness, begun = run(inflict(READ_ONLY, whole))
        proven(witness, begun)
        assert (
            "a new session of app is told default_transaction_read_only = 'on', before 'off'" in witness.how
        )
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            open_before.execute("CREATE TABLE never ()")
        run(undo_from_disk(lease, whole))
        write(whole)


@pytest.mark.parametrize("case", [READ_ONLY, HASTY], ids=name_of)
def test_what_the_file_had_before_is_there_again(case: Case, whole: Bench) -> None:
    primary, name = whole.members["db"], case[2]["setting"]
    own = {"statement_timeout": "61000", "default_transaction_read_only": "false"}[name]
    primary.execute(f"ALTER SYSTEM SET {name} = '{own}'")
    primary.execute("SELECT pg_reload_conf()")
    before = kept(whole)
    try:
        run(there_and_back(case, whole))
        assert kept(whole) == before
    finally:
        primary.execute(f"ALTER SYSTEM RESET {name}")
        primary.execute("SELECT pg_reload_conf()")


def test_a_list_of_the_file_is_given_back_as_a_list(whole: Bench) -> None:
    primary = whole.members["db"]
    primary.execute('ALTER SYSTEM SET search_path = "$user", public, "a, ""b"""')
    before = kept(whole)
    try:
        run(there_and_back(pushing("search_path", "nowhere"), whole))
        assert kept(whole) == before
    finally:
        primary.execute("ALTER SYSTEM RESET search_path")
        primary.execute("SELECT pg_reload_conf()")


@pytest.mark.parametrize("case", [READ_ONLY, HASTY], ids=name_of)
def test_its_conductor_was_killed_and_the_lease_on_disk_gives_the_file_back(
    case: Case, whole: Bench, tmp_path: Path
) -> None:
    before = kept(whole)
    lease = killed_after_applying(case, whole, tmp_path)
    assert kept(whole) != before
    for _ in range(3):
        run(undo_from_disk(lease, whole))
        assert kept(whole) == before
    run(not_seen(case, whole))
    write(whole)


@pytest.mark.parametrize(
    "case", [pushing("idle_session_timeout", "1ms"), pushing("local_preload_libraries", "none")]
)
def test_what_lets_no_session_live_is_taken_back_though_nobody_could_see_it(case: Case, whole: Bench) -> None:
    async def main() -> None:
        before = kept(whole)
        lease, witness, _ = await inflict(case, whole)
        assert kept(whole) != before
        assert witness.seen or "asked in vain" in witness.how
        await undo_from_disk(lease, whole)

    run(main())
    write(whole)


def test_a_server_that_was_restarted_meanwhile_is_put_right(whole: Bench) -> None:
    async def main() -> None:
        lease, _, _ = await inflict(HASTY, whole)
        await whole.stop("db")
        with pytest.raises(EnvironmentBroken, match="is down and its files keep"):
            await undo_from_disk(lease, whole)
        await whole.start("db")
        await undo_from_disk(lease, whole)
        await not_seen(HASTY, whole)

    run(main())
    write(whole)


def test_another_member_that_was_promoted_meanwhile_is_left_alone(bank: Bench) -> None:
    async def main() -> None:
        lease, _, _ = await inflict(READ_ONLY, bank)
        await PostgreSQL(bank.direct("db-standby"), role()).promote(20)
        for _ in range(2):
            await undo_from_disk(lease, bank)
        await not_seen(READ_ONLY, bank)

    run(main())
    assert bank.members["db-standby"].execute("SHOW default_transaction_read_only") == [("off",)]


@pytest.mark.parametrize(
    ("setting", "value", "words"),
    [
        ("max_connections", 5, "max_connections of db takes effect by a restart alone, .*postmaster.*sighup"),
        ("block_size", 5, "block_size of db takes effect by a restart alone, .*internal"),
        ("no_such_thing", "on", "db knows no setting 'no_such_thing'"),
        ("transaction_timeout", "1ms", "may end every log-in, an administrator's as well"),
        ("session_preload_libraries", "x", "app may not see session_preload_libraries"),
    ],
)
def test_what_would_change_nothing_is_refused_before_anything_is_changed(
    setting: str, value: Any, words: str, whole: Bench
) -> None:
    case = pushing(setting, value)
    with pytest.raises(CannotSet, match=words):
        run(only_look(case, whole))


def test_a_value_that_the_server_does_not_take_changes_nothing(whole: Bench) -> None:
    before = kept(whole)
    with pytest.raises(Exception, match="invalid value for parameter"):
        run(inflict(pushing("statement_timeout", "soon"), whole))
    assert kept(whole) == before


def test_what_outranks_the_file_is_named(whole: Bench) -> None:
    primary = whole.members["db"]
    primary.execute("ALTER ROLE app SET statement_timeout = '5s'")
    try:
        with pytest.raises(
            CannotSet, match="what app is told of statement_timeout on db comes from its user"
        ):
            run(only_look(HASTY, whole))
    finally:
        primary.execute("ALTER ROLE app RESET statement_timeout")


def test_a_setting_of_the_command_line_cannot_be_pushed(bank: Bench) -> None:
    async def main() -> None:
        await bank.kill("db")
        old = bank.members["db"]
        await asyncio.to_thread(await_detached, old.data)
        (old.data / "postmaster.pid").unlink()
        start = Member.start, old.data, old.address, "statement_timeout=9s"
        bank._adopt("db", await asyncio.to_thread(*start))
        with pytest.raises(CannotSet, match="comes from its command line"):
            await only_look(HASTY, bank)

    run(main())


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({}, "`truncate: TABLE`, or `setting: NAME` and `value: VALUE`"),
        ({"setting": "work_mem"}, "`truncate: TABLE`, or `setting: NAME` and `value: VALUE`"),
        ({"value": "on"}, "`truncate: TABLE`, or `setting: NAME` and `value: VALUE`"),
        ({"truncate": "t", "setting": "work_mem", "value": 1}, "one of them"),
        ({"truncate": "t", "value": 1}, "one of them"),
        ({"setting": "a; DROP", "value": 1}, "no name of a setting"),
    ],
)
def test_neither_half_a_mistake_nor_two(parameters: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        build(registry.member("faults", NAME), parameters)


@pytest.mark.parametrize("target", ["cache", "db-standby"])
def test_what_is_no_primary_of_postgresql_is_refused_by_name(target: str) -> None:
    fault = build(registry.member("faults", NAME), READ_ONLY[2])
    with pytest.raises(
        ValueError,
        match=f"{target} is the primary of no database role; known: db; no other database than PostgreSQL",
    ):
        fault.prepare(target, system(()))


async def reset(bank: Bench, on: str = "db", **parameters: Any) -> list[tuple[str, dict[str, Any]]]:
    context = Context(bank)
    await build(registry.member("responses", "reset-setting"), parameters).run([on], context)
    return context.facts


@pytest.mark.parametrize("case", [READ_ONLY, HASTY], ids=name_of)
def test_the_bank_takes_it_back_once_and_says_so(case: Case, whole: Bench) -> None:
    name = case[2]["setting"]

    async def main() -> list[Any]:
        lease, _, _ = await inflict(case, whole)
        facts = [*await reset(whole, setting=name), *await reset(whole, setting=name.upper())]
        await asyncio.to_thread(write, whole)
        await undo_from_disk(lease, whole)
        return facts

    (done, facts), again = run(main())
    assert (done, facts["setting"], facts["was"]) == ("setting-reset", name, case[2]["value"])
    assert facts["now"] in ("off", "0")
    assert again == ("nothing-to-reset", {"service": "db", "setting": name})


def test_the_bank_may_say_what_it_should_be(whole: Bench) -> None:
    async def main() -> Any:
        lease, _, _ = await inflict(HASTY, whole)
        told = await reset(whole, setting="statement_timeout", value="40s")
        await undo_from_disk(lease, whole)
        return told

    ((_, facts),) = run(main())
    assert (facts["was"], facts["now"]) == ("1ms", "40s")


def test_a_setting_that_comes_from_elsewhere_is_not_reset_by_a_word(whole: Bench) -> None:
    primary = whole.members["db"]
    primary.execute("ALTER SYSTEM SET statement_timeout = '0'")  # as it is without the file
    primary.execute("SELECT pg_reload_conf()")
    with pytest.raises(
        ResponseFailed, match="a new session of app is told statement_timeout = '0' as before"
    ):
        run(reset(whole, setting="statement_timeout"))


@pytest.mark.parametrize(
    ("on", "setting", "words"),
    [
        ((), "work_mem", "`reset-setting` acts on one member of a database role, not none"),
        (("db", "db-standby"), "work_mem", "not db, db-standby"),
        (
            ("cache",),
            "work_mem",
            "cache is no member of a database role; members: db, db-standby; no other .* PostgreSQL",
        ),
    ],
)
def test_where_nothing_can_be_reset_is_told_while_planning(
    on: tuple[str, ...], setting: str, words: str
) -> None:
    response = build(registry.member("responses", "reset-setting"), {"setting": setting})
    with pytest.raises(ValueError, match=words):
        response.check(on, system(()))


def test_a_setting_that_needs_a_restart_is_not_reset(whole: Bench) -> None:
    with pytest.raises(ResponseFailed, match="takes effect by a restart alone"):
        run(reset(whole, setting="max_connections"))


def test_a_lease_names_the_setting_as_the_server_does(whole: Bench) -> None:
    fault = build(registry.member("faults", NAME), pushing("STATEMENT_timeout", 1)[2])
    undo = run(fault.undo("db", whole))
    assert [
        step.model_dump() for step in Lease(id="1", run="r", step="s", target="db", undo=undo).undo.steps
    ] == [{"op": "setting.restore", "service": "db", "name": "statement_timeout", "value": None}]
