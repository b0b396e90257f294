"""Reads against the books: was what a customer was shown true, and no older than what he had been told was done?

acknowledged writes ─┐ running maximum of the account's entry, by when they were acknowledged
                     ├──► reads/stale.sql  a read that was sent later and is as of an earlier entry
reads ───────────────┤
entries, openings ───┴──► reads/wrong.sql  a balance that is not opening + entries up to its position
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from decimal import Decimal, DecimalException
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic_core import to_json

from chaoskit.metrics.reconciliation import CASES_MAX, scalar, sql
from chaoskit.metrics.sound_columns import INTEGERS
from chaoskit.model.history import Operation
from chaoskit.model.journey import Read
from chaoskit.model.measurement import Violation
from chaoskit.model.system import System

if TYPE_CHECKING:
    import duckdb


RULES = ("stale-read", "wrong-read")
AGE_MAX_S = 10**9
"""Older than any run: more is the same."""
_MINOR_MAX = 10**26
"""More than there is of any money; decimal arithmetic is exact below it."""
_POSITION_MAX = 2**63
_NUMBERS = (*INTEGERS, "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "HUGEINT", "FLOAT", "DOUBLE")
_COLUMNS = {
    "key": "VARCHAR",
    "journey": "VARCHAR",
    "account": "VARCHAR",
    "sent": "BIGINT",
    "done": "BIGINT",
    "position": "BIGINT",
    "value": "HUGEINT",
    "age": "BIGINT",
    "unsaid": "BOOLEAN",
    "odd": "BOOLEAN",
}


_APART = """SELECT count(*) FROM (SELECT account, position FROM reads WHERE position <> 0) AS r
    ANTI JOIN entries AS e ON r.position = e.entry_id AND r.account = e.account"""


def judged_reads(system: System) -> dict[str, str]:
    """Journeys whose reads can be judged → the books they are judged against: those that record a position."""
    alone = next(iter(system.books)) if len(system.books) == 1 else None
    found = {}
    for name, journey in system.journeys.items():
        books = journey.read.books or alone
        if journey.read.position is not None and books is not None and account_of(system, name) is not None:
            found[name] = books
    return found


def account_of(system: System, journey: str) -> str | None:
    """The drawn value that says whose account a journey reads: as declared, else the only one that it draws."""
    spec = system.journeys[journey]
    return spec.read.of or (next(iter(spec.draw)) if len(spec.draw) == 1 else None)


def write_reads(operations: Iterable[Operation], system: System, books: str, target: Path) -> None:
    """One JSON line for each acknowledged read of these books; a position that is no number is left out."""
    wanted = {name: system.journeys[name].read for name, own in judged_reads(system).items() if own == books}
    with target.open("wb") as file:
        for operation in operations:
            spec = wanted.get(operation.journey)
            if spec is None or operation.outcome != "ok" or operation.sent is None or operation.done is None:
                continue
            row = _row(operation, spec, account_of(system, operation.journey))
            if row is not None:
                file.write(to_json(row) + b"\n")


def _row(operation: Operation, spec: Read, account: str | None) -> Mapping[str, Any] | None:
    whose = operation.values.get(account or "")
    position = operation.read.get("position")
    if whose is None or isinstance(position, bool) or not isinstance(position, int | None):
        return None
    if position is not None and not -_POSITION_MAX <= position < _POSITION_MAX:
        return None
    value = operation.read.get("value")
    minor = _minor(value)
    return {
        "key": operation.key,
        "journey": operation.journey,
        "account": whose,
        "sent": operation.sent,
        "done": operation.done,
        # Before its first entry an account is as of nothing.
        "position": position or 0,
        "value": minor,
        "age": _age_ns(operation.read.get("age")) if spec.age is not None else None,
        "unsaid": position is None,
        "odd": value is not None and minor is None,
    }


def _age_ns(age: Any) -> int | None:
    """How old an answer says that it is; None for what is no number of seconds: such a word excuses nothing."""
    if isinstance(age, bool) or not isinstance(age, int | float) or not math.isfinite(age) or age < 0:
        return None
    return int(min(age, AGE_MAX_S) * 1e9)


def _minor(value: Any) -> int | None:
    """An amount with two decimals in minor units; None for what is no such amount."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        minor = Decimal(str(value)) * 100
    except DecimalException:
        return None
    small = minor.is_finite() and abs(minor) < _MINOR_MAX
    return int(minor) if small and minor == minor.to_integral_value() else None


def read_violations(
    base: duckdb.DuckDBPyConnection, reads: Path, since: int
) -> tuple[tuple[Violation, ...], dict[str, int]]:
    """(violations, counts). reads: those of accounts that had been written before, which could have been stale;
    marked-stale: answers that said how old they were. Only if there are any: odd-values, of `reads` those that showed a
    balance that is no amount; unplaced-reads, whose position is no entry of their account and whose balance is not
    what it had by then; unnumbered-reads, which would have been judged but for `since`; unordered-reads, all,
    where entries have no numbers for ids, so that no position can be one.

    `since`: reads sent before it (ns) are not held against the books' numbers. After a loss entries are given numbers
    anew, and what an old number meant cannot be known.
    """
    nothing = {"reads": 0, "marked-stale": 0}
    if not reads.stat().st_size:
        return (), nothing
    columns = ", ".join(f"'{name}': '{kind}'" for name, kind in _COLUMNS.items())
    place = "'" + str(reads).replace("'", "''") + "'"
    base.execute(
        f"CREATE OR REPLACE TABLE reads AS SELECT * FROM read_json({place}, format = 'newline_delimited', "
        f"columns = {{{columns}}})"
    )
    if not _numbered(base):
        return (), nothing | {"unordered-reads": scalar(base, "SELECT count(*) FROM reads")}
    base.execute(sql("reads/written"))
    found = []
    base.execute(f"CREATE OR REPLACE TEMP TABLE numbered AS SELECT {since}::BIGINT AS since")
    for rule, name in zip(RULES, ("reads/stale", "reads/wrong"), strict=True):
        base.execute(f"CREATE OR REPLACE TEMP TABLE found AS {sql(name)}")
        if count := scalar(base, "SELECT count(*) FROM found"):
            cases = base.execute("SELECT detail FROM found LIMIT ?", [CASES_MAX]).fetchall()
            found.append(Violation(rule=rule, count=count, cases=tuple(str(row[0]) for row in cases)))
    marked = scalar(base, f"SELECT count(*) FROM reads WHERE age IS NOT NULL AND sent >= {since}")
    told: Any = base.execute(sql("reads/judged")).fetchone()
    judged, unnumbered, odd = map(int, told)
    apart = scalar(base, _APART) and scalar(base, f"SELECT count(*) FROM ({sql('reads/unplaced')})")
    more = {"unnumbered-reads": unnumbered, "odd-values": odd, "unplaced-reads": apart}
    return tuple(found), {"reads": judged, "marked-stale": marked} | {
        n: count for n, count in more.items() if count
    }


def _numbered(base: duckdb.DuckDBPyConnection) -> bool:
    kinds = {str(row[0]): str(row[1]) for row in base.execute("DESCRIBE entries").fetchall()}
    return kinds["entry_id"] in _NUMBERS or kinds["entry_id"].startswith("DECIMAL")
