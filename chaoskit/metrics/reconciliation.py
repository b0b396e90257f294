"""Reconciles the surviving ledger with itself and with what customers were told, in SQL over Parquet.

    operations, transactions, entries, holds ──agreeing.sql──► odd buckets ──suspects.sql──► suspects
    suspects ──questioned.sql──► the rows in question ──► rules/*.sql, lost.sql, in_doubt.sql, holes.sql ◄── balances

What agrees is set aside, in bulk and then one by one; the rules judge what is left. The SQL files are package data, and
`chaoskit sql RUN` prints them as one script. Memory is bounded; what does not fit spills.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from chaoskit.metrics.operations_file import own_of, relation
from chaoskit.metrics.sound_columns import INTEGERS, odd_amount, unnamed
from chaoskit.model.measurement import Violation
from chaoskit.scratch import scratch

if TYPE_CHECKING:
    import duckdb

MEMORY = "1GB"
CASES_MAX = 10_000
ALL = 2**63 - 1
_ODD_COUNT = """SELECT (SELECT count(*) FROM singled_out)
    + (SELECT count(*) FROM odd_keys) * (SELECT count(*) FROM operations) // 4096"""
KEPT_MAX = 3_000_000
"""Operations that are kept to be looked at one by one, rather than read again: half of the memory, at most."""
RULES = (
    "one-legged",
    "unbalanced",
    "entries-differ",
    "stored-balance",
    "total",
    "unasked",
    "doubled",
    "refused-but-posted",
    "amount-differs",
    "parties-differ",
    "payload-differs",
    "another-payload",
    "dangling-hold",
    "hold-and-posting",
    "paper-serials",
    "paper-postings",
    "cycle-totals",
    "entries-before",
)
COLUMNS: dict[str, dict[str, str]] = {
    "entries": {
        "entry_id": "",
        "transaction_id": "",
        "key": "VARCHAR",
        "account": "VARCHAR",
        "amount": "HUGEINT",
        "currency": "VARCHAR",
    },
    "balances": {"account": "VARCHAR", "currency": "VARCHAR", "opening": "HUGEINT", "balance": "HUGEINT"},
    "holds": {
        "hold_id": "",
        "key": "VARCHAR",
        "state": "VARCHAR",
        "amount": "HUGEINT",
        "currency": "VARCHAR",
    },
    "transactions": {
        "transaction_id": "",
        "key": "VARCHAR",
        "source": "VARCHAR",
        "from_account": "VARCHAR",
        "to_account": "VARCHAR",
        "amount": "HUGEINT",
        "currency": "VARCHAR",
        "payload_hash": "VARCHAR",
    },
}
ADDED: dict[str, dict[str, str]] = {
    "paper": {"pad": "VARCHAR", "serial": "BIGINT", "key": "VARCHAR"},
    "cycles": {"cycle": "VARCHAR", "system": "VARCHAR", "currency": "VARCHAR", "total": "HUGEINT"},
    "before": COLUMNS["entries"],
}
"""Files that a snapshot may have besides: slips that were written on paper and keyed in, and what each system turned
over in a cycle; beside the folders of all members the entries as they were before the fault."""
BEFORE = "before.parquet"
_MAY_LACK = {"source", "from_account", "to_account", "payload_hash"}
KEYS = {
    "key": "VARCHAR",
    "source": "VARCHAR",
    "amount": "HUGEINT",
    "currency": "VARCHAR",
    "payload_hash": "VARCHAR",
}
"""Columns of books without a ledger: `key` alone is needed."""
WITHOUT_LEDGER = (
    *("unasked", "doubled", "refused-but-posted"),
    *("amount-differs", "payload-differs", "another-payload"),
)
"""Rules that books without a ledger can be judged by."""

STEPS = ("keys", "compared", "own_hashes", "agreeing", "odd_rows", "suspects", "questioned")
"""SQL files that are run, in this order, before any rule."""


class BooksUnreadable(Exception):
    """The snapshot's files cannot be judged; says which and why."""


def sql(name: str) -> str:
    """The text of one SQL file of this package, like `lost` or `rules/doubled`."""
    place = files("chaoskit.metrics") / "sql"
    for part in f"{name}.sql".split("/"):
        place = place / part
    return place.read_text(encoding="utf-8")


