"""Human time in a plan: what is modelled and what is lived of it, who decides, and what the reader has to know."""

from __future__ import annotations

from collections.abc import Sequence

from chaoskit.model.drill import Drill
from chaoskit.model.plan import PlannedStep
from chaoskit.quantity import Duration


def people_ns(steps: Sequence[PlannedStep], pace: str) -> tuple[int, int]:
    """(modelled, lived) time of all decisions, ns.

    A paced one is lived for its pace and models the rest; an asked one may be waited for until its limit. Until a
    substitute is reached nothing is waited for, unless the pace is `real`.
    """
    modelled = lived = 0
    for step in steps:
        decision, decider = step.decision, step.decider
        if decision is None:
            continue
        reached = decider.reached.ns if decider is not None else 0
        there = decider is None or decider.role is not None
        takes = decision.takes.ns if decision.takes is not None and there else 0
        lived += step.lived_ns(pace)
        modelled += reached + max(takes, step.waits_ns(pace)) - step.lived_ns(pace)
    return modelled, lived


def people_notes(drill: Drill, steps: Sequence[PlannedStep], pace: str) -> list[str]:
    """Warnings about human time: modelled time is judged, and an RTO below it cannot be met by any machine."""
    modelled, _ = people_ns(steps, pace)
    notes = []
    takes = sum(
        (step.decision.takes.ns if step.decision.takes is not None else 0)
        + (step.decider.reached.ns if step.decider is not None else 0)
        for step in steps
        if step.decision is not None
    )
    for journey in drill.load:
        rto = drill.objective(journey).rto
        if rto is not None and takes >= rto.ns:
            notes.append(
                f"{journey}: its RTO of {rto} cannot be met, people alone take {Duration.of_ns(takes)}"
            )
    notes += [told for step in steps if (told := _absent(step))]
    if modelled:
        notes.append(
            f"{Duration.of_ns(modelled)} of decisions are modelled: added to the RTA, while loss and in doubt are "
            "measured over the machine's outage only"
        )
    return notes


def _absent(step: PlannedStep) -> str:
    decider = step.decider
    if decider is None or not decider.absent:
        return ""
    away = " and ".join(decider.absent)
    if decider.role is None:
        return f"nobody can decide {step.id}: {away} cannot be reached, and nobody else stands in"
    return f"{decider.role} decides {step.id}: {away} cannot be reached, {decider.reached} until {decider.role} is"
