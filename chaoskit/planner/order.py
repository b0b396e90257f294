"""What the order of the steps makes certain: a response before anything is broken, or before what it needs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from chaoskit.errors import Problem
from chaoskit.model.parameters import build
from chaoskit.model.plan import PlannedStep
from chaoskit.quantity import Duration
from chaoskit.spec import Loaded, Registry


def refuse_order(steps: Sequence[PlannedStep], loaded: Loaded, registry: Registry) -> Iterator[Problem]:
    """Only what is certain whatever happens in the run; what may come in either order is left to its judge."""
    faults = [step for step in steps if step.kind == "fault"]
    if steps and not faults:  # a system alone, which an engineer's tests drive, has no timeline at all
        message = "nothing is broken: the timeline has no fault, so that its outcome would be unknown"
        yield loaded.places.problem(("timeline",), message, "add a step with `fault:`", key=True)
    yield from _refuse_waits(steps, faults, loaded)
    members = registry.members("responses")
    for number, step in enumerate(steps):
        if step.kind != "response":
            continue
        loc = ("timeline", number, "respond")
        earlier = [other for other in steps if other is not step and not _surely_after(other, step, steps)]
        if step.recovers and faults and not any(one in earlier for one in faults):
            first = min(_soonest_ns(one, steps) for one in faults)
            message = f"`{step.name}` comes before anything is broken: no fault begins before {Duration.of_ns(first)}"
            hint = "start it by `when: {down: …}`, or after a fault; its own outage would be in no number"
            yield loaded.places.problem(loc, message, hint)
        check = getattr(members.get(step.name), "check_order", None)
        if check is None:
            continue
        try:
            check(build(members[step.name], step.params), earlier)
        except ValueError as error:
            hint = f"`chaoskit catalogue {step.name}` says what it needs"
            yield loaded.places.problem(loc, str(error), hint)


def _refuse_waits(
    steps: Sequence[PlannedStep], faults: Sequence[PlannedStep], loaded: Loaded
) -> Iterator[Problem]:
    """Waits that only end with the run, as unknown."""
    named = {one.id: one for one in steps}
    if faults and all(_waits_for_trouble(one, steps) for one in faults):
        message = f"`{faults[0].id}` waits for what only a fault brings about, and no fault begins without such a wait"
        hint = "begin one fault by `at:`"
        yield loaded.places.problem(("timeline", steps.index(faults[0])), message, hint)
    for number, step in enumerate(steps):
        ends = named.get(step.when.done or "") if step.when is not None else None
        if ends is not None and ends.kind == "fault" and ends.for_ is None:
            message = f"`{ends.id}` is undone by the drill's end only, so that `{step.id}` would never begin"
            hint = f"write `for:` at that fault, or `when: {{begun: {ends.id}}}`"
            yield loaded.places.problem(("timeline", number, "when", "done"), message, hint)


def _waits_for_trouble(step: PlannedStep, steps: Sequence[PlannedStep]) -> bool:
    """Whether it, or what it waits for, begins with a service down, a stop rule or a recovery."""
    named = {one.id: one for one in steps}
    chain = [step, *(named[one] for one in awaited(step, steps))]
    return any(
        one.when is not None and (one.when.down or one.when.stop_rule or one.when.recovered) for one in chain
    )


def _surely_after(other: PlannedStep, step: PlannedStep, steps: Sequence[PlannedStep]) -> bool:
    """Whether `other` can only begin once `step` has begun."""
    if step.id in awaited(other, steps):
        return True
    return step.at is not None and _soonest_ns(other, steps) > step.at.ns


def awaited(step: PlannedStep, steps: Sequence[PlannedStep]) -> list[str]:
    """The ids it waits for, one through the other; `spec` has refused steps that wait for themselves."""
    named = {one.id: one for one in steps}
    found: list[str] = []
    at = before(step)
    while at is not None and at not in found:
        found.append(at)
        at = before(named[at])
    return found


def before(step: PlannedStep) -> str | None:
    """The id of the step whose begin or end it waits for."""
    return (step.when.done or step.when.begun) if step.when is not None else step.after_step


def _soonest_ns(step: PlannedStep, steps: Sequence[PlannedStep]) -> int:
    """When it begins at the earliest; what waits to see something down begins after the first fault."""
    if step.at is not None:
        return step.at.ns
    after = step.after.ns if step.after is not None else 0
    first = next((one for one in steps if one.id == before(step)), None)
    if first is not None:
        ended = step.when is not None and step.when.done is not None
        lasting = first.for_.ns if ended and first.for_ is not None else 0
        return _soonest_ns(first, steps) + lasting + after
    return min((one.at.ns for one in steps if one.kind == "fault" and one.at is not None), default=0) + after
