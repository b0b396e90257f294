"""Mistakes in journeys by SQL and by class, and in their books: each told at its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaoskit import spec
from chaoskit.errors import InputError
from tests.spec import sample_files
from tests.spec.fake_members import FakeRegistry

SQL = """\
  transfer:
    sql: {on: database, statement: "INSERT INTO t VALUES ({key}, {amount.minor})"}
    draw: {amount: {between: ["1 CNY", "2 CNY"]}}
    books: ledger
    good: {within: 1s}
    refused: {sqlstate: ["23", "22001"]}
"""
CLASS = """\
  transfer:
    class: own.py:Own
    on: app:6379
    with: {queue: orders}
    books: ledger
    good: {within: 1s}
"""
BOOKS = "  ledger: {on: database, entries: entries.sql, balances: entries.sql}\n"
OWN_BOOKS = "  ledger: {class: own.py:Own, on: app}\n"
MISTAKES = [
    (SQL, BOOKS, "on: database, s", "on: databse, s", "no service is called 'databse'"),
    (SQL, BOOKS, "on: database, s", "on: app, s", "`database` is missing"),
    (SQL, BOOKS, "({key}", "('{key}'", "'{key}' stands in quotes"),
    (SQL, BOOKS, "{amount.minor}", "{amuont}", "'{amuont}' is not drawn"),
    (SQL, BOOKS, "within: 1s", "within: 1s, status: 200", "a journey by `sql` has no status"),
    (SQL, BOOKS, '"22001"', '"22x"', "'22x' is no SQLSTATE"),
    (SQL, BOOKS, "    books", "    json: {}\n    books", "a journey by `sql` has no `json`"),
    (SQL, BOOKS, "entries: entries.sql, ", "", "`entries` is missing"),
    (SQL, BOOKS, "balances:", "keys: entries.sql, balances:", "`keys` is for a system without a ledger"),
    (CLASS, BOOKS, "own.py:Own", "own.py:Onw", "own.py defines no class 'Onw'; it has: Own"),
    (CLASS, BOOKS, "own.py:Own", "none.py:Own", "none.py: No such file or directory"),
    (CLASS, BOOKS, "own.py:Own", "no-such-package-here:Own", "no package is called 'no-such-package-here'"),
    (CLASS, BOOKS, "    on: app:6379\n", "", "`on` is missing"),
    (CLASS, BOOKS, "app:6379", "app:redis", "'redis' is no port"),
    (CLASS, BOOKS, "app:6379", "db:6379", "customers reach `db` over no link"),
    (CLASS, OWN_BOOKS, ", on: app}", ", on: ap}", "no service is called 'ap'"),
    (CLASS, OWN_BOOKS, ", on: app}", ", keys: entries.sql}", "books by `class` have no `keys`"),
]


def system(journey: str, books: str) -> str:
    text = sample_files.SYSTEM
    start, end = text.index("  transfer:\n"), text.index("  balance:\n")
    return (text[:start] + journey + text[end:]).replace(BOOKS, books)


def write(folder: Path, text: str) -> Path:
    (folder / "own.py").write_text(
        "raise RuntimeError('nobody may run this while planning')\n\nclass Own: ...\n"
    )
    return sample_files.write(folder, system=text)


def test_a_role_says_where_and_as_whom(tmp_path: Path) -> None:
    loaded = spec.load(
        write(
            tmp_path,
            system(SQL, BOOKS).replace("  - customers -> app", "  - customers -> db\n  - customers -> app"),
        ),
        FakeRegistry(),
        {},
    )
    sql = loaded.system.journeys["transfer"].sql
    assert sql is not None
    assert (sql.on, sql.database, sql.user, sql.port) == ("db", "bank", "app", 5432)


@pytest.mark.parametrize("books", [BOOKS, OWN_BOOKS])
def test_a_class_is_found_and_not_run(tmp_path: Path, books: str) -> None:
    journey = spec.load(write(tmp_path, system(CLASS, books)), FakeRegistry(), {}).system.journeys["transfer"]
    assert (journey.kind, journey.service, journey.port) == ("class", "app", 6379)


@pytest.mark.parametrize(
    ("journey", "books", "old", "new", "says"), MISTAKES, ids=[m[-1][:40] for m in MISTAKES]
)
def test_one_mistake_is_told(tmp_path: Path, journey: str, books: str, old: str, new: str, says: str) -> None:
    text = system(journey, books)
    assert old in text
    with pytest.raises(InputError) as caught:
        spec.load(write(tmp_path, text.replace(old, new, 1)), FakeRegistry(), {})
    assert any(says in str(problem) for problem in caught.value.problems), "\n".join(
        map(str, caught.value.problems)
    )
