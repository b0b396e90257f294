"""The books of a run: which there are, and what became of them, found out beside whatever else is measured.

journeys, arrivals ──────────► clocks ─────────────► availability … ──► losses, books
books (another thread) ── reconciled ──► holes, doubt ─────────────────┘
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import Self

from chaoskit.metrics.loss import measure_books
from chaoskit.metrics.loss_doubt import loss_doubt, replication_of, struck_of
from chaoskit.metrics.operations_file import write_lines
from chaoskit.metrics.reads import write_reads
from chaoskit.metrics.surviving import unsure_members
from chaoskit.metrics.timeline import Timeline
from chaoskit.model.history import History
from chaoskit.model.measurement import BooksMeasure, Interval, LossMeasure
from chaoskit.scratch import scratch

Found = tuple[dict[str, LossMeasure], dict[str, BooksMeasure]]


class BooksBeside:
    """All books of a run, measured in a thread of its own: DuckDB works without the interpreter.

    Only what a loss comes to in time needs the run's clocks; they are told when they are known.
    """

    def __init__(self, history: History, timeline: Timeline) -> None:
        self._started: Future[Interval | None] = Future()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="books")
        self._found = self._thread.submit(_measured, history, timeline, self._started)

    def tell(self, started: Interval | None) -> None:
        """When the run's clocks started: [f_lo, f_hi] of the volley that hurt first."""
        self._started.set_result(started)

    def found(self) -> Found:
        """Losses and books by name, when they are known; raises what went wrong there."""
        return self._found.result()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._started.cancel()  # told nothing, because something went wrong here, it would wait for ever
        self._thread.shutdown()


def books_of(history: History) -> dict[str, tuple[str, ...]]:
    """The run's books → the journeys whose operations belong in them."""
    driven = {*history.plan.load, *(probe.journey for probe in history.plan.probes)}
    journeys = {name: history.plan.system.journeys[name].books for name in driven}
    wanted = sorted({books for books in journeys.values() if books} | {s.books for s in history.books})
    return {books: tuple(sorted(n for n, own in journeys.items() if own == books)) for books in wanted}


def parties_of(history: History) -> dict[str, tuple[str, str]]:
    """Journey → the names of the drawn values that pay and are paid, where it declares them."""
    return {
        name: (spec.parties.from_, spec.parties.to)
        for name, spec in history.plan.system.journeys.items()
        if spec.parties is not None
    }


def _measured(history: History, timeline: Timeline, started: Future[Interval | None]) -> Found:
    wanted = books_of(history)
    losses: dict[str, LossMeasure] = {}
    measures: dict[str, BooksMeasure] = {}
    if not wanted:
        return losses, measures
    after = max((r.done for r in timeline.responses if r.done is not None), default=None)
    parties = parties_of(history)
    period = min((probe.every.ns for probe in history.plan.probes), default=0)
    struck = struck_of(timeline, history.events)
    with scratch("measure") as folder:
        operations = folder / "operations.jsonl"
        write_lines(history.operations, operations, {name for own in wanted.values() for name in own})
        for books, journeys in wanted.items():
            reads = folder / "reads.jsonl"
            write_reads(history.operations, history.plan.system, books, reads)
            loss, measures[books] = measure_books(
                books,
                history.books,
                operations,
                journeys,
                started.result,
                after,
                unsure_members(books, history.events),
                reads,
                parties,
            )
            looked = tuple(
                e.n for e in history.events if e.kind == "collect.snapshot" and e.data.get("books") == books
            )
            members = replication_of(books, history.plan.system)
            doubt = loss_doubt(timeline.gaps, struck, members, period, after)
            losses[books] = loss.model_copy(update={"events": looked, **doubt})
    return losses, measures
