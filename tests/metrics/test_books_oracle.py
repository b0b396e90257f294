"""Reconciliation agrees with the plain oracle on whatever hypothesis makes of small books."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic_core import to_json

from chaoskit.metrics.reconciliation import RULES, ledger, scalar, sql
from tests.histories.builder import ADDED
from tests.metrics import books_oracle

ACCOUNTS = ["A", "B", "C", 'Q"t']
CURRENCIES = ["CNY", "EUR"]
TABLES = {
    "entries": "entry_id BIGINT, transaction_id BIGINT, key VARCHAR, account VARCHAR, amount BIGINT, currency VARCHAR",
    "transactions": "transaction_id BIGINT, key VARCHAR, source VARCHAR, from_account VARCHAR, to_account VARCHAR, "
    "amount BIGINT, currency VARCHAR, payload_hash VARCHAR",
    "balances": "account VARCHAR, currency VARCHAR, opening BIGINT, balance BIGINT",
    "holds": "hold_id BIGINT, key VARCHAR, state VARCHAR, amount BIGINT, currency VARCHAR",
    "operations": "key VARCHAR, journey VARCHAR, tap BOOLEAN, other BOOLEAN, sent BIGINT, done BIGINT, "
    'outcome VARCHAR, payload_hash VARCHAR, amount BIGINT, currency VARCHAR, "values" JSON',
    **ADDED,
}
Books = dict[str, list[dict[str, Any]]]


def _of_one_bucket(numbers: str) -> list[Any]:
    """Six numbers or keys that are compared as one bag (agreeing.sql), so that errors could cancel out."""
    with duckdb.connect() as base:
        rows = base.execute(
            f"SELECT {numbers} AS x FROM range(200_000) t(i) WHERE hash(x) % 4096 = 7 ORDER BY i"
        )
        return [row[0] for row in rows.fetchall()][:6]


TOGETHER = _of_one_bucket("i::BIGINT")
KEYS_TOGETHER = _of_one_bucket("'k' || i")


@st.composite
def books(draw: st.DrawFn) -> Books:
    """Sound books of a few transfers, then a few changes to any row of any table."""
    made: Books = defaultdict(list)
    numbers = draw(st.sampled_from([range(1, 7), TOGETHER]))
    keys = draw(st.sampled_from([[f"k{number}" for number in range(1, 7)], KEYS_TOGETHER]))
    for number in range(1, draw(st.integers(1, 6)) + 1):
        payer, payee = draw(st.permutations(ACCOUNTS))[:2]
        key, amount, currency = keys[number - 1], draw(st.integers(1, 3)), draw(st.sampled_from(CURRENCIES))
        shared = {"key": key, "amount": amount, "currency": currency}
        hashed = {**shared, "payload_hash": f"h{number}"}
        times = {
            "sent": number * 10,
            "done": number * 10 + 5,
            "tap": False,
            "other": False,
            "journey": "transfer",
        }
        values = {"payer": payer, "payee": payee}
        made["operations"].append({**hashed, **times, "outcome": "ok", "values": values})
        parties = {"from_account": payer, "to_account": payee, "source": "client"}
        made["transactions"].append({**hashed, **parties, "transaction_id": numbers[number - 1]})
        for account, moved in ((payer, -amount), (payee, amount)):
            entry = {**shared, "account": account, "amount": moved, "transaction_id": numbers[number - 1]}
            made["entries"].append({**entry, "entry_id": len(made["entries"])})
        made["holds"].append({**shared, "hold_id": number, "state": "posted"})
    for account in ACCOUNTS:
        for currency in CURRENCIES:
            moved = sum(
                e["amount"] for e in made["entries"] if (e["account"], e["currency"]) == (account, currency)
            )
            row = {"account": account, "currency": currency, "opening": 100, "balance": 100 + moved}
            made["balances"].append(row)
    made["before"] = [dict(row) for row in made["entries"][: draw(st.integers(0, len(made["entries"])))]]
    for number, row in enumerate(draw(st.permutations(made["transactions"]))[: draw(st.integers(0, 3))]):
        row["source"] = "manual"
        made["paper"].append({"pad": draw(st.sampled_from(["P", "Q"])), "serial": number, "key": row["key"]})
    for cycle in ("c1", "c2")[: draw(st.integers(0, 2))]:
        systems = ("core", "payments", "clearing")
        made["cycles"] += [{"cycle": cycle, "system": one, "currency": "CNY", "total": 7} for one in systems]
    for _ in range(draw(st.integers(0, 5))):
        _change(draw, made)
    return made


CHANGES: dict[str, dict[str, Sequence[Any]]] = {
    "operations": {
        "outcome": ["ok", "fail", "unknown"],
        "key": ["k1", "k2", "new", *KEYS_TOGETHER[:2]],
        "amount": [1, 2, None],
        "payload_hash": ["h1", "other", None],
        "sent": [None, 15],
        "other": [True],
        "values": [
            {"payer": "A", "payee": "C"},
            {"payer": "A"},
            {"payer": "C", "payee": "A"},
            {"payer": "A", "payee": "A"},
        ],
        "journey": ["deposit"],
    },
    "transactions": {
        "key": ["k1", "k2", "nobody", "", None, *KEYS_TOGETHER[:2]],
        "source": ["client", "manual", None],
        "from_account": ["A", "C", None],
        "to_account": ["A", "C"],
        "amount": [1, 2, 5, None],
        "currency": [*CURRENCIES, None],
        "payload_hash": ["h1", "other", None],
        "transaction_id": [1, 2, 77, *TOGETHER[:2]],
    },
    "entries": {
        "transaction_id": [1, 2, 88, *TOGETHER[:2]],
        "account": ACCOUNTS,
        "amount": [-3, -1, 0, 1, 2, 3, None],
        "currency": CURRENCIES,
    },
    "holds": {"state": ["posted", "reserved", "voided", None], "key": ["k1", "k2", None, KEYS_TOGETHER[0]]},
    "balances": {"balance": [99, 100, 105, None], "account": ACCOUNTS},
    "paper": {
        "serial": [0, 1, 4, None],
        "key": ["k1", KEYS_TOGETHER[0], "nobody", None],
        "pad": ["P", "Q", None],
    },
    "cycles": {"total": [6, None], "system": ["core", "atm"], "cycle": ["c3"], "currency": CURRENCIES},
    "before": {"amount": [-3, -1, 0, 1], "key": ["k1", None], "entry_id": [0, 1, 99], "account": ACCOUNTS},
}


SUMMED = {
    "operations": "amount",
    "transactions": "amount",
    "entries": "amount",
    "before": "amount",
    "balances": "balance",
}


def _change(draw: st.DrawFn, made: Books) -> None:
    table = draw(st.sampled_from(sorted(CHANGES)))
    rows = made[table]
    ways = ["set", "set", "swap", "shift", "remove", "again", "all"]
    how = draw(st.sampled_from(ways if table != "balances" else ["set", "swap", "shift"]))
    if not rows:
        return
    at = draw(st.integers(0, len(rows) - 1))
    if how == "remove":
        rows.pop(at)
    elif how == "again":
        rows.append(dict(rows[at]))
    elif how == "swap":  # what is wrong in one row is wrong the other way round in another
        other, column = draw(st.integers(0, len(rows) - 1)), draw(st.sampled_from(sorted(CHANGES[table])))
        rows[at][column], rows[other][column] = rows[other][column], rows[at][column]
    elif how == "shift" and (column := SUMMED.get(table)):  # plus one here, minus one there
        other = draw(st.integers(0, len(rows) - 1))
        if rows[at][column] is not None and rows[other][column] is not None:
            rows[at][column] += 1
            rows[other][column] -= 1
    elif how == "all" and table == "transactions":  # a system that hashes in its own way, or names no parties
        column, value = draw(
            st.sampled_from(
                [("payload_hash", "own"), ("from_account", None), ("source", None), ("currency", None)]
            )
        )
        for row in rows:
            row[column] = value
    else:
        column = draw(st.sampled_from(sorted(CHANGES[table])))
        rows[at][column] = draw(st.sampled_from(CHANGES[table][column]))


def reconciled(made: Books, parties: dict[str, tuple[str, str]]) -> dict[str, set[str]]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "books").mkdir()
        with duckdb.connect() as base:
            for table, columns in TABLES.items():
                base.execute(f"CREATE TABLE {table} ({columns})")
                lines = folder / "rows.jsonl"
                lines.write_bytes(b"\n".join(map(_line, made[table])) + b"\n")
                if made[table]:
                    base.execute(f"INSERT INTO {table} BY NAME FROM read_json('{lines}')")
                place = folder if table in ("operations", "before") else folder / "books"
                base.execute(f"COPY {table} TO '{place}/{table}.parquet' (FORMAT parquet)")
        with ledger(folder / "operations.parquet", folder / "books", parties=parties) as base:
            found = {
                rule: {str(row[0]) for row in base.execute(sql(f"rules/{rule}")).fetchall()} for rule in RULES
            }
            assert scalar(base, "SELECT count(*) FROM keys") == len(
                {o["key"] for o in made["operations"] if o["sent"] is not None and not o["other"]}
            )
            found["lost"] = {str(row[0]) for row in base.execute(sql("lost")).fetchall()}
            found["in-doubt"] = {f"{row[0]}={row[2]}" for row in base.execute(sql("in_doubt")).fetchall()}
    return {rule: subjects for rule, subjects in found.items() if subjects}


def _line(row: dict[str, Any]) -> bytes:
    # As text: DuckDB would give every object the fields that any of them has.
    return to_json({**row, "values": to_json(row["values"]).decode()} if "values" in row else row)


PARTIES = st.sampled_from([{}, {"transfer": ("payer", "payee")}])


def agrees(made: Books, parties: dict[str, tuple[str, str]]) -> None:
    tables = [made[name] for name in ("operations", "entries", "transactions", "balances", "holds")]
    assert reconciled(made, parties) == books_oracle.judge(
        *tables, parties, {name: made[name] for name in ADDED}
    )


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(books(), PARTIES)
def test_reconciliation_agrees_with_the_oracle(made: Books, parties: dict[str, tuple[str, str]]) -> None:
    agrees(made, parties)


def sound() -> Books:
    """Two transfers of one minor unit, as they should be."""
    made: Books = defaultdict(list)
    for number, (payer, payee) in enumerate((("A", "B"), ("B", "C"))):
        shared = {"key": f"k{number}", "amount": 1, "currency": "EUR", "payload_hash": f"h{number}"}
        made["operations"].append(
            {
                **shared,
                **{
                    "sent": 10,
                    "done": 15,
                    "tap": False,
                    "other": False,
                    "journey": "transfer",
                    "outcome": "ok",
                },
                "values": {"payer": payer, "payee": payee},
            }
        )
        parties = {"from_account": payer, "to_account": payee, "source": "client"}
        made["transactions"].append({**shared, **parties, "transaction_id": number})
        for account, moved in ((payer, -1), (payee, 1)):
            entry = {"key": f"k{number}", "account": account, "amount": moved, "currency": "EUR"}
            made["entries"].append({**entry, "transaction_id": number, "entry_id": len(made["entries"])})
    for account, balance in (("A", 99), ("B", 100), ("C", 101)):
        made["balances"].append({"account": account, "currency": "EUR", "opening": 100, "balance": balance})
    return made


def test_an_entry_of_nothing_is_not_taken_for_one_minor_unit() -> None:
    """DuckDB's hash of -1 as a HUGEINT is that of 0."""
    made = sound()
    assert reconciled(made, {}) == {}
    made["entries"][0]["amount"] = 0
    made["balances"][0]["balance"] = 100  # the ledger keeps its balances by its entries
    agrees(made, {})
    assert {"one-legged", "unbalanced", "entries-differ"} <= reconciled(made, {}).keys()


def test_an_entry_from_before_that_became_nothing_has_changed() -> None:
    made = sound()
    made["before"] = [dict(row) for row in made["entries"]]
    made["entries"][0]["amount"] = 0
    agrees(made, {})
    assert reconciled(made, {})["entries-before"] == {"0"}


@pytest.mark.slow
@pytest.mark.timeout(1200)
@settings(max_examples=2000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(books(), PARTIES)
def test_reconciliation_agrees_with_the_oracle_two_thousand_times(
    made: Books, parties: dict[str, tuple[str, str]]
) -> None:
    agrees(made, parties)
