"""One attempt of one customer operation, as journals hold it.

Apart from the rest of a history, because load and prober, which are waited for at every start, need nothing else of it.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

MISSED_LATE = "measurer late"
"""`error` of a missed operation whose turn the measurer itself slept through: no word about the system."""
MEASURER_AT_FAULT = "measurer: "
"""Part of the `error` of an operation that failed through the measurer itself: want of a port or a descriptor, or a
journey's own class that blocked it. No word about the system."""


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
