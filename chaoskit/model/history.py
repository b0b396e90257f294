"""The history of a run, as recorded: events, operations, books. Everything below it re-runs from disk.

Run folder:

    plan.json           Plan
    events.jsonl        one Event a line, hash-chained; the last seals every other file
    ops/load.jsonl      journal of the load: `intent`, `done`, `missed`, `late`, `begin`, `end` records
    ops/prober.jsonl    journal of the prober, same records
    books/<books>/<member>/{meta.json,entries.parquet,balances.parquet,holds.parquet,transactions.parquet,
                        keys.parquet}
    leases.json         the leases as they ended
    logs/<service>.log
    measurements.json   Measurements
    result.json         Result
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from chaoskit.model.base import Frozen
from chaoskit.model.plan import Plan

MISSED_LATE = "measurer late"
"""`error` of a missed operation whose turn the measurer itself slept through: no word about the system."""
MEASURER_AT_FAULT = "measurer: "
"""Part of the `error` of an operation that failed through the measurer itself: want of a port or a descriptor, or a
journey's own class that blocked it. No word about the system."""


class Event(Frozen):
    """One fact. `t` is CLOCK_MONOTONIC ns; `hash` = SHA-256 over the line without `hash`, `prev` the one before."""

    n: int
    t: int
    kind: str
    data: dict[str, Any] = {}
    prev: str
    hash: str


class Operation(Frozen):
    """One attempt of one customer operation; retries and double taps share `key`.

    Times are CLOCK_MONOTONIC ns: `intended` (a), `sent` (s), `done` (c). `sent` None: scheduled, never sent, bad.
    `done` None: no answer recorded, unknown.
    """

    key: str
    journey: str
    source: Literal["load", "prober"]
    attempt: Annotated[int, Field(description="1 the first; 2… retries under the same key")]
    tap: Annotated[bool, Field(description="a deliberate second sending of an acknowledged key")] = False
    other: Annotated[
        bool, Field(description="a tap with another payload under the used key: it must be refused")
    ] = False
    intended: int
    woke: Annotated[
        int | None,
        Field(description="when the scheduler came to it; woke - intended is the measurer's own lateness"),
    ] = None
    sent: int | None = None
    done: int | None = None
    outcome: Literal["ok", "fail", "unknown"] = "unknown"
    status: int | None = None
    error: str | None = None
    payload_hash: str | None = None
    amount: Annotated[int | None, Field(description="minor units, if the journey moves money")] = None
    currency: str | None = None
    values: Annotated[dict[str, str], Field(description="what was drawn")] = {}
    read: Annotated[dict[str, Any], Field(description="value and position a read returned")] = {}


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
        Field(description="per journal: begin, end, lateness, missed; end absent if it was killed"),
    ]
    books: tuple[BooksSnapshot, ...]
    problems: Annotated[
        tuple[str, ...], Field(description="what is damaged or missing; each makes something unknown")
    ] = ()
