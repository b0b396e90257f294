"""The faults that change a database's rows keep the contract of all faults, on a real server."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from typing import Any

import pytest

from chaoskit import registry
from chaoskit.model.lease import Lease
from chaoskit.model.parameters import build
from tests.contracts.bench_estate import Bench, system
from tests.contracts.test_faults import Case, inflict, not_seen, proven, undo_from_disk

ROGUE: Case = ("attack.rogue-admin", "db", {"table": "books", "column": "amount", "by": 70, "rows": 2})
WRONG: Case = ("mistake.wrong-command", "db", {"truncate": "public.books"})


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(work)


@pytest.fixture
def books(whole_bank: Bench) -> Iterator[Bench]:
    """A table whose rules refuse every change."""
    primary = whole_bank.members["db"]
    primary.execute("DROP TABLE IF EXISTS books")
    primary.execute(
        "CREATE TABLE books AS SELECT n AS id, 100::bigint AS amount FROM generate_series(1, 5) AS n"
    )
    primary.execute(
        "CREATE OR REPLACE FUNCTION never() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'append-only'; END $$"
    )
    primary.execute(
        "CREATE TRIGGER never BEFORE UPDATE OR TRUNCATE ON books FOR EACH STATEMENT EXECUTE FUNCTION never()"
    )
    yield whole_bank
    primary.execute("DROP TABLE books")


def rows(bank: Bench) -> list[tuple[Any, ...]]:
    with bank.members["db"].connect() as connection:
        return connection.execute("SELECT amount FROM books ORDER BY id").fetchall()


@pytest.mark.parametrize("case", [ROGUE, WRONG], ids=["rogue-admin", "wrong-command"])
def test_seen_only_when_it_was_done_and_undone_by_nobody(case: Case, books: Bench) -> None:
    async def main() -> None:
        fault = build(registry.member("faults", case[0]), case[2])
        never = Lease(id="0", run="r", step="s", target="db", undo=await fault.undo("db", books))
        await undo_from_disk(never, books)
        await not_seen(case, books)
        lease, witness, begun = await inflict(case, books)
        proven(witness, begun)
        after = rows(books)
        for _ in range(3):
            await undo_from_disk(lease, books)
        assert rows(books) == after  # the damage is the run's own: healing gives nothing back

    run(main())
    assert rows(books) == ([] if case is WRONG else [(170,), (170,), (100,), (100,), (100,)])


def test_a_total_that_moves_by_itself_is_no_witness(books: Bench) -> None:
    async def main() -> None:
        fault = build(registry.member("faults", ROGUE[0]), ROGUE[2])
        witness = await fault.witness("db", books, ((500,), (501,)))
        assert not witness.seen
        assert "moves by itself" in witness.how

    run(main())


def test_whoever_covers_his_tracks_is_witnessed_by_every_column(books: Bench) -> None:
    async def main() -> None:
        books.members["db"].execute("ALTER TABLE books ADD COLUMN opening bigint DEFAULT 100")
        parameters = {**ROGUE[2], "also": ["opening"]}
        _, witness, begun = await inflict((ROGUE[0], "db", parameters), books)
        proven(witness, begun)
        assert "books.opening, read in another session, went from 500 to 640" in witness.how
        fault = build(registry.member("faults", ROGUE[0]), parameters)
        half = await fault.witness("db", books, ((500, 640), (500, 640)))
        assert not half.seen

    run(main())


def test_fewer_rows_than_asked_for_change_nothing(books: Bench) -> None:
    case: Case = (ROGUE[0], "db", {**ROGUE[2], "rows": 6})
    with pytest.raises(Exception, match="5 rows, not 6"):
        run(inflict(case, books))
    assert set(rows(books)) == {(100,)}


@pytest.mark.parametrize(
    ("name", "parameters", "words"),
    [
        (ROGUE[0], {**ROGUE[2], "by": 0}, "nothing would change"),
        (ROGUE[0], {**ROGUE[2], "also": ["amount"]}, "names a column twice"),
        (ROGUE[0], {**ROGUE[2], "also": ["a; DROP"]}, "no name of a table or a column"),
        (ROGUE[0], {**ROGUE[2], "column": "a; DROP"}, "no name of a table or a column"),
        (WRONG[0], {"truncate": "a.b.c"}, "no name of a table or a column"),
    ],
)
def test_parameters_that_cannot_work_are_refused(name: str, parameters: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        build(registry.member("faults", name), parameters)


@pytest.mark.parametrize("case", [ROGUE, WRONG], ids=["rogue-admin", "wrong-command"])
def test_what_is_no_primary_is_refused_while_planning(case: Case) -> None:
    fault = build(registry.member("faults", case[0]), case[2])
    with pytest.raises(ValueError, match="is the primary of no database role"):
        fault.prepare("db-standby", system(()))