@contextmanager
def ledger(
    operations: Path,
    books: Path,
    journeys: Sequence[str] | None = None,
    parties: Mapping[str, tuple[str, str]] = MappingProxyType({}),
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckDB over one snapshot's Parquet files and the operations that belong to these books.

    `operations` is what `operations_file.write_lines` wrote, or Parquet with the same columns: those of all journeys,
    so that a transaction can be known to be nobody's; `journeys` are the ones that belong in these books, default all;
    `parties` by journey the names of the drawn values that pay and are paid. Raises BooksUnreadable.
    """
    import duckdb  # takes as long as all else that the commands which reconcile nothing import

    with scratch("reconcile") as folder:
        # Through links, because DuckDB would take '[', '*' and '?' in a folder's name for a pattern.
        ops = f"ops{operations.suffix}"
        for name, target in {"books": books, BEFORE: before_of(books), ops: operations}.items():
            (folder / name).symlink_to(target.resolve())
        with duckdb.connect(config=settings(str(folder))) as base:
            base.execute("SET enable_progress_bar = false")  # it would be printed among a command's own lines
            try:
                # Lines of JSON are read once; Parquet is read as often as it is asked for, column by column.
                kept = "VIEW" if operations.suffix == ".parquet" else "TABLE"
                source = relation(folder / f"ops{operations.suffix}")
                base.execute(f"CREATE OR REPLACE {kept} recorded AS SELECT * FROM {source}")
                prepared(base, folder / "books", own_of(journeys), "recorded", parties)
            except duckdb.Error as error:
                raise BooksUnreadable(_plain(error, str(folder))) from error
            try:
                yield base
            except duckdb.Error as error:
                raise BooksUnreadable(_plain(error, str(folder))) from error


def before_of(books: Path) -> Path:
    """Where the entries from before the fault are, if they were kept: one file, whichever member survives."""
    return books.resolve().parent / BEFORE


def violations(base: duckdb.DuckDBPyConnection) -> tuple[Violation, ...]:
    """Every rule that does not hold, in the order of RULES."""
    found = []
    for rule in RULES if scalar(base, "SELECT ledger::INTEGER FROM books_are") else WITHOUT_LEDGER:
        base.execute(f"CREATE OR REPLACE TEMP TABLE found AS {sql(f'rules/{rule}')}")
        count = scalar(base, "SELECT count(*) FROM found")
        if count:
            cases = base.execute("SELECT detail FROM found LIMIT ?", [CASES_MAX]).fetchall()
            found.append(Violation(rule=rule, count=count, cases=tuple(str(row[0]) for row in cases)))
    return tuple(found)


def scalar(base: duckdb.DuckDBPyConnection, query: str) -> int:
    """The one integer a query yields; 0 for NULL."""
    row: Any = base.execute(query).fetchone()
    return int(row[0] or 0) if row else 0


def settings(scratch: str) -> dict[str, str | bool | int | float | list[str]]:
    """DuckDB's, bounded in memory and without any access to a network; it spills into `scratch`."""
    return {
        "memory_limit": MEMORY,
        "threads": 2,
        "preserve_insertion_order": False,  # every result that is shown is ordered
        "temp_directory": f"{scratch}/spill",
        # Nothing is fetched from anywhere, whatever a file claims to need.
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }


def prepared(
    base: duckdb.DuckDBPyConnection,
    books: Path,
    own: str,
    asked: str,
    parties: Mapping[str, tuple[str, str]],
) -> None:
    """Everything before the rules: views of the files, keys, what agrees, and the rows in question. BEFORE, or a link
    to it, is beside `books`, a member's folder or a link to one."""
    # By name with nothing, because what was recorded before there was one has no such column.
    base.execute(
        "CREATE OR REPLACE VIEW operations AS "
        f'SELECT * EXCLUDE ("values"), "values"::VARCHAR AS drawn FROM {own} '
        "UNION ALL BY NAME SELECT NULL::BOOLEAN AS other, NULL::VARCHAR AS error WHERE false"
    )
    base.execute(
        "CREATE OR REPLACE TABLE parties "
        "(journey VARCHAR, payer VARCHAR, payee VARCHAR, payer_is VARCHAR, payee_is VARCHAR)"
    )
    for journey, names in parties.items():
        pointers = (f"/{_pointer(name)}" for name in names)
        base.execute(
            "INSERT INTO parties VALUES (?, ?, ?, ?, ?)",
            [journey, *pointers, *(f'"{name}":"' for name in names)],
        )
    base.execute(f"CREATE OR REPLACE VIEW all_operations AS SELECT key, sent FROM {asked}")
    only_keys = (books / "keys.parquet").exists()
    base.execute(f"CREATE OR REPLACE TABLE books_are AS SELECT {not only_keys} AS ledger")
    for table, columns in (COLUMNS | ADDED).items():
        _view(base, books, table, columns, only_keys)
    for step in STEPS:
        if step == "own_hashes":
            _compare_hashes(base)
        elif step == "odd_rows" and scalar(base, _ODD_COUNT) <= KEPT_MAX:
            base.execute(sql(step).replace("REPLACE VIEW", "REPLACE TABLE"))
        else:
            base.execute(sql(step))


def _compare_hashes(base: duckdb.DuckDBPyConnection) -> None:
    """Looks for one pair of payload hashes that agrees: among a thousand operations, then among all."""
    for at_most in (1000, ALL):
        base.execute(sql("own_hashes"), {"at_most": at_most})
        if scalar(base, "SELECT payloads::INTEGER FROM compared"):
            return


def _view(
    base: duckdb.DuckDBPyConnection, books: Path, table: str, columns: dict[str, str], only_keys: bool
) -> None:
    """The table as a view with exactly the agreed columns; those a system need not have become NULL."""
    path = books.parent / BEFORE if table == "before" else books / f"{table}.parquet"
    if only_keys and table == "transactions":
        keys = _columns(base, books / "keys.parquet", KEYS, set(KEYS) - {"key"})
        base.execute(
            "CREATE OR REPLACE VIEW transactions AS SELECT row_number() OVER () AS transaction_id, key, source, "
            "NULL::VARCHAR AS from_account, NULL::VARCHAR AS to_account, amount, currency, payload_hash "
            f"FROM ({keys})"
        )
        return
    absent = not path.exists() or (only_keys and table == "before")  # whose entries would they be?
    if absent and (table == "holds" or table in ADDED or only_keys):
        listed = ", ".join(f"NULL::{kind or 'BIGINT'} AS {name}" for name, kind in columns.items())
        nothing = "FROM entries" if table == "before" else f"SELECT {listed}"  # with ids of the same kind
        base.execute(f"CREATE OR REPLACE VIEW {table} AS {nothing} WHERE false")
        return
    if not path.exists() and table == "transactions":
        base.execute(
            "CREATE OR REPLACE VIEW transactions AS "
            "SELECT transaction_id, any_value(key) AS key, NULL::VARCHAR AS source, "
            "NULL::VARCHAR AS from_account, NULL::VARCHAR AS to_account, "
            "sum(amount) FILTER (WHERE amount > 0) AS amount, any_value(currency) AS currency, "
            "NULL::VARCHAR AS payload_hash FROM entries GROUP BY transaction_id"
        )
        return
    base.execute(f"CREATE OR REPLACE VIEW {table} AS {_columns(base, path, columns, _MAY_LACK)}")


def _columns(base: duckdb.DuckDBPyConnection, path: Path, columns: dict[str, str], may_lack: set[str]) -> str:
    if path.exists() and not path.is_file():  # DuckDB would wait for a pipe's writer
        raise BooksUnreadable(f"{path.name} is no regular file")
    described = base.execute(f"DESCRIBE SELECT * FROM read_parquet('{path}')").fetchall()
    present = {str(row[0]): str(row[1]) for row in described}
    if missing := set(columns) - set(present) - may_lack:
        raise BooksUnreadable(f"{path.name} lacks the column {', '.join(sorted(missing))}")
    if why := odd_amount(base, path, [name for name, kind in columns.items() if kind == "HUGEINT"], present):
        raise BooksUnreadable(why)
    if "entry_id" in columns and (why := unnamed(base, path, "entry_id")):
        raise BooksUnreadable(why)

    def typed(name: str, kind: str) -> str:
        if kind in ("HUGEINT", "") and present.get(name) in INTEGERS:
            kind = "BIGINT"  # four times as quick, sums are HUGEINT all the same, and equal ones hash alike
        if name not in present:
            return f"NULL::{kind} AS {name}"
        return f"{name}::{kind} AS {name}" if kind else name

    listed = ", ".join(typed(name, kind) for name, kind in columns.items())
    return f"SELECT {listed} FROM read_parquet('{path}')"


def _plain(error: Exception, scratch: str) -> str:
    return str(error).splitlines()[0].replace(f"{scratch}/", "")


def _pointer(name: str) -> str:
    """A name as one step of a JSON pointer (RFC 6901)."""
    return name.replace("~", "~0").replace("/", "~1")
