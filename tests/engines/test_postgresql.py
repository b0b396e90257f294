"""The PostgreSQL adapter against real servers: proofs that are proofs, deadlines that hold, books that are equal."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import duckdb
import psutil
import pytest

from chaoskit.engines.postgresql import NotPromoted, PostgreSQL
from chaoskit.engines.session import DeadlinePassed, EngineError, QueryRefused, Unreachable
from chaoskit.model.estate import Address
from tests.contracts.postgresql_pair import Member, own_address, role


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(work)


def engine(member: Member) -> PostgreSQL:
    return PostgreSQL(member.address, role())


def freeze(member: Member, number: int = signal.SIGSTOP) -> None:
    root = psutil.Process(member.process.pid)
    for one in [root, *root.children(recursive=True)]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(one.pid, number)


def test_members_say_what_they_are(primary: Member, standby: Member) -> None:
    async def ask() -> None:
        one, other = engine(primary), engine(standby)
        assert not await one.in_recovery()
        assert await other.in_recovery()
        assert await one.identity() == await other.identity()
        assert await one.timeline() == await other.timeline() == 1
        assert (await other.lag()).streaming
        assert await one.ping(2) > 0
        assert "/" in await one.lsn()

    run(ask())


def test_a_server_tells_the_time_that_it_believes_it_is(primary: Member) -> None:
    asked = time.time_ns()
    told = run(engine(primary).wall_clock_ns())
    assert asked - 1000 <= told <= time.time_ns() + 1000  # PostgreSQL keeps whole microseconds


def test_a_committed_write_is_in_the_log_and_leaves_the_books_alone(whole_primary: Member) -> None:
    async def ask() -> None:
        one = engine(whole_primary)
        before = int((await one.lsn()).replace("/", ""), 16)
        write = await one.committed_write()
        assert int((await one.lsn()).replace("/", ""), 16) > before
        assert write.took_ns > 0
        assert await one.writable()

    objects = "SELECT count(*) FROM pg_class"
    counted = whole_primary.execute(objects)
    run(ask())
    assert whole_primary.execute(objects) == counted


def test_a_commit_that_waits_for_a_missing_standby_is_no_proof(primary: Member) -> None:
    """Why the proof is a real commit: a bare transaction id would not wait, and prove a hanging member."""
    primary.execute("ALTER SYSTEM SET synchronous_standby_names = 'ghost'")
    primary.execute("SELECT pg_reload_conf()")
    # Commits wait once the checkpointer has heeded it too, which nobody tells.
    deadline = time.monotonic() + 20
    while True:
        begun = time.monotonic()
        try:
            run(engine(primary).committed_write(0.5))
        except DeadlinePassed:
            break
        assert begun < deadline, "no write ever waited"
    assert time.monotonic() - begun < 2


def test_a_standby_is_not_writable(primary: Member, standby: Member) -> None:
    assert not run(engine(standby).writable())


def test_a_member_set_read_only_is_not_writable(primary: Member) -> None:
    primary.execute("ALTER DATABASE ledger SET default_transaction_read_only = on")
    assert not run(engine(primary).writable())


def test_promotion_is_quick_and_then_it_writes(primary: Member, standby: Member) -> None:
    freeze(primary)

    async def promote() -> None:
        promotion = await engine(standby).promote(20)
        assert promotion.cleared == ""
        assert promotion.timeline == 2
        assert promotion.left_recovery_ns > promotion.asked_ns
        await engine(standby).committed_write(5)
        with pytest.raises(NotPromoted, match="not in recovery"):
            await engine(standby).promote(5)

    run(promote())


def test_an_inherited_synchronous_standby_is_cleared(primary: Member, standby: Member) -> None:
    standby.execute("ALTER SYSTEM SET synchronous_standby_names = 'ghost'")
    standby.execute("SELECT pg_reload_conf()")
    freeze(primary)

    async def promote() -> None:
        assert (await engine(standby).promote(20)).cleared == "ghost"
        await engine(standby).committed_write(5)

    run(promote())


def test_one_that_cannot_be_cleared_stops_the_promotion(database_template: Path, primary: Member) -> None:
    from tests.contracts.postgresql_pair import copy, make_standby, stop

    data = copy(database_template, "standby")
    make_standby(data, primary.address)
    member = Member.start(data, own_address(), "synchronous_standby_names=ghost")
    try:
        with pytest.raises(NotPromoted, match="command line"):
            run(engine(member).promote(20))
        assert run(engine(member).in_recovery())
    finally:
        stop(member)


def test_a_frozen_server_keeps_nobody_waiting(primary: Member) -> None:
    """Frozen before the log-in, frozen in the middle of a question, and cancelled from outside."""
    one = engine(primary)

    async def thrice() -> list[float]:
        took = []
        for work in (one.ping(0.3), one.committed_write(0.3), one.ping(30)):
            freeze(primary)
            begun = time.monotonic()
            with pytest.raises((DeadlinePassed, TimeoutError)):
                async with asyncio.timeout(0.4):
                    await work
            took.append(time.monotonic() - begun)
            freeze(primary, signal.SIGCONT)
            await one.ping(10)
        return took

    assert max(run(thrice())) < 1.5


def test_a_question_in_flight_ends_at_its_deadline_though_the_server_froze(primary: Member) -> None:
    primary.execute("CREATE TABLE slow AS SELECT 1 AS n FROM pg_sleep(0)")
    primary.execute("GRANT SELECT ON slow TO app")

    async def freeze_in_the_middle() -> float:
        query = {"slow": "SELECT n, pg_sleep(3)::text AS s FROM slow"}
        task = asyncio.create_task(engine(primary).snapshot(query, primary.data.parent, 0.6))
        await asyncio.sleep(0.3)
        freeze(primary)
        begun = time.monotonic()
        with pytest.raises(DeadlinePassed):
            await task
        return time.monotonic() - begun

    assert run(freeze_in_the_middle()) < 2
    assert not list(primary.data.parent.glob(".*"))


def test_failures_have_their_type(whole_primary: Member) -> None:
    async def ask() -> None:
        nobody = PostgreSQL(own_address(), role())
        with pytest.raises(Unreachable):
            await nobody.ping(2)
        stranger = PostgreSQL(whole_primary.address, role().model_copy(update={"password": "wrong"}))
        with pytest.raises(QueryRefused, match="password authentication failed"):
            await stranger.ping(5)
        with pytest.raises(QueryRefused) as refused:
            await engine(whole_primary).snapshot({"a": "SELECT * FROM missing"}, whole_primary.data.parent)
        assert refused.value.sqlstate == "42P01"
        silent = await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0)
        port = silent.sockets[0].getsockname()[1]
        with pytest.raises(DeadlinePassed):
            await PostgreSQL(Address("127.0.0.1", port), role()).ping(0.2)
        silent.close()

    run(ask())


def test_variables_of_the_users_shell_have_no_say(
    whole_primary: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "PGHOST": "192.0.2.1",
        "PGPORT": "1",
        "PGUSER": "nobody",
        "PGDATABASE": "none",
        "PGOPTIONS": "-c nonsense=1",
        "PGTARGETSESSIONATTRS": "standby",
    }.items():
        monkeypatch.setenv(name, value)
    assert run(engine(whole_primary).ping(5)) > 0


ODD = r"""
SELECT id, words, money::numeric(12,2) AS money, flag, free, document, day FROM (VALUES
    (1::bigint, 'plain'::text, 10.50, true, 1.5::numeric, '{"a": 1}'::jsonb, '2026-11-23'::date),
    (2, NULL, NULL, false, 12345678901234567890.125, NULL, NULL),
    (3, '', -0.01, NULL, NULL, '[]', 'infinity'),
    (4, E'quote " comma , newline \n backslash \\N \\.', 0, true, 0, '"x"', '0001-01-01')
) AS t (id, words, money, flag, free, document, day) ;  -- the end
"""


def test_a_snapshot_keeps_types_and_values(whole_primary: Member, tmp_path: Path) -> None:
    taken = run(
        engine(whole_primary).snapshot({"odd": ODD, "none": "SELECT 1::int AS n WHERE false"}, tmp_path)
    )
    assert taken.rows == {"odd": 4, "none": 0}
    table = duckdb.sql(f"SELECT * FROM '{tmp_path}/odd.parquet' ORDER BY id")
    kinds = dict(zip(table.columns, map(str, table.types), strict=True))
    assert kinds["id"] == "BIGINT"
    assert kinds["money"] == "DECIMAL(12,2)"
    assert kinds["free"] == "DECIMAL(38,3)"
    assert kinds["flag"] == "BOOLEAN"
    words = [row[1] for row in table.fetchall()]
    assert words == ["plain", None, "", 'quote " comma , newline \n backslash \\N \\.']
    [(total,)] = duckdb.sql(f"SELECT sum(money) FROM '{tmp_path}/odd.parquet'").fetchall()
    assert str(total) == "10.49"
    assert str(duckdb.sql(f"SELECT * FROM '{tmp_path}/none.parquet'").types[0]) == "INTEGER"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["none.parquet", "odd.parquet"]


def test_equal_books_have_equal_digests_on_both_members_and_others_do_not(
    primary: Member, standby: Member, tmp_path: Path
) -> None:
    primary.execute("CREATE TABLE book AS SELECT g AS id, g * 7 AS amount FROM generate_series(1, 2000) AS g")
    primary.execute("GRANT SELECT ON book TO app")

    async def digests() -> list[str]:
        one, other = engine(primary), engine(standby)
        target = int((await one.lsn()).replace("/", ""), 16)
        while int((await other.lsn()).replace("/", ""), 16) < target:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.02)
        queries = {"book": "SELECT * FROM book"}
        first = await one.snapshot(queries, tmp_path / "a")
        # Another order and another place of the rows are the same books.
        second = await other.snapshot({"book": "SELECT * FROM book ORDER BY amount DESC"}, tmp_path / "b")
        await asyncio.to_thread(primary.execute, "UPDATE book SET amount = amount + 1 WHERE id = 1000")
        third = await one.snapshot(queries, tmp_path / "c")
        assert first.in_recovery is False
        assert second.in_recovery is True
        return [first.digest, second.digest, third.digest]

    first, second, third = run(digests())
    assert first == second != third


def test_one_snapshot_is_one_instant(primary: Member, tmp_path: Path) -> None:
    """REPEATABLE READ: the second query does not see what was committed while the first one ran."""
    primary.execute("CREATE TABLE book (n int)")
    primary.execute("INSERT INTO book VALUES (1)")
    primary.execute("GRANT SELECT ON book TO app")
    queries = {"a": "SELECT n, pg_sleep(0.7)::text AS s FROM book", "b": "SELECT n FROM book"}

    async def write_meanwhile() -> Any:
        task = asyncio.create_task(engine(primary).snapshot(queries, tmp_path))
        copying = "SELECT 1 FROM pg_stat_activity WHERE query LIKE 'COPY%'"
        while not await asyncio.to_thread(primary.execute, copying):  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.01)
        await asyncio.to_thread(primary.execute, "INSERT INTO book VALUES (2)")
        return await task

    assert run(write_meanwhile()).rows == {"a": 1, "b": 1}
    assert run(engine(primary).snapshot({"b": queries["b"]}, tmp_path)).rows == {"b": 2}


@pytest.mark.parametrize("query", ["SELECT 1 AS a, 2 AS a", "DELETE FROM pg_class", "", "SELECT 1; SELECT 2"])
def test_a_query_that_is_none_is_refused_and_leaves_nothing(
    query: str, whole_primary: Member, tmp_path: Path
) -> None:
    with pytest.raises(EngineError):
        run(engine(whole_primary).snapshot({"bad": query}, tmp_path))
    assert list(tmp_path.iterdir()) == []
