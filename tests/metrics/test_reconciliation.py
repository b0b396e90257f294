"""Reconciliation: planted violations are found with exact counts, at every size."""

from __future__ import annotations

import time
from pathlib import Path

import duckdb
import pytest

from chaoskit.metrics.book_counts import counts
from chaoskit.metrics.reconciliation import RULES, BooksUnreadable, ledger, sql, violations
from tests.metrics.planted import plant


def check(folder: Path, n: int) -> None:
    planted = plant(folder, n)
    with ledger(folder / "operations.parquet", folder / "books") as base:
        found = {v.rule: v for v in violations(base)}
        assert {rule: v.count for rule, v in found.items()} == planted
        assert all(len(v.cases) == v.count for v in found.values())
        lost = [row[0] for row in base.execute(sql("lost")).fetchall()]
        assert lost == [f"k{i}" for i in range(100, 107)]
        told = counts(base)
        assert told["transactions"] == n - 7 + 5
        assert told["acknowledged"] == n - 6 - 2
        assert told["refused"] == 6
        assert told["misused"] == 9


def test_planted_violations_are_found_exactly(tmp_path: Path) -> None:
    check(tmp_path, 20_000)


def test_planted_violations_are_found_among_a_million(tmp_path: Path) -> None:
    check(tmp_path, 1_000_000)


@pytest.mark.slow
def test_planted_violations_are_found_among_five_million(tmp_path: Path) -> None:
    begun = time.monotonic()
    check(tmp_path, 5_000_000)
    print(f"5 M transactions: {time.monotonic() - begun:.1f} s with making them")


@pytest.fixture
def small(tmp_path: Path) -> Path:
    plant(tmp_path, 1_000)
    return tmp_path


def test_operations_from_before_used_keys_were_sent_with_another_payload(small: Path) -> None:
    with duckdb.connect() as base:
        base.execute(
            f"COPY (SELECT * EXCLUDE other FROM read_parquet('{small}/operations.parquet') WHERE NOT other) "
            f"TO '{small}/older.parquet' (FORMAT parquet)"
        )
    with ledger(small / "older.parquet", small / "books") as base:
        assert "another-payload" not in {v.rule for v in violations(base)}
        assert counts(base)["misused"] == 0


def test_a_key_that_was_acknowledged_twice_and_posted_twice_is_doubled(small: Path) -> None:
    # Both sides have the same rows, so that nothing shows in bulk: such keys must never be compared that way.
    with duckdb.connect() as base:
        for path, again in (
            (small / "operations.parquet", "key = 'k960' AND NOT other"),
            (small / "books/transactions.parquet", "key = 'k960'"),
        ):
            base.execute(f"CREATE OR REPLACE TABLE t AS FROM read_parquet('{path}')")
            base.execute(f"INSERT INTO t SELECT * FROM t WHERE {again}")
            base.execute(f"COPY t TO '{path}' (FORMAT parquet)")
    with ledger(
        small / "operations.parquet", small / "books", parties={"transfer": ("payer", "payee")}
    ) as base:
        doubled = next(v for v in violations(base) if v.rule == "doubled")
    assert "key k960 has 2 transactions" in doubled.cases
    assert doubled.count == 6


def test_every_rule_has_its_file_and_every_file_its_rule() -> None:
    for rule in RULES:
        assert sql(f"rules/{rule}").startswith("-- ")
    root = Path(__file__).parents[2] / "chaoskit/metrics/sql/rules"
    assert {path.stem for path in root.glob("*.sql")} == set(RULES)


def test_a_system_without_holds_or_transactions(small: Path) -> None:
    (small / "books/holds.parquet").unlink()
    (small / "books/transactions.parquet").unlink()
    with ledger(small / "operations.parquet", small / "books") as base:
        found = {v.rule: v.count for v in violations(base)}
    assert "dangling-hold" not in found
    assert found["doubled"] == 5


