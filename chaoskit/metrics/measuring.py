"""Measures a history: everything the judge rests on, from what was recorded and from nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from chaoskit.metrics.ages import age_doubts
from chaoskit.metrics.arrivals import arrivals_of, by_journey
from chaoskit.metrics.attacks import measure_attacks
from chaoskit.metrics.availability import Availability, availability_of
from chaoskit.metrics.backlog import backlog_drained
from chaoskit.metrics.books import measured_beside
from chaoskit.metrics.crossed import HeldUp
from chaoskit.metrics.decisions import measure_decisions
from chaoskit.metrics.detection import measure_clocks
from chaoskit.metrics.diagnosis import measure_suspects
from chaoskit.metrics.exercised import measure_fault
from chaoskit.metrics.minimum import measure_minimum
from chaoskit.metrics.notices import measure_notices
from chaoskit.metrics.reconciled import Reconciled, measure_reconciled
from chaoskit.metrics.recovery import Probed, Recovery, measure_recovery
from chaoskit.metrics.redundancy import measure_redundancy, measure_switches
from chaoskit.metrics.roll_outs import measure_roll_outs
from chaoskit.metrics.stand_in import measure_stand_ins
from chaoskit.metrics.timeline import Timeline, read_timeline
from chaoskit.metrics.warnings import measure_warnings
from chaoskit.metrics.way import links_behind
from chaoskit.model.history import Event, History, Operation
from chaoskit.model.measurement import (
    BooksMeasure,
    Clocks,
    Interval,
    JourneyMeasure,
    LossMeasure,
    LostOperation,
    Measurements,
    StandInMeasure,
)

Operations = Mapping[tuple[str, str], Sequence[Operation]]
"""By journey and source, as `arrivals.by_journey` sorts them."""
SUSPEND_NOISE_NS = 50_000_000
"""The two clocks are read one after the other; a difference below this is no suspend."""


def measure(history: History) -> Measurements:
    """Measurements of one run. A pure function: the same history gives the same numbers, with nothing running."""
    timeline = read_timeline(history)
    with measured_beside(history, timeline) as beside:
        operations = by_journey(history.operations)
        probed = {
            probe.journey: _probed(history, operations, timeline, probe.journey)
            for probe in history.plan.probes
        }
        recoveries = {journey: measure_recovery(one, timeline) for journey, one in probed.items()}
        clocks = _clocks(timeline, recoveries)
        beside.tell(clocks.started)
        served = {
            journey: _served(history, operations[journey, "load"], timeline, journey, recovery)
            for journey, recovery in recoveries.items()
        }
        losses, books = beside.found()
    agreed = history.plan.system.minimum_service
    spec = history.plan.system.journeys
    stand_ins = measure_stand_ins(history.operations, history.events, spec, losses, clocks.started)
    losses = {name: _with_unbooked(loss, stand_ins) for name, loss in losses.items()}
    journeys = {
        journey: _journey(history, timeline, journey, recovery, served[journey], losses, books)
        for journey, recovery in recoveries.items()
    }
    return Measurements(
        run=history.run,
        faults=tuple(
            measure_fault(fault, history.operations, history.plan.system) for fault in timeline.faults
        ),
        journeys=journeys,
        losses=losses,
        books=books,
        clocks=clocks,
        minimum_service=measure_minimum(agreed, probed, timeline) if agreed is not None else None,
        redundancy=measure_redundancy(history, timeline),
        switches=measure_switches(history.events),
        stand_ins=stand_ins,
        decisions=measure_decisions(history.events, clocks.started),
        suspects=measure_suspects(history.events, timeline, clocks.started),
        notices=measure_notices(history.events, clocks.started, journeys, history.plan.system.journeys),
        warnings=measure_warnings(history, timeline.faults),
        roll_outs=measure_roll_outs(history, timeline.faults, losses, books, clocks.started),
        attacks=measure_attacks(history, timeline, books),
        load_lateness_ms=_lateness(history, "load"),
        prober_lateness_ms=_lateness(history, "prober"),
        crashes=tuple(_crash(event) for event in history.events if event.kind == "service.exit"),
        problems=(*history.problems, *_suspended(history.events)),
    )


def _clocks(timeline: Timeline, recoveries: Mapping[str, Recovery]) -> Clocks:
    hurt = [r.volley for r in recoveries.values() if r.volley is not None]
    instants = [r.answered_at for r in recoveries.values() if not r.never_bad]
    complete = None if None in instants else max((at for at in instants if at is not None), default=None)
    return measure_clocks(timeline, hurt, complete)


def _probed(history: History, operations: Operations, timeline: Timeline, journey: str) -> Probed:
    plan = history.plan
    within = plan.system.journeys[journey].good.within.ns
    period = next(probe.every.ns for probe in plan.probes if probe.journey == journey)
    probes = arrivals_of(operations[journey, "prober"], journey, "prober", within)
    load = arrivals_of(operations[journey, "load"], journey, "load", within)
    about = history.journals.get("prober", {})
    data_end = probes[-1].intended + period if probes else 0
    if "end" not in about:
        # The prober was killed: what it had not seen answered by its last word is nobody's outage.
        last = int(about.get("last") or 0)
        open_probes = [p.intended for p in probes if not p.good and p.decided > last]
        data_end = min([data_end, last, *open_probes])
        probes = tuple(p for p in probes if p.intended < data_end)
    zero = timeline.zero or 0
    return Probed(
        journey=journey,
        probes=probes,
        load=load,
        period=period,
        within=within,
        criterion=plan.criteria[journey],
        data_end=data_end,
        before=zero - plan.drill.steady.for_.ns,
        links=links_behind(plan.system, plan.system.journeys[journey].service),
        doubts=age_doubts(history, journey, timeline),
    )


def _served(
    history: History, load: Sequence[Operation], timeline: Timeline, journey: str, recovery: Recovery
) -> tuple[Availability, Interval | None]:
    """How the load was served, and how long its backlog took."""
    spec = history.plan.system.journeys[journey]
    since = 0 if timeline.zero is None else timeline.zero - history.plan.drill.steady.for_.ns
    seen = availability_of(load, journey, spec.good.within.ns, since, _held(history, timeline, journey))
    volley, at = recovery.volley, recovery.recovered_at
    backlog = None
    if volley is not None and at is not None and journey in history.plan.load:
        backlog = backlog_drained(load, journey, volley, at)
    return seen, backlog


def _journey(
    history: History,
    timeline: Timeline,
    journey: str,
    recovery: Recovery,
    served: tuple[Availability, Interval | None],
    losses: dict[str, LossMeasure],
    books: dict[str, BooksMeasure],
) -> JourneyMeasure:
    volley, at = recovery.volley, recovery.recovered_at
    seen, backlog = served
    reconciled = _reconciled(history, timeline, journey, recovery, losses, books)
    return JourneyMeasure(
        journey=journey,
        scheduled=seen.scheduled,
        good=seen.good,
        ok=seen.ok,
        failed=seen.failed,
        unknown=seen.unknown,
        accepted=seen.accepted,
        missed=seen.missed,
        slept=seen.slept,
        held=seen.held,
        good_ratio=seen.good_ratio,
        unsure=age_doubts(history, journey, timeline),
        latency_ms=seen.latency_ms,
        outages=recovery.outages,
        rta=recovery.rta,
        never_bad=recovery.never_bad,
        started_by=volley.steps if volley else (),
        clock=Interval(lo=volley.lo, hi=volley.hi) if volley else None,
        recovered_at=at,
        answered_at=recovery.answered_at,
        doubt=(recovery.doubt.earlier, recovery.doubt.later),
        bad_again=recovery.bad_again,
        unseen=recovery.unseen,
        modelled=recovery.modelled,
        minimum_service=recovery.minimum_service,
        minimum_modelled=recovery.minimum_modelled,
        backlog_drained=backlog,
        reconciled=reconciled.after,
        reconciled_since=reconciled.since,
        reconciled_modelled=reconciled.modelled,
        reconciled_by=reconciled.by,
        reconciled_event=reconciled.event,
        destroyed_by=reconciled.destroyed_by,
        probe_period=next(p.every.ns for p in history.plan.probes if p.journey == journey),
        invalid=recovery.invalid,
        events=_path(timeline, recovery),
    )


def _reconciled(
    history: History,
    timeline: Timeline,
    journey: str,
    recovery: Recovery,
    losses: dict[str, LossMeasure],
    books: dict[str, BooksMeasure],
) -> Reconciled:
    """The clock of a journey's books; of one that only reads there is none."""
    spec = history.plan.system.journeys[journey]
    if spec.books is None or spec.reads:
        return Reconciled()
    found = (losses[spec.books], books[spec.books]) if spec.books in losses else None
    return measure_reconciled(history, timeline, recovery, spec.books, found)


