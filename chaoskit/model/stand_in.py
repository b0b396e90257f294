"""What was accepted while it could not be done: whether the word was kept, and what it cost the one who gave it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from chaoskit.model.base import Frozen
from chaoskit.model.interval import Interval


class Promise(Frozen):
    """One key that was accepted, to be done later."""

    key: str
    journey: str
    amount: int | None
    currency: str | None
    sent: int
    done: int
    booked: Annotated[bool, Field(description="the surviving ledger has a transaction of this key")]
    least: Annotated[
        int | None,
        Field(
            description="the least that its payer had in the surviving ledger since the last entry that had been "
            "acknowledged before, minor units, less what was kept back for other payments; None: not known"
        ),
    ] = None


class OverLimit(Frozen):
    """An acceptance that took its customer over what he may be promised."""

    key: str
    customer: str
    promised: Annotated[int, Field(description="to this customer in all, this one included, minor units")]
    over: Annotated[int, Field(description="of this amount, what lies over the limit, minor units")]


class StandInMeasure(Frozen):
    """The stand-in of one journey. Keys, not attempts; amounts in minor units, by currency."""

    journey: str
    accepted: int
    amount: dict[str, int] = {}
    booked: Annotated[int, Field(description="accepted, and in the surviving ledger")] = 0
    double_spent: Annotated[
        tuple[Promise, ...],
        Field(
            description="not booked: the system lists them as no longer covered, and the books do not contradict it"
        ),
    ] = ()
    unbooked: Annotated[
        tuple[Promise, ...], Field(description="not booked, and nobody says why, or it is not true")
    ] = ()
    limit: Annotated[int | None, Field(description="most that one customer may be promised, minor units")] = (
        None
    )
    over_limit: tuple[OverLimit, ...] = ()
    healed: Annotated[
        tuple[str, ...],
        Field(description="keys that had been acknowledged, were lost, and were booked by the replay"),
    ] = ()
    replayed: Annotated[
        Interval | None,
        Field(description="end of the last replay, ns after the fault that first hurt a journey"),
    ] = None
    events: tuple[int, ...] = ()
