"""What was measured from a history: intervals with stated bounds, never a guess."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from chaoskit.model.base import Frozen


class Interval(Frozen):
    """Nanoseconds; the truth lies in [lo, hi]. `hi` None: censored, more than lo."""

    lo: int
    hi: int | None


class FaultMeasure(Frozen):
    """When a fault took effect: [lo, hi] = command started … effect independently witnessed."""

    step: str
    name: str
    target: str
    lo: int
    hi: int | None
    witness: str | None
    exercised: Annotated[
        bool, Field(description="an operation or link traffic used the target around the instant")
    ]
    events: tuple[int, ...] = ()


class Outage(Frozen):
    """One interval in which the journey was not good, as the prober saw it (width at most 2p)."""

    first_bad: int
    last_bad: int
    last_good_before: int | None
    first_good_after: int | None
    duration: Interval


class JourneyMeasure(Frozen):
    """One journey as its customers saw it. Times of clocks are ns after the first fault."""

    journey: str
    scheduled: int
    good: int
    ok: int
    failed: int
    unknown: int
    good_ratio: float
    latency_ms: Annotated[
        dict[str, float],
        Field(description="p50, p95, p99 of ok operations from the intended time, floor 0.1 ms"),
    ]
    outages: tuple[Outage, ...] = ()
    rta: Annotated[
        Interval | None, Field(description="None: never measured; 0–0: the journey never failed")
    ] = None
    minimum_service: Interval | None = None
    backlog_drained: Interval | None = None
    reconciled: Interval | None = None
    probe_period: int
    invalid: Annotated[
        tuple[str, ...], Field(description="why the measurement cannot be used, e.g. probes not sent")
    ] = ()
    events: tuple[int, ...] = ()


class LostOperation(Frozen):
    """An acknowledged operation whose key is absent from the surviving ledger."""

    key: str
    journey: str
    amount: int | None
    currency: str | None
    sent: int
    done: int


class LossMeasure(Frozen):
    """Loss by key against the surviving ledger, before anything is replayed."""

    books: str
    survivor: str | None
    acknowledged: int
    lost: tuple[LostOperation, ...]
    amount: dict[str, int] = {}
    rpa: Interval | None = None
    in_doubt: Annotated[
        dict[str, Literal["posted", "absent", "doubled", "held", "unresolved"]],
        Field(description="unknown keys, resolved by key"),
    ] = {}
    holes: Annotated[
        tuple[tuple[str, str], ...], Field(description="(lost, surviving) pairs that lag cannot explain")
    ] = ()
    problems: tuple[str, ...] = ()


class Clocks(Frozen):
    """Detection, decision and action, ns after the first fault."""

    detected: Interval | None = None
    decided_modelled: Annotated[
        int, Field(description="modelled human time, ns, of all decisions on the path to recovery")
    ] = 0
    decided_lived: int = 0
    responded: Interval | None = None


class Measurements(Frozen):
    """measurements.json."""

    version: str = "1"
    run: str
    faults: tuple[FaultMeasure, ...]
    journeys: dict[str, JourneyMeasure]
    losses: dict[str, LossMeasure]
    clocks: Clocks
    load_lateness_ms: dict[str, float] = {}
    prober_lateness_ms: dict[str, float] = {}
    crashes: tuple[str, ...] = ()
    problems: Annotated[tuple[str, ...], Field(description="what makes the whole run unknown")] = ()
