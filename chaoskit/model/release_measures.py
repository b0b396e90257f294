"""What is measured of a release: whom it hit, how it was taken back, and which indicator had warned of it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from chaoskit.model.base import Frozen
from chaoskit.model.interval import Interval


class Hit(Frozen):
    """Customers' requests of one journey: how many were made, and how many of them were not good."""

    asked: int
    bad: int


class WarningMeasure(Frozen):
    """An indicator that was watched: when it passed its mark, and how long before the first failure that was."""

    step: str
    target: str
    what: str
    warn: Annotated[float, Field(description="the mark: this share of what there is")]
    last: Annotated[str, Field(description="the last look, in words")]
    looks: int
    passed: bool
    clock: Annotated[
        Interval | None, Field(description="f_lo to f_hi of the first fault, CLOCK_MONOTONIC ns")
    ] = None
    at_once: Annotated[bool, Field(description="past the mark at the first look")] = False
    after: Annotated[Interval | None, Field(description="from the fault to the mark, ns")] = None
    failing: Annotated[
        bool, Field(description="a journey had bad arrivals among its last before the mark")
    ] = False
    lead: Annotated[
        Interval | None,
        Field(description="from the mark to the first failure after it, ns; hi None: at least"),
    ] = None
    failed: Annotated[str | None, Field(description="journey of the first failure")] = None
    acted: Annotated[str | None, Field(description="first response that began after the mark")] = None
    unseen: Annotated[
        str | None,
        Field(
            description="journey that failed while nothing could be seen of the indicator, before the mark"
        ),
    ] = None
    unserved: Annotated[
        str | None,
        Field(description="journey that served nobody again after a fault had come about, which is no test"),
    ] = None
    apart: Annotated[
        bool, Field(description="nothing that the journey which failed goes through is what was watched")
    ] = False
    event: int


Recovery = Literal["roll-back", "restore", "restore-and-replay", "forward-fix"]


class WayBack(Frozen):
    """What was done about a release that was stopped, and what it cost in accepted operations."""

    how: Annotated[Recovery, Field(description="which recovery it was")] = "roll-back"
    code: Annotated[
        bool, Field(description="every service that it had changed is what it was before, or has the fix")
    ]
    fix: Annotated[
        str | None, Field(description="the release that was put over it; None: the code went back")
    ] = None
    finished: Annotated[
        bool, Field(description="what the fix leaves until its last service is changed was done as well")
    ] = False
    restored: Annotated[bool, Field(description="the books were restored to the instant before its roll-out")]
    sent_again: Annotated[
        int | None,
        Field(description="operations that the system sent again after that; None: nothing was sent again"),
    ] = None
    lost_before: Annotated[
        int | None,
        Field(description="accepted and gone by the restore, by the system's own journal; None: nobody says"),
    ] = None
    lost: Annotated[
        int | None, Field(description="acknowledged and not in the books at the end; None: unknown")
    ]
    unreadable: Annotated[
        int | None,
        Field(description="rows at the end that are not what was asked for; None: unknown"),
    ]
    after: Annotated[Interval | None, Field(description="from the fault to its last step, ns")]
    event: int
    events: Annotated[tuple[int, ...], Field(description="all its steps")] = ()


class RollOutMeasure(Frozen):
    """A roll-out that was stopped: how far it had come, and whom it had hit by then."""

    release: str
    changed: Annotated[tuple[str, ...], Field(description="services that ran the release at the stop")]
    services: Annotated[tuple[str, ...], Field(description="all that it was meant for")]
    after: Annotated[Interval | None, Field(description="from the fault to the stop, ns")]
    hit: Annotated[
        dict[str, Hit],
        Field(description="the load's requests from the first change until the stop, by journey"),
    ]
    way_back: Annotated[WayBack | None, Field(description="None: nothing was taken back")] = None
    event: int
