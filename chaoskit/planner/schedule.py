"""The numbers of a plan: probe periods and phases, what recovered means, and when a run gives up waiting."""

from __future__ import annotations

import random

from chaoskit.errors import Problem
from chaoskit.model.drill import Drill
from chaoskit.model.journey import MINIMUM_SERVICE
from chaoskit.model.plan import Criterion, PlannedStep, ProbeSchedule
from chaoskit.model.redundancy import REDUNDANCY_RESTORED
from chaoskit.planner.people import people_ns
from chaoskit.quantity import Duration
from chaoskit.spec import Loaded

SECOND_NS = 10**9
PERIOD_MAX_NS = SECOND_NS
HOLD_MIN_NS = 30 * SECOND_NS
WAIT_MIN_NS = 30 * SECOND_NS
WAIT_MAX_NS = 120 * SECOND_NS


def period_max_ns(drill: Drill, journey: str) -> int:
    """The longest probe period that can judge a journey: min(RTO/100, 1 s) (MEASUREMENT, load and prober)."""
    rto = drill.objective(journey).rto
    return min(PERIOD_MAX_NS, rto.ns // 100) if rto is not None else PERIOD_MAX_NS


def minimum_limit(drill: Drill) -> Duration | None:
    """By when the minimum service of the whole system must be back, where the drill asks for it."""
    asked = drill.objectives.get(MINIMUM_SERVICE)
    return asked.rto if asked is not None else None


def redundancy_limit(drill: Drill) -> Duration | None:
    """By when every database must have a standby again, where the drill asks for it."""
    asked = drill.objectives.get(REDUNDANCY_RESTORED)
    return asked.rto if asked is not None else None


def probes(loaded: Loaded, problems: list[Problem]) -> tuple[ProbeSchedule, ...]:
    """Each driven journey's period, and a phase drawn from the seed so that no two runs sample alike."""
    found = []
    for journey in loaded.drill.load:
        every = loaded.system.journeys[journey].probe.every
        limit = period_max_ns(loaded.drill, journey)
        rto = loaded.drill.objective(journey).rto
        agreed, minimum = loaded.system.minimum_service, minimum_limit(loaded.drill)
        named = agreed is not None and journey in agreed.journeys
        if named and minimum is not None and minimum.ns // 100 < limit:
            limit, rto = minimum.ns // 100, minimum
        if every.ns > limit:
            of = f"an RTO of {rto}" if rto is not None and limit < PERIOD_MAX_NS else "any RTO"
            message = f"`{journey}` is probed every {every}, too slowly for {of}"
            place = (loaded.system_places, ("journeys", journey, "probe", "every"))
            problems.append(
                place[0].problem(place[1], message, f"at most {Duration.of_ns(limit)}: min(RTO/100, 1 s)")
            )
        phase = random.Random(f"{loaded.drill.seed} phase {journey}").randrange(every.ns)
        found.append(ProbeSchedule(journey=journey, every=every, phase_ns=phase))
    return tuple(found)


def criteria(
    loaded: Loaded, schedules: tuple[ProbeSchedule, ...], problems: list[Problem], notes: list[str]
) -> dict[str, Criterion]:
    """q = 99 %, w = max(20p, 1 s), W = the drill's hold or max(30 s, RTO/10); a shorter hold is noted."""
    drill = loaded.drill
    found = {}
    short: list[str] = []
    for schedule in schedules:
        rto = drill.objective(schedule.journey).rto
        window = max(20 * schedule.every.ns, SECOND_NS)
        full = max(HOLD_MIN_NS, rto.ns // 10 if rto is not None else 0)
        hold = drill.settle.hold.ns if drill.settle.hold is not None else full
        if hold < window:
            message = f"`hold`: {drill.settle.hold} is shorter than the window of `{schedule.journey}`"
            hint = f"at least {Duration.of_ns(window)}: 20 probe periods, and 1 s"
            problems.append(loaded.places.problem(("settle", "hold"), message, hint))
        if hold < full:
            short.append(f"{schedule.journey} {Duration.of_ns(full)}")
        found[schedule.journey] = Criterion(window_ns=window, hold_ns=hold, shortened=hold < full)
    if short:
        notes.append(f"recovery must hold {drill.settle.hold}, shortened from: {', '.join(short)}")
    return found


def span_ns(steps: tuple[PlannedStep, ...]) -> int:
    """From the first fault to the end of the last one, ns; one that waits for an event counts its limit."""
    begins: dict[str, int] = {}
    first: int | None = None
    last = 0
    for step in steps:
        if step.at is not None:
            begin = step.at.ns
        else:
            base = begins.get(step.after_step or "", 0)
            if step.when is not None:
                base = step.when.within.ns if step.kind == "fault" else 0
            begin = base + (step.after.ns if step.after else 0)
        begins[step.id] = begin
        if step.kind == "fault":
            first = begin if first is None else min(first, begin)
            last = max(last, begin + (step.for_.ns if step.for_ else 0))
    return max(0, last - (first or 0))


def deadline(drill: Drill, steps: tuple[PlannedStep, ...], hold_ns: int, pace: str) -> tuple[Duration, str]:
    """When a run gives up waiting for recovery, from the first fault, and why then.

    The last fault's end + max(30 s, min(RTO − modelled human time, 120 s)) of the journey that may take longest
    + people's slept time + the hold. A run that is still bad then is censored, "more than x": against an RTO below x
    that is a fail, against a longer one unknown. It is capped so that nobody waits for minutes that are only modelled.
    """
    modelled, slept = people_ns(steps, pace)
    waits = []
    for rto in [
        *(drill.objective(journey).rto for journey in drill.load),
        minimum_limit(drill) or Duration.of_ns(0),
        redundancy_limit(drill) or Duration.of_ns(0),
    ]:
        left = min(rto.ns - modelled, WAIT_MAX_NS) if rto is not None else WAIT_MAX_NS
        waits.append(max(WAIT_MIN_NS, left))
    wait = max(waits, default=WAIT_MAX_NS)
    faults = span_ns(steps)
    total = Duration.of_ns(faults + wait + slept + hold_ns)
    parts = [f"{Duration.of_ns(faults)} of faults"] if faults else []
    parts += [f"{Duration.of_ns(wait)} to recover"]
    parts += [f"{Duration.of_ns(slept)} of people"] if slept else []
    parts += [f"{Duration.of_ns(hold_ns)} to hold"] if hold_ns else []
    return total, " + ".join(parts)