def _held(history: History, timeline: Timeline, journey: str) -> HeldUp:
    system = history.plan.system
    return HeldUp(timeline.gaps, links_behind(system, system.journeys[journey].service))


def _path(timeline: Timeline, recovery: Recovery) -> tuple[int, ...]:
    """Events on the way from the fault to the recovery."""
    volley = recovery.volley
    if volley is None:
        return ()
    until = recovery.answered_at
    inside = [alert.event for alert in timeline.alerts if until is None or alert.at <= until]
    inside += [decision.event for decision in timeline.decisions if until is None or decision.end <= until]
    for response in timeline.responses:
        if until is None or response.begin <= until:
            inside += response.events
    return tuple(sorted({*volley.events, *inside}))


def _with_unbooked(loss: LossMeasure, stand_ins: dict[str, StandInMeasure]) -> LossMeasure:
    # One that was acknowledged as well is lost by that, and is one payment still.
    broken = {promise.key for one in stand_ins.values() for promise in one.unbooked}
    broken -= {operation.key for operation in loss.lost}
    unbooked = tuple(
        LostOperation(
            key=p.key, journey=p.journey, amount=p.amount, currency=p.currency, sent=p.sent, done=p.done
        )
        for p in loss.promised
        if p.key in broken
    )
    return loss.model_copy(update={"unbooked": unbooked})


def _lateness(history: History, journal: str) -> dict[str, float]:
    found = history.journals.get(journal, {}).get("lateness") or {}
    return {name: float(value) for name, value in found.items() if isinstance(value, int | float)}


def _crash(event: Event) -> str:
    tail = event.data.get("log_tail") or []
    lines = [str(line) for line in tail] if isinstance(tail, list) else [str(tail)]
    head = f"{event.data.get('service')}: {event.data.get('status')} (event {event.n})"
    return "\n".join([head, *lines])


def _suspended(events: tuple[Event, ...]) -> tuple[str, ...]:
    values = [e.data["suspended_ns"] for e in events if isinstance(e.data.get("suspended_ns"), int)]
    grown = max(values) - values[0] if values else 0
    if grown > SUSPEND_NOISE_NS:
        return (f"the machine was suspended for {grown / 1e9:.1f} s during the run",)
    return ()
