"""A row among the clocks, with what it was made from: the scorecard prints the one, `explain` the other.

    measure ──► ClockRow ──► cells                          the scorecard
                   └───────► event, fault, instants         `explain`, on paper: instant − fault = what is printed

One object for both, so that no explanation can be of another number than the one that is shown.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from chaoskit.judge.wording import NOTHING, bounds
from chaoskit.model.history import Event
from chaoskit.model.measurement import Interval

Kind = Literal[
    "detected",
    "identified",
    "told",
    "alert",
    "blocked",
    "wrongly blocked",
    "money moved",
    "minimum service",
    "redundancy restored",
    "writes paused",
    "warned",
    "stopped",
    "back",
    "stand-in",
    "decided",
    "refused",
    "not decided",
    "repaired",
    "backlog drained",
    "reconciled",
]
"""Every kind of row there is. tests/judge/test_explained_clocks.py has a history with each."""
Reading = Callable[[Event], tuple[int, int] | None]


def own_time(event: Event) -> tuple[int, int]:
    """The instant at which an event was recorded, as an interval; ns."""
    return event.t, event.t


def said(*path: str) -> Reading:
    """Reads an instant, ns, that an event holds under these words, one within the other."""

    def read(event: Event) -> tuple[int, int] | None:
        found: object = event.data
        for word in path:
            found = found.get(word) if isinstance(found, dict) else None
        return (found, found) if isinstance(found, int) else None

    return read


@dataclass(frozen=True)
class ClockRow:
    """One row: what is shown of it, and what it is made from.

    A row that shows an interval names the fault's interval and the event that it lies between, or else the number
    whose explanation is its own (`same`). One that shows none names events, operations or, in words, what was counted.
    ValueError for one that names nothing: nobody could check it.
    """

    kind: Kind
    about: str
    what: str
    after: Interval | None = None
    """ns after the fault."""
    since: Interval | None = None
    """f_lo to f_hi of that fault, CLOCK_MONOTONIC ns."""
    until: int | None = None
    """The event that the interval ends with."""
    read: Reading = own_time
    """What that event says of its instant: the earliest and the latest that it can have been."""
    events: tuple[int, ...] = ()
    keys: tuple[str, ...] = ()
    """Operations that it counts."""
    how: tuple[str, ...] = ()
    """What else was counted, in words."""
    people: int = 0
    """Modelled human time, ns, that is not in `after`."""
    same: str = ""
    shown: str | None = None
    """What stands in place of the interval."""

    def __post_init__(self) -> None:
        counted = self.since is not None and self.until is not None
        sources = (counted, self.same, self.until is not None, self.events, self.keys, self.how)
        if not any(sources) or (self.after is not None and not (counted or self.same)):
            raise ValueError(f"the row {self.clock!r} does not say what it is made from")

    @property
    def clock(self) -> str:
        """What the scorecard calls it: `decided: promote-standby`."""
        return f"{self.kind}: {self.about}" if self.about else self.kind

    @property
    def name(self) -> str:
        """What it can be asked for by: `decided.promote-standby`."""
        return row_name(self.clock)

    @property
    def cell(self) -> str:
        """The interval as the scorecard prints it."""
        if self.shown is not None:
            return self.shown
        return NOTHING if self.after is None else bounds(self.after)

    @property
    def cells(self) -> dict[str, str]:
        """Its columns."""
        return {"clock": self.clock, "after the fault": self.cell, "what": self.what}


def row_name(clock: str) -> str:
    """A row's own text in one word: `writes paused: switch back` → `writes-paused.switch-back`."""
    return re.sub(r"\s+", "-", re.sub(r"\s*:\s*", ".", clock.strip(), count=1))
