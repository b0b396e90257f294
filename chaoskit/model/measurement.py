"""What was measured from a history: intervals with stated bounds, never a guess."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from chaoskit.model.base import Frozen
from chaoskit.model.handling import AttackMeasure as AttackMeasure
from chaoskit.model.handling import DecisionMeasure as DecisionMeasure
from chaoskit.model.handling import MinimumMeasure as MinimumMeasure
from chaoskit.model.handling import NoticeMeasure as NoticeMeasure
from chaoskit.model.handling import SuspectMeasure as SuspectMeasure
from chaoskit.model.interval import Interval as Interval
from chaoskit.model.loss import LossMeasure as LossMeasure
from chaoskit.model.loss import LostOperation as LostOperation
from chaoskit.model.redundancy import RedundancyMeasure as RedundancyMeasure
from chaoskit.model.redundancy import SwitchMeasure as SwitchMeasure
from chaoskit.model.release_measures import Hit as Hit
from chaoskit.model.release_measures import RollOutMeasure as RollOutMeasure
from chaoskit.model.release_measures import WarningMeasure as WarningMeasure
from chaoskit.model.release_measures import WayBack as WayBack
from chaoskit.model.stand_in import OverLimit as OverLimit
from chaoskit.model.stand_in import Promise as Promise
from chaoskit.model.stand_in import StandInMeasure as StandInMeasure


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
    volley: Annotated[int, Field(description="faults of one volley hit in one instant")] = 0
    events: tuple[int, ...] = ()


class Outage(Frozen):
    """One interval in which the journey was not good, as the prober saw it (width at most 2p)."""

    first_bad: int
    last_bad: int
    last_good_before: int | None
    first_good_after: int | None
    duration: Interval


class Unseen(Frozen):
    """Operations of the load that were not ok, in a stretch with more of them than chance explains."""

    bad: int
    of: Annotated[int, Field(description="all operations of that stretch")]
    since: Annotated[
        int, Field(description="when the first of them was due, CLOCK_MONOTONIC ns, not relative")
    ]
    until: Annotated[int, Field(description="by when the last of them had been sent, CLOCK_MONOTONIC ns")]
    over: Annotated[
        int | None,
        Field(
            description="where no probe was bad: by when the last operation that was not ok had been sent, of all "
            "after the first fault; CLOCK_MONOTONIC ns"
        ),
    ] = None


class JourneyMeasure(Frozen):
    """One journey as its customers saw it. Times of clocks are ns after the fault that started this journey's clock."""

    journey: str
    scheduled: int
    good: int
    ok: int
    failed: int
    unknown: int
    accepted: Annotated[int, Field(description="promised, to be done later; bad for full service")] = 0
    missed: Annotated[int, Field(description="scheduled and never sent; counted in `scheduled`, bad")] = 0
    slept: Annotated[
        int, Field(description="bad through the load itself, which was held up; counted in `scheduled`, bad")
    ] = 0
    held: Annotated[
        int,
        Field(
            description="bad while a proxy of its links was held up or replaced; counted in `scheduled`, bad"
        ),
    ] = 0
    good_ratio: float
    unsure: Annotated[
        tuple[str, ...],
        Field(description="why some that are counted as good may not be: old answers, unnoticed"),
    ] = ()
    latency_ms: Annotated[
        dict[str, float],
        Field(description="p50, p95, p99 of ok operations from the intended time, floor 0.1 ms"),
    ]
    outages: tuple[Outage, ...] = ()
    rta: Annotated[
        Interval | None,
        Field(
            description="None: never measured; 0 to one probe period: no bad probe, so at most a shorter outage"
        ),
    ] = None
    never_bad: Annotated[bool, Field(description="no probe of the journey was bad after the first fault")] = (
        False
    )
    started_by: Annotated[
        tuple[str, ...], Field(description="steps of the volley of faults that started this journey's clock")
    ] = ()
    clock: Annotated[
        Interval | None, Field(description="f_lo to f_hi of that volley, CLOCK_MONOTONIC ns, not relative")
    ] = None
    recovered_at: Annotated[
        int | None, Field(description="a_l, the first arrival of the run that held, CLOCK_MONOTONIC ns")
    ] = None
    answered_at: Annotated[
        int | None,
        Field(description="when that arrival had its answer, CLOCK_MONOTONIC ns; it may have waited for it"),
    ] = None
    doubt: Annotated[
        tuple[int, int],
        Field(
            description="bad probes came and went before the recovery, so that its lower bound was lowered by so many "
            "ns, and its upper bound taken from so many probes later (0, 0: a solid outage)"
        ),
    ] = (0, 0)
    bad_again: Annotated[int, Field(description="bad probes after the recovery had held its window")] = 0
    unseen: Annotated[
        Unseen | None,
        Field(
            description="what the load met and no probe did: from the fault on where no probe was bad (`rta` ends "
            "no earlier), else from the recovery until it had held; None: no more than before, and than chance"
        ),
    ] = None
    modelled: Annotated[
        int, Field(description="modelled human time on this journey's path to recovery and not lived, ns")
    ] = 0
    minimum_service: Interval | None = None
    minimum_modelled: Annotated[
        int, Field(description="modelled human time on the path to minimum service, ns")
    ] = 0
    backlog_drained: Interval | None = None
    reconciled: Annotated[
        Interval | None,
        Field(
            description="until the last response that put the journey's books right was done; hi None: they are not "
            "right, and were not when they were last looked at; None: not known, or the journey has no books"
        ),
    ] = None
    reconciled_since: Annotated[
        Interval | None,
        Field(
            description="f_lo to f_hi of the fault that `reconciled` is counted from: an earlier one than the "
            "journey's where that destroyed data; CLOCK_MONOTONIC ns, not relative"
        ),
    ] = None
    reconciled_modelled: Annotated[
        int, Field(description="modelled human time on the path to right books, ns")
    ] = 0
    reconciled_by: Annotated[
        str | None, Field(description="step that put the books right last; None: none had to, or none did")
    ] = None
    reconciled_event: Annotated[
        int | None, Field(description="event that ends `reconciled`: that step's, or the last snapshot")
    ] = None
    destroyed_by: Annotated[
        tuple[str, ...],
        Field(
            description="steps that began and destroy data of the journey's books; then its RTO is judged on the later "
            "of full service and reconciled"
        ),
    ] = ()
    probe_period: int
    invalid: Annotated[
        tuple[str, ...], Field(description="why the measurement cannot be used, e.g. probes not sent")
    ] = ()
    events: tuple[int, ...] = ()

    @property
    def awaited_books_ns(self) -> int:
        """Modelled human time on the way to right books, ns; 0 where no RTO waits for them."""
        return self.reconciled_modelled if self.destroyed_by else 0


