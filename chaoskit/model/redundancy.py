"""What is known of a database's redundancy after a failure: when a standby was there again, and how it came about."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from chaoskit.model.base import Frozen
from chaoskit.model.interval import Interval

REDUNDANCY_RESTORED = "redundancy-restored"
"""What objectives call the clock of every database role that has a standby; no journey may have this name."""


class SecondFailure(Frozen):
    """A fault on a member that struck while no standby was there."""

    step: str
    name: str
    target: str
    after: Annotated[Interval, Field(description="ns after the fault that took the redundancy away")]
    no_writer: Annotated[
        Interval | None,
        Field(description="for how long nobody accepted writes then, ns; None: somebody did at every look"),
    ] = None
    events: tuple[int, ...] = ()


class RejoinMeasure(Frozen):
    """How a member came to follow the other one, in the words of `rejoin`."""

    step: str
    service: str
    follows: str
    method: str
    bytes: int
    seconds: float
    fell_back: Annotated[str | None, Field(description="why it was not rewound")] = None
    ended: Annotated[int, Field(description="CLOCK_MONOTONIC ns")]
    position: Annotated[int, Field(description="the primary's position in its log at that moment, bytes")]
    event: int


class RedundancyMeasure(Frozen):
    """One database role: from the fault that took its redundancy until a standby had replayed as far as it must.

    It must have replayed what the primary had written when `rejoin` ended; without one, when it was first seen to
    stream again.
    """

    role: str
    restored: Annotated[
        Interval | None,
        Field(description="ns after the fault that took it; hi None: censored, more than lo; None: unknown"),
    ] = None
    clock: Annotated[
        Interval | None, Field(description="f_lo to f_hi of that fault, CLOCK_MONOTONIC ns, not relative")
    ] = None
    never_lost: Annotated[bool, Field(description="a standby streamed at every look after the faults")] = (
        False
    )
    not_yet: Annotated[
        int | None, Field(description="event of the last look at which it was not restored")
    ] = None
    back: Annotated[int | None, Field(description="event of the first look at which it was")] = None
    needed: Annotated[int, Field(description="what had to be replayed, bytes from the start of the log")] = 0
    writer: Annotated[str | None, Field(description="who accepted writes when it was restored")] = None
    rejoin: RejoinMeasure | None = None
    second: tuple[SecondFailure, ...] = ()
    modelled: Annotated[int, Field(description="modelled human time on the way to it, ns")] = 0
    looks: int = 0
    unseen: Annotated[int, Field(description="looks that told nothing, because a member did not say")] = 0
    blind: Annotated[
        int,
        Field(description="after the fault, the longest from one look that told something to the next, ns"),
    ] = 0
    invalid: Annotated[tuple[str, ...], Field(description="why the measurement cannot be used")] = ()
    events: tuple[int, ...] = ()

    @property
    def total(self) -> Interval | None:
        """Machine time as measured, and modelled human time on top."""
        if self.restored is None:
            return None
        hi = None if self.restored.hi is None else self.restored.hi + self.modelled
        return Interval(lo=self.restored.lo + self.modelled, hi=hi)


class SwitchMeasure(Frozen):
    """A planned change of roles, in the words of the response that made it."""

    step: str
    service: Annotated[str, Field(description="who is the primary since")]
    follows: Annotated[str, Field(description="who follows it since")]
    paused: Annotated[int, Field(description="for how long no write was confirmed, ns")]
    event: int