def test_a_missing_table_is_named(small: Path) -> None:
    (small / "books/entries.parquet").unlink()
    with (
        pytest.raises(BooksUnreadable, match="entries"),
        ledger(small / "operations.parquet", small / "books"),
    ):
        pass


def test_a_missing_column_is_named(small: Path) -> None:
    with duckdb.connect() as base:
        path = small / "books/balances.parquet"
        base.execute(f"CREATE TABLE b AS SELECT account, currency, balance FROM read_parquet('{path}')")
        base.execute(f"COPY b TO '{path}' (FORMAT parquet)")
    with (
        pytest.raises(BooksUnreadable, match=r"balances\.parquet lacks the column opening"),
        ledger(small / "operations.parquet", small / "books"),
    ):
        pass


def test_a_folder_name_is_no_pattern(tmp_path: Path) -> None:
    folder = tmp_path / "a [b] *'?"
    folder.mkdir()
    planted = plant_beside(tmp_path, folder)
    with ledger(folder / "operations.parquet", folder / "books") as base:
        assert {v.rule: v.count for v in violations(base)} == planted


def plant_beside(tmp_path: Path, folder: Path) -> dict[str, int]:
    plain = tmp_path / "plain"
    plain.mkdir()
    planted = plant(plain, 1_000)
    for path in plain.iterdir():
        path.rename(folder / path.name)
    return planted


@pytest.mark.parametrize(
    ("kind", "giving"),
    [
        ("DECIMAL(20,4)", "-100.4"),
        ("DOUBLE", "-100.4"),
        ("VARCHAR", "'-100.4'"),
        ("DOUBLE", "-9007199254740994"),
    ],
)
def test_amounts_that_are_no_whole_minor_units_are_not_rounded(small: Path, kind: str, giving: str) -> None:
    """−100.40 and +100.30 would both be 100."""
    entries = small / "books" / "entries.parquet"
    with duckdb.connect() as base:
        base.execute(
            f"CREATE TABLE e AS SELECT * REPLACE (amount::{kind} AS amount) FROM read_parquet('{entries}')"
        )
        base.execute(f"UPDATE e SET amount = {giving}::{kind} WHERE entry_id = (SELECT min(entry_id) FROM e)")
        base.execute(f"COPY e TO '{entries}' (FORMAT parquet)")
    with (
        pytest.raises(
            BooksUnreadable, match=r"entries\.parquet: the amount -\S+ is no whole number of minor units"
        ),
        ledger(small / "operations.parquet", small / "books"),
    ):
        pass


@pytest.mark.parametrize("table", ["entries", "before"])
def test_entries_without_an_id_cannot_be_judged(small: Path, table: str) -> None:
    """As they were before the fault they would be compared with nothing."""
    entries = small / "books" / "entries.parquet"
    with duckdb.connect() as base:
        base.execute(f"CREATE TABLE e AS FROM read_parquet('{entries}')")
        base.execute("UPDATE e SET entry_id = NULL WHERE entry_id = (SELECT min(entry_id) FROM e)")
        place = small if table == "before" else small / "books"
        base.execute(f"COPY e TO '{place / table}.parquet' (FORMAT parquet)")
    with (
        pytest.raises(BooksUnreadable, match=rf"^{table}\.parquet: there are rows without entry_id"),
        ledger(small / "operations.parquet", small / "books"),
    ):
        pass


@pytest.mark.parametrize("kind", ["DECIMAL(20,4)", "DECIMAL(38,0)", "DOUBLE", "VARCHAR"])
def test_whole_amounts_of_any_type_are_what_they_are(small: Path, kind: str) -> None:
    with ledger(small / "operations.parquet", small / "books") as base:
        right = violations(base)
    entries = small / "books" / "entries.parquet"
    with duckdb.connect() as base:
        base.execute(
            f"CREATE TABLE e AS SELECT * REPLACE (amount::{kind} AS amount) FROM read_parquet('{entries}')"
        )
        base.execute(f"COPY e TO '{entries}' (FORMAT parquet)")
    with ledger(small / "operations.parquet", small / "books") as base:
        assert violations(base) == right