class Violation(Frozen):
    """One rule of the books that does not hold: how often, and the cases."""

    rule: str
    count: int
    cases: Annotated[
        tuple[str, ...], Field(description="at most 10,000, in the order of the SQL's ORDER BY")
    ] = ()


class BooksMeasure(Frozen):
    """The surviving ledger reconciled with itself and with what customers were told."""

    books: str
    survivor: str | None
    writable: Annotated[
        tuple[str, ...], Field(description="members that accept writes; more than one: split brain")
    ] = ()
    counts: Annotated[
        dict[str, int],
        Field(description="rows judged: entries, transactions, balances, holds, keys, resent, …"),
    ] = {}
    violations: tuple[Violation, ...] = ()
    problems: tuple[str, ...] = ()

    def broken(self, *rules: str) -> tuple[Violation, ...]:
        """The violations of these rules."""
        return tuple(v for v in self.violations if v.rule in rules and v.count)


class Clocks(Frozen):
    """Detection, decision and action, ns after the fault that first hurt a journey (or was answered first)."""

    started: Annotated[
        Interval | None, Field(description="f_lo to f_hi of that volley, CLOCK_MONOTONIC ns, not relative")
    ] = None
    detected: Interval | None = None
    alerted: Annotated[str | None, Field(description="the service that the first alert named")] = None
    alert: Annotated[int | None, Field(description="event of that alert")] = None
    decided: Annotated[Interval | None, Field(description="the last decision's end, as lived")] = None
    decided_modelled: Annotated[
        int, Field(description="modelled human time, ns, of all decisions on the path to recovery")
    ] = 0
    decided_lived: int = 0
    responded: Interval | None = None
    events: tuple[int, ...] = ()


class Measurements(Frozen):
    """measurements.json."""

    version: str = "1"
    run: str
    faults: tuple[FaultMeasure, ...]
    journeys: dict[str, JourneyMeasure]
    losses: dict[str, LossMeasure]
    books: dict[str, BooksMeasure] = {}
    clocks: Clocks
    minimum_service: Annotated[
        MinimumMeasure | None,
        Field(description="None: the system agrees on none, or not all of it was driven"),
    ] = None
    redundancy: Annotated[
        tuple[RedundancyMeasure, ...],
        Field(description="of every role with a standby, where the drill asks for it"),
    ] = ()
    switches: tuple[SwitchMeasure, ...] = ()
    stand_ins: Annotated[
        dict[str, StandInMeasure], Field(description="by journey, where something was accepted")
    ] = {}
    decisions: tuple[DecisionMeasure, ...] = ()
    suspects: tuple[SuspectMeasure, ...] = ()
    notices: tuple[NoticeMeasure, ...] = ()
    warnings: Annotated[
        tuple[WarningMeasure, ...], Field(description="early-warning indicators that were watched")
    ] = ()
    roll_outs: Annotated[
        tuple[RollOutMeasure, ...], Field(description="roll-outs that were stopped, and whom they hit")
    ] = ()
    attacks: tuple[AttackMeasure, ...] = ()
    load_lateness_ms: dict[str, float] = {}
    prober_lateness_ms: dict[str, float] = {}
    crashes: tuple[str, ...] = ()
    problems: Annotated[tuple[str, ...], Field(description="what makes the whole run unknown")] = ()
