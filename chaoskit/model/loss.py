"""Loss by key: what customers were told is done, or will be, and is not in the surviving ledger."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from chaoskit.model.base import Frozen
from chaoskit.model.interval import Interval
from chaoskit.model.stand_in import Promise


class LostOperation(Frozen):
    """An acknowledged operation whose key is absent from the surviving ledger."""

    key: str
    journey: str
    amount: int | None
    currency: str | None
    sent: int
    done: int


class LossMeasure(Frozen):
    """Loss by key against the surviving ledger, before anything is replayed. Counts are of keys, not of attempts."""

    books: str
    survivor: str | None
    acknowledged: int
    lost: tuple[LostOperation, ...]
    amount: dict[str, int] = {}
    acknowledged_by_journey: dict[str, int] = {}
    rpa: Interval | None = None
    rpa_by_journey: dict[str, Interval] = {}
    later: Annotated[
        tuple[str, ...],
        Field(
            description="keys of `lost` that were asked for after the fault: no recovery point covers them"
        ),
    ] = ()
    in_doubt_by_journey: Annotated[
        dict[str, tuple[str, ...]], Field(description="keys of in_doubt, per journey")
    ] = {}
    in_doubt: Annotated[
        dict[str, Literal["posted", "absent", "doubled", "held", "unresolved"]],
        Field(description="unknown keys, resolved by key"),
    ] = {}
    holes: Annotated[
        tuple[tuple[str, str], ...], Field(description="(lost, surviving) pairs that lag cannot explain")
    ] = ()
    promised: Annotated[
        tuple[Promise, ...], Field(description="accepted, to be done later; in the order of the answers")
    ] = ()
    unbooked: Annotated[
        tuple[LostOperation, ...],
        Field(
            description="of them, those that are not in the books, without a reason that holds, and are not in `lost`"
        ),
    ] = ()
    problems: tuple[str, ...] = ()
    doubted: Annotated[
        tuple[tuple[int, int], ...],
        Field(
            description="[from, until], ns: what was acknowledged from then on, and asked for until then, may be "
            "missing through a proxy of ours"
        ),
    ] = ()
    doubt: Annotated[str, Field(description="why")] = ""
    events: tuple[int, ...] = ()

    def surely(self, journey: str | None = None) -> tuple[LostOperation, ...]:
        """Of what is missing, what is the system's doing for certain: also what is in a hole, as what a proxy keeps
        from a standby is a tail."""
        holes = {lost for lost, _ in self.holes}
        return tuple(
            o
            for o in self.missing(journey)
            if not any(lo <= o.done and o.sent <= hi for lo, hi in self.doubted)
            or o.key in holes
            or o in self.unbooked
        )

    def missing(self, journey: str | None = None) -> tuple[LostOperation, ...]:
        """What customers were told is done, or will be, and is not in the books."""
        return tuple(o for o in (*self.lost, *self.unbooked) if journey in (None, o.journey))
