"""Loss by key: what was acknowledged and is not in the surviving ledger, and what became of what was in doubt."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from chaoskit.metrics.book_counts import counts
from chaoskit.metrics.reads import read_violations
from chaoskit.metrics.reconciliation import BooksUnreadable, ledger, scalar, sql, violations
from chaoskit.metrics.second_writer import second_writers
from chaoskit.metrics.surviving import survivor_of
from chaoskit.model.history import BooksSnapshot
from chaoskit.model.measurement import BooksMeasure, Interval, LossMeasure, LostOperation, Promise

if TYPE_CHECKING:
    import duckdb


NEVER = 2**63 - 1


def measure_books(
    books: str,
    snapshots: Iterable[BooksSnapshot],
    operations: Path,
    journeys: Sequence[str],
    fault: Callable[[], Interval | None],
    after: int | None,
    unsure: Mapping[str, str],
    reads: Path | None = None,
    parties: Mapping[str, tuple[str, str]] = MappingProxyType({}),
    numbered: int = 0,
) -> tuple[LossMeasure, BooksMeasure]:
    """Loss and reconciliation of one set of books.

    `unsure`: members that may accept writes or not. `operations`: file of all operations, `journeys` those that belong
    to these books. `fault` is asked last, for [f_lo, f_hi] of the volley that hurt first; `after`: from when on the
    database was surely one again (the last response was done). `reads`: file of what was read from these books
    (`metrics.reads`); `parties`: as `reconciliation.ledger` takes them. `numbered`: since when entries have the numbers
    that they have now, ns; 0: all along, but for a loss.
    """
    snapshots = tuple(snapshots)
    survivor, writable, problems = survivor_of(books, snapshots, unsure)
    if survivor is None:
        second = second_writers(books, snapshots)
        return (
            LossMeasure(books=books, survivor=None, acknowledged=0, lost=(), problems=problems),
            BooksMeasure(books=books, survivor=None, writable=writable, violations=second, problems=problems),
        )
    try:
        with ledger(operations, survivor.folder, journeys, parties) as base:
            lost = _lost(base)
            since = max(numbered, 0 if not lost else NEVER if after is None else after)
            untrue, judged = read_violations(base, reads, since) if reads is not None else ((), {})
            measured = BooksMeasure(
                books=books,
                survivor=survivor.member,
                writable=writable,
                counts=counts(base) | judged,
                violations=(*violations(base), *untrue),
                problems=problems,
            )
            return _loss(base, books, survivor.member, lost, fault(), after, problems), measured
    except (BooksUnreadable, OSError) as error:
        why = (*problems, f"the books {books} of {survivor.member} cannot be read: {error}")
        return (
            LossMeasure(books=books, survivor=survivor.member, acknowledged=0, lost=(), problems=why),
            BooksMeasure(books=books, survivor=survivor.member, writable=writable, problems=why),
        )


def _lost(base: duckdb.DuckDBPyConnection) -> tuple[LostOperation, ...]:
    rows = base.execute(sql("lost")).fetchall()
    return tuple(
        LostOperation(key=key, journey=journey, amount=amount, currency=currency, sent=sent, done=done)
        for key, journey, amount, currency, sent, done in rows
    )


def _loss(
    base: duckdb.DuckDBPyConnection,
    books: str,
    member: str,
    lost: tuple[LostOperation, ...],
    fault: Interval | None,
    after: int | None,
    problems: tuple[str, ...],
) -> LossMeasure:
    acknowledged = dict(
        base.execute(
            "SELECT journey, count(*) FROM keys WHERE outcome = 'ok' GROUP BY journey ORDER BY journey"
        ).fetchall()
    )
    doubt = base.execute(sql("in_doubt")).fetchall()
    journeys = sorted({operation.journey for operation in lost})
    return LossMeasure(
        books=books,
        survivor=member,
        acknowledged=sum(acknowledged.values()),
        acknowledged_by_journey=acknowledged,
        lost=lost,
        amount=amounts(lost),
        rpa=recovery_point(lost, fault),
        rpa_by_journey={
            journey: point
            for journey in journeys
            if (point := recovery_point([o for o in lost if o.journey == journey], fault)) is not None
        },
        later=() if fault is None or fault.hi is None else tuple(o.key for o in lost if o.sent > fault.hi),
        in_doubt={key: resolution for key, _, resolution in doubt},
        in_doubt_by_journey={
            journey: tuple(key for key, own, _ in doubt if own == journey)
            for journey in sorted({own for _, own, _ in doubt})
        },
        holes=_holes(base, fault, after) if lost else (),
        promised=_promised(base),
        problems=problems,
    )


def _holes(
    base: duckdb.DuckDBPyConnection, fault: Interval | None, after: int | None
) -> tuple[tuple[str, str], ...]:
    # Without a fault that hurt, or a response, it was one database all along.
    before = NEVER if fault is None else fault.lo
    eras = {"before": before, "after": NEVER if after is None else after}
    return tuple((x, y) for x, y in base.execute(sql("holes"), eras).fetchall())


def _promised(base: duckdb.DuckDBPyConnection) -> tuple[Promise, ...]:
    if not scalar(base, "SELECT count(*) FROM operations WHERE outcome = 'accepted'"):
        return ()
    rows = base.execute(sql("promised")).fetchall()
    return tuple(
        Promise(
            key=key,
            journey=journey,
            amount=amount,
            currency=currency,
            sent=sent,
            done=done,
            booked=transactions > 0,
            least=least,
        )
        for key, journey, amount, currency, sent, done, transactions, least in rows
    )


def amounts(lost: Iterable[LostOperation]) -> dict[str, int]:
    """What was lost, in minor units, by currency."""
    sums: dict[str, int] = {}
    for operation in lost:
        if operation.amount is not None:
            currency = operation.currency or ""
            sums[currency] = sums.get(currency, 0) + operation.amount
    return sums


def recovery_point(lost: Sequence[LostOperation], fault: Interval | None) -> Interval | None:
    """RPA ∈ [f_lo − min_L(done), f_hi − min_L(sent)] in ns, never negative; None: nothing lost, or no fault hurt."""
    if not lost or fault is None:
        return None
    done, sent = min(o.done for o in lost), min(o.sent for o in lost)
    lo = max(0, fault.lo - done)
    hi = fault.lo if fault.hi is None else fault.hi
    return Interval(lo=lo, hi=max(lo, hi - sent))
