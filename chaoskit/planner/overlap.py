"""Faults that take one another back: a step whose undo ends another one's, and two roll-outs to one service.

a   ├──── for ────┤ undo            of one kind on one target: a's undo takes b back as well, while the
b          ├──────────── …          run goes on as if b lasted
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from itertools import combinations
from typing import Any

from chaoskit.errors import Problem
from chaoskit.model.parameters import build
from chaoskit.model.plan import PlannedStep
from chaoskit.planner.order import awaited, before
from chaoskit.quantity import Duration
from chaoskit.spec import Loaded, Registry


def refuse_overlaps(steps: Sequence[PlannedStep], loaded: Loaded, registry: Registry) -> Iterator[Problem]:
    """Two faults of one kind of which one would undo, or overtake, the other."""
    members = registry.members("faults")
    faults = [(number, step) for number, step in enumerate(steps) if step.kind == "fault"]
    for number, step in faults:
        yield from _within_one_step(number, step, loaded, registry)
    for (_, step), (later, other) in combinations(faults, 2):
        if step.name != other.name or (member := members.get(step.name)) is None:
            continue
        if getattr(member, "occupies", None) is not None:
            taken = _occupied(step, loaded, registry) & _occupied(other, loaded, registry)
            if taken and not (
                _over_before(step, other, steps, member) or _over_before(other, step, steps, member)
            ):
                yield _both(later, step.id, other, taken, loaded)
        elif (same := takes_back_both(step, other, registry)) and _cut_short(step, other, steps):
            where = ", ".join(sorted(same))
            message = f"`{other.id}` overlaps `{step.id}` on {where}: the undo of one takes back both"
            hint = "let one end before the other begins, or write one step"
            yield loaded.places.problem(("timeline", later, "fault"), message, hint)


def takes_back_both(step: PlannedStep, other: PlannedStep, registry: Registry) -> frozenset[str]:
    """The targets on which the undo of one of two faults ends the other as well."""
    member = registry.members("faults").get(step.name)
    reach = getattr(member, "undo_reach", None)
    if member is None or reach is None or step.name != other.name:
        return frozenset()
    if reach == "alike":
        same = step.params == other.params  # a plain class has none
        alike = same or _same_names(build(member, step.params), build(member, other.params))
    elif reach != "kind" and (said := step.params.get(reach)) is not None:
        # A server takes WORK_MEM for work_mem.
        alike = str(said).casefold() == str(other.params.get(reach)).casefold()
    else:
        alike = reach == "kind"
    return frozenset(step.on) & frozenset(other.on) if alike else frozenset()


def _same_names(one: Any, other: Any) -> bool:
    """Whether what two faults of one kind put somewhere has a name in common, and so the undo of one takes it away.

    The names tell values, however they are written and in whatever order, and of a link's fault the direction: `both`
    has a name for each.
    """
    ways = {getattr(one, "direction", None), getattr(other, "direction", None)}
    if len(ways) > 1 and "both" in ways:
        other = replace(other, direction=one.direction)
    return _values(one) == _values(other)


def _values(member: Any) -> dict[str, Any]:
    values = {one.name: getattr(member, one.name) for one in fields(member)}
    return {name: frozenset(value) if isinstance(value, tuple) else value for name, value in values.items()}


def _within_one_step(number: int, step: PlannedStep, loaded: Loaded, registry: Registry) -> Iterator[Problem]:
    for one, other in combinations(step.on, 2):
        taken = _occupied(step, loaded, registry, (one,)) & _occupied(step, loaded, registry, (other,))
        if taken:
            yield _both(number, one, step, taken, loaded)


def _both(number: int, one: str, other: PlannedStep, taken: frozenset[str], loaded: Loaded) -> Problem:
    what = ", ".join(sorted(taken))
    message = (
        f"`{one}` and `{other.id}` may both be changing {what}, and a roll-back takes back only the latest"
    )
    hint = "begin the second one `when: {done: …}` a roll-back of the first"
    return loaded.places.problem(("timeline", number, "fault"), message, hint)


def _occupied(
    step: PlannedStep, loaded: Loaded, registry: Registry, targets: Sequence[str] | None = None
) -> frozenset[str]:
    member = registry.members("faults").get(step.name)
    occupies = getattr(member, "occupies", None)
    if member is None or occupies is None:
        return frozenset()
    made = build(member, step.params)
    found = [occupies(made, one, loaded.system) for one in (step.on if targets is None else targets)]
    return frozenset().union(*found)


def _over_before(one: PlannedStep, other: PlannedStep, steps: Sequence[PlannedStep], member: type) -> bool:
    """Whether `other` can only begin when `one` is undone, or when a response that ends it is done."""
    begin, later = begins_ns(one, steps), begins_ns(other, steps)
    if one.for_ is not None and begin is not None and later is not None and begin + one.for_.ns < later:
        return True
    ends = getattr(member, "ended_by", ())
    return any(
        step.id == one.id or (step.name in ends and one.id in awaited(step, steps))
        for step in _ends_awaited(other, steps)
    )


def _cut_short(one: PlannedStep, other: PlannedStep, steps: Sequence[PlannedStep]) -> bool:
    """Whether, by the clock, one of them is undone while the other should last; where no clock tells, no."""
    first, second = begins_ns(one, steps), begins_ns(other, steps)
    if first is None or second is None:
        return False
    ends = [
        begin + step.for_.ns if step.for_ is not None else None
        for begin, step in ((first, one), (second, other))
    ]
    if ends[0] == ends[1]:  # in one instant, or both with the drill
        return False
    return (ends[0] is None or second <= ends[0]) and (ends[1] is None or first <= ends[1])


def begins_ns(step: PlannedStep, steps: Sequence[PlannedStep]) -> int | None:
    """When it begins by the clock alone, ns; None where it waits for what the run brings."""
    if step.at is not None:
        return step.at.ns
    at = step.after_step if step.when is None else step.when.begun
    follows = next((one for one in steps if one.id == at), None)
    if follows is None or follows.kind != "fault":
        return None
    begun = begins_ns(follows, steps)
    return None if begun is None else begun + (step.after or Duration.of_ns(0)).ns


def _ends_awaited(step: PlannedStep, steps: Sequence[PlannedStep]) -> list[PlannedStep]:
    """The steps whose end it waits for, one through the other."""
    named = {one.id: one for one in steps}
    chain = [step, *(named[one] for one in awaited(step, steps))]
    pairs = [(one, named[at]) for one in chain if (at := before(one)) is not None]
    return [
        first
        for one, first in pairs
        if (first.kind != "fault" if one.when is None else one.when.done is not None)
    ]
