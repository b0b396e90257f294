"""Large books with violations of every kind planted in them, made by SQL.

The violations are among the first thousand transfers; those after them are sound, and go to disk without passing
through tables, so that a hundred million can be made.
"""

from __future__ import annotations

from pathlib import Path

import duckdb

PLANTED = 1_000
ELSEWHERE = 10**12
"""Added to a number to have one that nothing else has."""


def _transfers(lo: int, hi: int, accounts: int) -> str:
    return f"""SELECT i::BIGINT AS transaction_id, 'k' || i AS key, 'client' AS source,
        'A' || (i % {accounts}) AS from_account, 'B' || (i % {accounts}) AS to_account,
        (100 + i % 50)::BIGINT AS amount, 'CNY' AS currency, 'h' || i AS payload_hash
        FROM range({lo}, {hi}) t(i)"""


_SENT = """SELECT key, 'transfer' AS journey, false AS tap, false AS other, transaction_id * 1000 AS sent,
    sent + 500 AS done, 'ok' AS outcome, payload_hash, amount, currency,
    json_object('payer', from_account, 'payee', to_account) AS "values" """
_LEGS = """SELECT (2 * transaction_id + leg + 1)::BIGINT AS entry_id, transaction_id, key,
    CASE leg WHEN 0 THEN from_account ELSE to_account END AS account,
    CASE leg WHEN 0 THEN -amount ELSE amount END AS amount, currency"""


