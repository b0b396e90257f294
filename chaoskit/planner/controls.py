"""Controls of a drill: the same plan with one named step taken out, which must turn the verdict red.

the drill as written ──► as expected
  − one fault        ──► unknown: nothing was exercised
  − one recovery     ──► a recovery time missed that the drill as written meets
  − its watchdog     ──► the same: what the system does by itself is a recovery like any other
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from chaoskit.model.drill import Drill, Objective
from chaoskit.model.plan import Plan, PlannedStep
from chaoskit.planner.overlap import begins_ns, takes_back_both
from chaoskit.planner.schedule import span_ns
from chaoskit.quantity import Duration
from chaoskit.spec import Registry

LIMIT_FACTOR, LIMIT_MIN_NS = 3, 10_000_000_000
"""Against a long RTO a system left dead would only be censored; it is judged against this many times the proven run's
recovery time, or 10 s if that is more."""
_VACUOUS_NS = 2_000_000_000
"""How long a run without its fault is watched beyond its hold: nothing will come."""


@dataclass(frozen=True)
class Control:
    """One step taken out: `disarm`, a fault that is not injected; `leave-out`, a recovery that does not happen;
    `kill`, a watchdog of the system's own that is dead before the fault (`step` is its service).
    """

    kind: Literal["disarm", "leave-out", "kill"]
    step: str
    what: str
    also: tuple[str, ...] = ()
    """Steps that end with it in one instant, by an undo that may take back all of them: one recovery."""

    @property
    def steps(self) -> frozenset[str]:
        """All that is taken out."""
        return frozenset((self.step, *self.also))

    @property
    def name(self) -> str:
        return f"{self.what} {'not armed' if self.kind == 'disarm' else 'left out'}"


def controls_of(plan: Plan, registry: Registry) -> tuple[Control, ...]:
    """Every control of a plan: its faults one by one, then its responses, the undoing of its `for:`, its watchdogs."""
    disarm = [Control("disarm", s.id, f"{s.name} (step {s.id})") for s in plan.steps if s.kind == "fault"]
    leave_out = [
        _left_out(together)
        for together in _ending_together(plan.steps, registry)
        if (together[0].kind == "response" and together[0].recovers) or together[0].for_ is not None
    ]
    killed = [Control("kill", service, f"the watchdog {service}") for service in plan.system.watchdogs]
    return (*disarm, *((*leave_out, *killed) if _asks_for_recovery(plan) else ()))


def nothing_to_leave_out(plan: Plan, registry: Registry) -> str | None:
    """Why the recovery of this drill cannot be left out; None if it can."""
    if not _asks_for_recovery(plan):
        return (
            "the drill asks for no rto and no minimum-service, so leaving it out would miss no recovery time"
        )
    if any(control.kind != "disarm" for control in controls_of(plan, registry)):
        return None
    return (
        "the drill has no response and undoes no fault before its end, and the system names no watchdog: it recovers "
        "by itself, or not at all"
    )


def without_fault(plan: Plan, control: Control) -> Plan:
    """The plan of a disarmed run; without any fault left it is not watched for a recovery that has no reason."""
    hold = max((criterion.hold_ns for criterion in plan.criteria.values()), default=0)
    armed = any(step.kind == "fault" and step.id != control.step for step in plan.steps)
    spared = LIMIT_MIN_NS if armed else _VACUOUS_NS
    deadline = min(plan.deadline.ns, span_ns(plan.steps) + hold + spared)
    return _noted(plan, control, "").model_copy(update={"deadline": Duration.of_ns(deadline)})


def without_recovery(plan: Plan, control: Control, proven_upper_ns: int) -> Plan:
    """The plan of a run without its recovery, judged against max(3 × the proven upper bound, 10 s)."""
    limit = Duration.of_ns(max(LIMIT_FACTOR * proven_upper_ns, LIMIT_MIN_NS))
    hold = max((criterion.hold_ns for criterion in plan.criteria.values()), default=0)
    lasting = span_ns(plan.steps)
    # Longer than the limit by what the bounds of the last probes may take away from it.
    deadline = Duration.of_ns(lasting + limit.ns + hold + _VACUOUS_NS)
    told = f", judged against an rto of {limit} (3 × the proven run, at least 10 s)"
    drill = with_limit(plan.drill, limit)
    if drill.abort is not None and drill.abort.for_.ns <= deadline.ns:
        # Its guard would end the run for what the control is there to show; the deadline ends it soon enough.
        # Not at the same instant, or either of them may be the first.
        later = Duration.of_ns(deadline.ns + _VACUOUS_NS)
        drill = drill.model_copy(update={"abort": drill.abort.model_copy(update={"for_": later})})
        told += f", its abort guard after {later}"
    return _noted(plan, control, told).model_copy(update={"drill": drill, "deadline": deadline})


def with_limit(drill: Drill, limit: Duration) -> Drill:
    """The drill with every recovery time that it asks for replaced, and nothing else."""
    objectives: dict[str, Objective] = {
        name: one.model_copy(update=dict.fromkeys(_recovery_times(one), limit))
        for name, one in drill.objectives.items()
    }
    return drill.model_copy(update={"objectives": objectives})


def _asks_for_recovery(plan: Plan) -> bool:
    """Of a journey, of the whole system's minimum service, or of its redundancy: each of them is missed without one."""
    return any(_recovery_times(one) for one in plan.drill.objectives.values())


def _recovery_times(asked: Objective) -> list[str]:
    """The fields of an objective that are recovery times, and asked for."""
    return [name for name in ("rto", "minimum_service") if getattr(asked, name) is not None]


def _ending_together(steps: Sequence[PlannedStep], registry: Registry) -> list[list[PlannedStep]]:
    """The steps, those together that end in one instant by the clock, on the same targets, and of which the undo of
    one takes back the other: with one end left out the other would do for both, and nothing would be missed."""
    groups: list[list[PlannedStep]] = []
    for step in steps:
        end = _end(step, steps)
        for group in groups:
            first = group[0]
            if (
                end is not None
                and end == _end(first, steps)
                and takes_back_both(first, step, registry) == frozenset(first.on) == frozenset(step.on)
            ):
                group.append(step)
                break
        else:
            groups.append([step])
    return groups


def _end(step: PlannedStep, steps: Sequence[PlannedStep]) -> int | None:
    """When it is undone by the clock alone, ns; None where that waits for something, or for the drill's end."""
    begin = begins_ns(step, steps)
    return None if begin is None or step.for_ is None else begin + step.for_.ns


def _left_out(together: list[PlannedStep]) -> Control:
    step, *others = together
    if step.kind == "response":
        return Control("leave-out", step.id, f"{step.name} (step {step.id})")
    if not others:
        return Control("leave-out", step.id, f"the end of {step.name} after {step.for_} (step {step.id})")
    also = tuple(other.id for other in others)
    return Control(
        "leave-out", step.id, f"the end of {step.name} (steps {', '.join((step.id, *also))})", also
    )


def _noted(plan: Plan, control: Control, more: str) -> Plan:
    return plan.model_copy(update={"notes": (f"CONTROL: {control.name}{more}", *plan.notes)})
