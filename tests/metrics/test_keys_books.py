"""Books that are a list of keys: losses and doubles are found, and nothing is said of balances."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import pytest

from chaoskit.metrics.book_counts import counts
from chaoskit.metrics.reconciliation import BooksUnreadable, ledger, sql, violations


def told(folder: Path, outcomes: dict[str, str], amount: int | None = None) -> Path:
    lines: list[dict[str, object]] = [
        {
            "key": key,
            "journey": "order",
            "tap": False,
            "sent": number,
            "done": number + 1,
            "outcome": outcome,
            "payload_hash": None,
            "amount": amount,
            "currency": None if amount is None else "CNY",
            "values": {},
        }
        for number, (key, outcome) in enumerate(outcomes.items())
    ]
    path = folder / "own.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def keep(folder: Path, rows: str) -> Path:
    books = folder / "books"
    books.mkdir()
    with duckdb.connect() as base:
        base.execute(f"COPY ({rows}) TO '{books / 'keys.parquet'}' (FORMAT parquet)")
    return books


def test_what_is_lost_doubled_or_refused_is_found_by_key(tmp_path: Path) -> None:
    operations = told(
        tmp_path,
        {"kept": "ok", "lost": "ok", "twice": "ok", "refused": "fail", "in": "unknown", "out": "unknown"},
    )
    books = keep(tmp_path, "SELECT unnest(['kept', 'twice', 'twice', 'refused', 'in', 'older']) AS key")
    with ledger(operations, books) as base:
        assert [row[0] for row in base.execute(sql("lost")).fetchall()] == ["lost"]
        doubt = {key: how for key, _, how in base.execute(sql("in_doubt")).fetchall()}
        assert doubt == {"in": "posted", "out": "absent"}
        assert {v.rule: v.count for v in violations(base)} == {"doubled": 1, "refused-but-posted": 1}
        found = counts(base)
        assert (found["entries"], found["transactions"], found["balances"]) == (0, 6, 0)


def test_amounts_are_compared_where_both_sides_have_one(tmp_path: Path) -> None:
    operations = told(tmp_path, {"a": "ok", "b": "ok"}, amount=500)
    books = keep(
        tmp_path, "SELECT 'a' AS key, 500 AS amount, 'CNY' AS currency UNION ALL SELECT 'b', 499, 'CNY'"
    )
    with ledger(operations, books) as base:
        assert {v.rule: v.count for v in violations(base)} == {"amount-differs": 1}


def test_a_list_without_keys_is_no_book(tmp_path: Path) -> None:
    books = keep(tmp_path, "SELECT 1 AS id")
    with (
        pytest.raises(BooksUnreadable, match=r"keys.parquet lacks the column key"),
        ledger(told(tmp_path, {"a": "ok"}), books),
    ):
        pass


def test_books_that_name_no_currency_are_held_to_the_amount_alone(tmp_path: Path) -> None:
    operations = told(tmp_path, {"a": "ok", "b": "ok"}, amount=500)
    books = keep(tmp_path, "SELECT unnest(['a', 'b']) AS key, unnest([500, 499]) AS amount")
    with ledger(operations, books) as base:
        (found,) = violations(base)
        assert found.rule == "amount-differs"
        assert found.cases == ("key b: asked for 500 CNY, posted 499 -",)


def test_a_key_without_an_amount_among_others_that_have_one_is_not_as_it_was_asked_for(
    tmp_path: Path,
) -> None:
    operations = told(tmp_path, {"a": "ok", "b": "ok"}, amount=500)
    books = keep(
        tmp_path, "SELECT 'a' AS key, 500 AS amount, 'CNY' AS currency UNION ALL SELECT 'b', NULL, 'CNY'"
    )
    with ledger(operations, books) as base:
        (found,) = violations(base)
        assert found.cases == ("key b: asked for 500 CNY, posted nothing CNY",)