def plant(folder: Path, n: int, accounts: int = 100) -> dict[str, int]:
    """Books of n ≥ 1000 transfers between `accounts` payers and as many payees, with their operations, every kind
    of violation planted; returns rule → how many."""
    books = folder / "books"
    books.mkdir()
    with duckdb.connect(config={"temp_directory": str(folder / "spill")}) as base:
        base.execute("SET enable_progress_bar = false")
        base.execute(f"CREATE TABLE tx AS {_transfers(0, PLANTED, accounts)}")
        base.execute(f"CREATE TABLE operations AS {_SENT} FROM tx")
        # 7 lost, 5 doubled, 3 with another amount, 2 with another party, 4 with another payload,
        # 6 refused but posted, 2 that nobody asked for
        base.execute("DELETE FROM tx WHERE transaction_id BETWEEN 100 AND 106")
        base.execute(
            f"INSERT INTO tx SELECT transaction_id + {ELSEWHERE}, * EXCLUDE transaction_id FROM tx "
            "WHERE transaction_id BETWEEN 200 AND 204"
        )
        base.execute("UPDATE tx SET amount = amount + 1 WHERE transaction_id BETWEEN 300 AND 302")
        base.execute("UPDATE tx SET to_account = 'A7' WHERE transaction_id BETWEEN 400 AND 401")
        base.execute("UPDATE tx SET payload_hash = 'other' WHERE transaction_id BETWEEN 500 AND 503")
        base.execute("UPDATE operations SET outcome = 'fail' WHERE sent BETWEEN 600000 AND 605000")
        base.execute("DELETE FROM operations WHERE sent BETWEEN 700000 AND 701000")
        # 4 used keys that were acknowledged for another payload, and 5 that were refused
        base.execute(
            """INSERT INTO operations SELECT * REPLACE (true AS tap, true AS other, sent + 900 AS sent,
               done + 900 AS done, amount + 7 AS amount, 'another' AS payload_hash,
               CASE WHEN sent < 604000 + 1000 THEN 'ok' ELSE 'fail' END AS outcome)
               FROM operations WHERE sent BETWEEN 601000 AND 609000"""
        )
        base.execute(f"CREATE TABLE entries AS {_LEGS} FROM tx, range(2) t(leg)")
        # 8 one-legged, which are also unbalanced; 3 more unbalanced
        base.execute("DELETE FROM entries WHERE transaction_id BETWEEN 800 AND 807 AND amount > 0")
        base.execute(
            "UPDATE entries SET amount = amount + 1 WHERE transaction_id BETWEEN 810 AND 812 AND amount > 0"
        )
        # every sum right, and yet money moved otherwise than its transaction says: 4 twice, 3 by half, 2 to another
        # account, and 2 by entries of no transaction
        base.execute(
            f"INSERT INTO entries SELECT entry_id + {2 * ELSEWHERE}, * EXCLUDE entry_id FROM entries "
            "WHERE transaction_id BETWEEN 820 AND 823"
        )
        base.execute("UPDATE entries SET amount = amount // 2 WHERE transaction_id BETWEEN 830 AND 832")
        base.execute(
            "UPDATE entries SET account = 'A3' WHERE transaction_id BETWEEN 840 AND 841 AND amount > 0"
        )
        base.execute(
            f"INSERT INTO entries SELECT * REPLACE (entry_id + {4 * ELSEWHERE} AS entry_id, NULL AS key, "
            f"transaction_id + {4 * ELSEWHERE} AS transaction_id) FROM entries WHERE transaction_id BETWEEN 850 AND 851"
        )
        base.execute(f"CREATE VIEW more AS {_transfers(PLANTED, n, accounts)}")
        base.execute(f"CREATE VIEW more_entries AS {_LEGS} FROM more, range(2) t(leg)")
        base.execute(
            """CREATE TABLE balances AS SELECT account, 'CNY' AS currency, 1000000::BIGINT AS opening,
               (1000000 + sum(amount))::BIGINT AS balance FROM (SELECT account, amount FROM entries
               UNION ALL SELECT account, amount FROM more_entries) GROUP BY account"""
        )
        base.execute("UPDATE balances SET balance = balance + 5 WHERE account IN ('A1', 'A2')")
        base.execute(
            """CREATE TABLE holds AS SELECT i::BIGINT AS hold_id, 'k' || (900 + i) AS key,
               CASE WHEN i < 9 THEN 'reserved' ELSE 'posted' END AS state, 100::BIGINT AS amount, 'CNY' AS currency
               FROM range(20) t(i)"""
        )
        # 40 slips of two pads, keyed in: one row of serials and one serial missing, one used twice; one slip without a
        # transaction, two whose key has several or was posted online
        base.execute("UPDATE tx SET source = 'manual' WHERE transaction_id BETWEEN 10 AND 49")
        base.execute(
            """CREATE TABLE paper AS SELECT 'P' || (i % 2) AS pad, (i // 2)::BIGINT AS serial, 'k' || i AS key
               FROM range(10, 50) t(i) WHERE i NOT IN (20, 22, 31)"""
        )
        base.execute("INSERT INTO paper VALUES ('P0', 6, 'k200'), ('P0', 25, 'k60'), ('P1', 25, 'nobody')")
        # 24 cycles of four systems: 3 in which one says otherwise, 2 of which one says nothing
        base.execute(
            """CREATE TABLE cycles AS SELECT 'cycle-' || c AS cycle, system, 'CNY' AS currency,
               (c * 1000)::BIGINT AS total
               FROM range(24) t(c), unnest(['core', 'payments', 'atm', 'clearing']) u(system)"""
        )
        base.execute(
            "UPDATE cycles SET total = total + 1 WHERE system = 'atm' AND total BETWEEN 3000 AND 5000"
        )
        base.execute("DELETE FROM cycles WHERE system = 'clearing' AND total IN (8000, 9000)")
        # the entries of the first tenth, as they were before the fault: since then 3 were changed and 2 are gone
        base.execute(
            f"CREATE TABLE before AS SELECT * FROM entries WHERE transaction_id < {n // 10} ORDER BY entry_id"
        )
        base.execute(
            "UPDATE before SET amount = amount + 1 WHERE transaction_id BETWEEN 50 AND 52 AND amount > 0"
        )
        base.execute(
            f"INSERT INTO before SELECT * REPLACE (entry_id + {8 * ELSEWHERE} AS entry_id) FROM before "
            "WHERE transaction_id = 53"
        )
        rest = {
            books / "entries": "FROM more_entries",
            folder / "before": f"FROM more_entries WHERE transaction_id < {n // 10}",
            books / "transactions": "FROM more",
            folder / "operations": f"{_SENT} FROM more",
        }
        base.execute("ALTER TABLE tx RENAME TO transactions")
        for table in (
            "entries",
            "transactions",
            "balances",
            "holds",
            "paper",
            "cycles",
            "before",
            "operations",
        ):
            path = (folder if table in ("operations", "before") else books) / table
            rows = f"FROM {table}" + (f" UNION ALL ({rest[path]})" if path in rest else "")
            base.execute(f"COPY ({rows}) TO '{path}.parquet' (FORMAT parquet)")
    return {
        "one-legged": 8,
        "unbalanced": 11,
        "entries-differ": 8 + 3 + 4 + 3 + 2 + 2,
        "stored-balance": 2,
        "total": 1,
        "unasked": 2,
        "doubled": 5,
        "refused-but-posted": 6,
        "amount-differs": 3,
        "parties-differ": 2,
        "payload-differs": 4,
        "another-payload": 4,
        "dangling-hold": 9,
        "hold-and-posting": 9,
        "paper-serials": 3,
        "paper-postings": 3,
        "cycle-totals": 5,
        "entries-before": 5,
    }
