"""The books of a run: which there are, and what became of them, found out beside whatever else is measured.

journeys, arrivals ──────────► clocks ─────────────► availability … ──► losses, books
books (another thread) ── reconciled ──► holes ────────────────────────┘
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from chaoskit.metrics.loss import NEVER, measure_books
from chaoskit.metrics.loss_doubt import loss_doubt, replication_of, struck_of
from chaoskit.metrics.operations_file import write_lines
from chaoskit.metrics.reads import write_reads
from chaoskit.metrics.surviving import unsure_members
from chaoskit.metrics.timeline import Timeline
from chaoskit.model.history import History
from chaoskit.model.measurement import BooksMeasure, Interval, LossMeasure
from chaoskit.scratch import scratch

SWITCH_S = 0.0005
"""So long the thread waits for the interpreter between two queries: with the usual 5 ms it would do little else."""
Found = tuple[dict[str, LossMeasure], dict[str, BooksMeasure]]


@dataclass(frozen=True)
class BooksBeside:
    """All books of a run, while they are measured in a thread of their own: DuckDB works without the interpreter.

    Only what a loss comes to in time needs the run's clocks; they are told when they are known.
    """

    _started: Future[Interval | None]
    _found: Future[Found]

    def tell(self, started: Interval | None) -> None:
        """When the run's clocks started: [f_lo, f_hi] of the volley that hurt first."""
        self._started.set_result(started)

    def found(self) -> Found:
        """Losses and books by name, when they are known; raises what went wrong there."""
        return self._found.result()


@contextmanager
def measured_beside(history: History, timeline: Timeline) -> Iterator[BooksBeside]:
    """Measures the books beside what is done until the block ends; the two wait for each other at its end."""
    usual, started = sys.getswitchinterval(), Future[Interval | None]()
    with scratch("measure") as folder:
        # First and here: in the thread it would wait for the interpreter as often as the rest does, and DuckDB for it.
        handed_over = _handed_over(history, folder)
        with ThreadPoolExecutor(1, "books") as thread:
            sys.setswitchinterval(SWITCH_S)
            try:
                found = thread.submit(_measured, history, timeline, handed_over, started)
                yield BooksBeside(started, found)
            finally:
                started.cancel()  # told nothing, because something went wrong here, it would wait for ever
                sys.setswitchinterval(usual)


def books_of(history: History) -> dict[str, tuple[str, ...]]:
    """The run's books → the journeys whose operations belong in them; also books that nobody wrote to, and that could
    not be collected."""
    driven = {*history.plan.load, *(probe.journey for probe in history.plan.probes)}
    journeys = {name: history.plan.system.journeys[name].books for name in driven}
    tried = {str(event.data.get("books")) for event in history.events if event.kind == "collect.absent"}
    wanted = sorted(
        {books for books in journeys.values() if books} | {s.books for s in history.books} | tried
    )
    return {books: tuple(sorted(n for n, own in journeys.items() if own == books)) for books in wanted}


def parties_of(history: History) -> dict[str, tuple[str, str]]:
    """Journey → the names of the drawn values that pay and are paid, where it declares them."""
    return {
        name: (spec.parties.from_, spec.parties.to)
        for name, spec in history.plan.system.journeys.items()
        if spec.parties is not None
    }


def _handed_over(history: History, folder: Path) -> dict[str, tuple[Path, Path]]:
    """By books, files of the operations and of what was read from them."""
    wanted = books_of(history)
    if not wanted:
        return {}
    import duckdb  # noqa: F401 - here, because a thread would wait for the interpreter at each of its many modules

    operations = folder / "operations.jsonl"
    write_lines(history.operations, operations, {name for own in wanted.values() for name in own})
    found = {}
    for number, books in enumerate(wanted):
        found[books] = operations, folder / f"reads-{number}.jsonl"
        write_reads(history.operations, history.plan.system, books, found[books][1])
    return found


def _measured(
    history: History,
    timeline: Timeline,
    handed_over: Mapping[str, tuple[Path, Path]],
    started: Future[Interval | None],
) -> Found:
    losses: dict[str, LossMeasure] = {}
    measures: dict[str, BooksMeasure] = {}
    after = max((r.done for r in timeline.responses if r.done is not None), default=None)
    parties = parties_of(history)
    period = min((probe.every.ns for probe in history.plan.probes), default=0)
    struck = struck_of(timeline, history.events)
    for books, journeys in books_of(history).items():
        operations, reads = handed_over[books]
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
            _numbered(history, timeline, after),
        )
        looked = tuple(
            e.n for e in history.events if e.kind == "collect.snapshot" and e.data.get("books") == books
        )
        members = replication_of(books, history.plan.system)
        doubt = loss_doubt(timeline.gaps, struck, members, period, after)
        if journeys or loss.survivor is not None:  # else nothing was acknowledged that could be missing there
            losses[books] = loss.model_copy(update={"events": looked, **doubt})
    return losses, measures


def _numbered(history: History, timeline: Timeline, after: int | None) -> int:
    """Since when entries have the numbers that they have now: what is sent again after a restore is given new ones,
    and is nowhere lost."""
    restores = {
        e.data.get("step")
        for e in history.events
        if e.kind == "response.begin" and e.data.get("name") == "restore-backup"
    }
    if not restores:
        return 0
    done = {response.step for response in timeline.responses if response.done is not None}
    return after if after is not None and restores <= done else NEVER
