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
from typing import Annotated, Any, Literal

import msgspec
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


class Operation(msgspec.Struct, frozen=True, gc=False):
    """One attempt of one customer operation; retries and double taps share `key`.

    Times are CLOCK_MONOTONIC ns: `intended` (a), `sent` (s), `done` (c). `sent` None: scheduled, never sent, bad.
    `done` None: no answer recorded, unknown. `attempt` counts from 1, the first; 2… are retries under the same key.
    `woke` is when the scheduler came to it: woke - intended is the measurer's own lateness. `tap`: a deliberate second
    sending of an acknowledged key; `other`: such a tap with another payload under the used key, which must be refused.
    `outcome` accepted: promised, to be done later (`accepted` of its journey). `amount` is in minor units, if the
    journey moves money; `values` what was drawn; `read` the value, position and age a read returned (an age: it admits
    to be old). A struct, because a run has hundreds of thousands; its types are checked where it is read.
    """

    key: str
    journey: str
    source: Literal["load", "prober"]
    attempt: int
    intended: int
    tap: bool = False
    other: bool = False
    woke: int | None = None
    sent: int | None = None
    done: int | None = None
    outcome: Literal["ok", "fail", "unknown", "accepted"] = "unknown"
    status: int | None = None
    error: str | None = None
    payload_hash: str | None = None
    amount: int | None = None
    currency: str | None = None
    values: dict[str, str] = {}
    read: dict[str, Any] = {}

    @property
    def full(self) -> bool:
        """Done, and not by an answer that admits to be old: what full service is made of."""
        read = self.read
        return self.outcome == "ok" and (not read or read.get("age") in (None, 0))


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
