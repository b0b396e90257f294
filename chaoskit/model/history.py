"""The history of a run, as recorded: events, operations, books. Everything below it re-runs from disk.

Run folder:

    plan.json           Plan
    events.jsonl        one Event a line, hash-chained; the last seals every other file
    ops/load.jsonl      journal of the load: `intent`, `done`, `missed`, `late`, `begin`, `end` records
    ops/prober.jsonl    journal of the prober, same records
    books/<books>/<member>/{meta.json,entries.parquet,balances.parquet,holds.parquet,transactions.parquet,
                        keys.parquet; and, where there is such a thing, paper, cycles, before}
    leases.json         the leases as they ended
    logs/<service>.log
    measurements.json   Measurements
    result.json         Result
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from chaoskit.model.base import Frozen
from chaoskit.model.operation import MEASURER_AT_FAULT as MEASURER_AT_FAULT
from chaoskit.model.operation import MISSED_LATE as MISSED_LATE
from chaoskit.model.operation import Operation as Operation
from chaoskit.model.plan import Plan


class Event(Frozen):
    """One fact. `t` is CLOCK_MONOTONIC ns; `hash` = SHA-256 over the line without `hash`, `prev` the one before."""

    n: int
    t: int
    kind: str
    data: dict[str, Any] = {}
    prev: str
    hash: str


class BooksSnapshot(Frozen):
    """The books of one live member of a database role. Paths point at Parquet files below the run folder."""

    books: str
    member: str
    in_recovery: bool
    writable: Annotated[bool, Field(description="accepted a committed write in this snapshot's look")]
    timeline: int
    lsn: str
    identical: Annotated[bool, Field(description="two snapshots settle.gap apart were the same")]
    folder: Path


class History(Frozen):
    """All that was recorded of a run."""

    run: str
    folder: Path
    plan: Plan
    events: tuple[Event, ...]
    operations: tuple[Operation, ...]
    journals: Annotated[
        dict[str, dict[str, Any]],
        Field(
            description="per journal: begin, end, lateness, missed; if it was killed, last in place of end"
        ),
    ]
    books: tuple[BooksSnapshot, ...]
    problems: Annotated[
        tuple[str, ...], Field(description="what is damaged or missing; each makes something unknown")
    ] = ()
