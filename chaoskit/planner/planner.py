"""Decides everything a run will do, from drill, system, runtime and seed alone; refuses what cannot run here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, Protocol

from chaoskit.errors import InputError, Problem
from chaoskit.model.drill import Step
from chaoskit.model.parameters import build
from chaoskit.model.people import Decider, decider_of
from chaoskit.model.plan import Fidelity, Place, Plan, PlannedStep
from chaoskit.model.preparation import Preparation, merged
from chaoskit.model.system import System
from chaoskit.planner import guard, schedule
from chaoskit.planner.order import refuse_order
from chaoskit.planner.overlap import refuse_overlaps
from chaoskit.planner.people import people_notes
from chaoskit.planner.wiring import Wired, wire
from chaoskit.registry import Kind
from chaoskit.spec import Loaded, Registry
from chaoskit.spec.drill_names import RUNBOOK_MEMBERS, step_ids

MEMBERS: dict[str, Kind] = {"fault": "faults", "response": "responses", "probe": "probes"}
"""Where the member of a step is registered."""


class PlanningRuntime(guard.Offer, Protocol):
    """A runtime as far as planning needs it; `model.estate.Runtime` fits."""

    def fidelity(self, plan: Plan) -> Any: ...


def plan(
    loaded: Loaded,
    runtime: PlanningRuntime,
    registry: Registry,
    *,
    pace: Literal["drill", "real"] = "drill",
    terminal: bool = False,
) -> Plan:
    """The plan of one run. Pure: the same arguments give the same plan. `terminal`: somebody is there to be asked.

    Raises:
        InputError: every step, service and link that this runtime cannot run, each with its place.
    """
    problems: list[Problem] = []
    notes: list[str] = list(loaded.compose.notes)
    drill = loaded.drill
    steps = plan_steps(loaded, registry)
    problems += guard.refuse_steps(steps, loaded, runtime)
    problems += guard.refuse_questions(steps, loaded, terminal)
    problems += _misplaced(steps, loaded, registry)
    wanted = preparations(steps, loaded, registry, problems)
    problems += guard.refuse_services(loaded, runtime)
    wired = wire(loaded.system) if runtime.wires_by_environment else Wired()
    problems += guard.refuse_wiring(wired, loaded)
    probes = schedule.probes(loaded, problems)
    criteria = schedule.criteria(loaded, probes, problems, notes)
    if problems:
        raise InputError(*problems)
    hold = max((criterion.hold_ns for criterion in criteria.values()), default=0)
    deadline, why = schedule.deadline(drill, steps, hold, pace)
    notes += [*people_notes(drill, steps, pace), *_unsaid(steps, loaded, registry)]
    notes.append(f"without recovery the run ends {deadline} after the first fault was seen: {why}")
    notes += [*wired.notes, *guard.left_aside(loaded, runtime)]
    made = Plan(
        drill=drill,
        drill_path=str(loaded.path),
        system=loaded.system,
        runtime=runtime.name,
        seed=drill.seed,
        pace=pace,
        load=drill.load,
        probes=probes,
        criteria=criteria,
        steps=steps,
        wirings=wired.wirings,
        preparations=wanted,
        deadline=deadline,
        notes=tuple(notes),
    )
    return made.model_copy(update={"fidelity": tuple(_declared(one, made) for one in runtime.fidelity(made))})


def mistakes(loaded: Loaded, registry: Registry) -> list[Problem]:
    """What no runtime could mend: responses and targets that cannot be, steps in an order that cannot come out."""
    steps = plan_steps(loaded, registry)
    problems = _misplaced(steps, loaded, registry)
    preparations(steps, loaded, registry, problems)
    return problems


def _misplaced(steps: Sequence[PlannedStep], loaded: Loaded, registry: Registry) -> list[Problem]:
    return [
        *guard.refuse_responses(steps, loaded, registry),
        *refuse_order(steps, loaded, registry),
        *refuse_overlaps(steps, loaded, registry),
    ]


def _declared(one: Fidelity, made: Plan) -> Fidelity:
    """A service that the system declares to stand in for something is no real one, however it runs."""
    stands_for = made.system.stand_ins.get(one.service)
    if stands_for is None:
        return one
    return one.model_copy(update={"kind": "stand-in", "what": f"stands in for {stands_for}; {one.what}"})


def _unsaid(steps: Sequence[PlannedStep], loaded: Loaded, registry: Registry) -> Iterator[str]:
    """What brings the system back although no step does, and looks that only a check would judge which is not asked."""
    for service, role in loaded.system.watchdogs.items():
        yield f"{service} brings {role} back by itself; `prove` leaves that out by killing it beforehand"
    probes = registry.members("probes")
    for step in steps:
        check = getattr(probes.get(step.name), "judged_by", None) if step.kind == "probe" else None
        if check is not None and check not in loaded.drill.checks:
            yield f"nobody judges what the step {step.id} sees: `{check}` would, and is not among `checks`"


def plan_steps(loaded: Loaded, registry: Registry) -> tuple[PlannedStep, ...]:
    """The timeline with ids, targets and volleys.

    Faults with equal `at`, or the same `when` and `after`, are one volley: armed together, applied in one instant. A
    response is a volley of its own.
    """
    steps = loaded.drill.timeline
    ids = step_ids(steps)
    volleys: dict[Any, int] = {}
    planned = []
    for number, (step, name) in enumerate(zip(steps, ids, strict=True)):
        instant: Any = ("step", name)
        if step.fault is not None and step.at is not None:
            instant = ("at", step.at.ns)
        elif step.fault is not None and step.when is not None:
            instant = ("when", step.when.model_dump_json(), step.after.ns if step.after else 0)
        follows = step.at is None and step.when is None
        member, on = _member(step, loaded.system, registry)
        planned.append(
            PlannedStep(
                id=name,
                kind=step.kind,
                name=member,
                on=on,
                params=step.params,
                volley=volleys.setdefault(instant, len(volleys)),
                at=step.at,
                after=step.after,
                after_step=ids[number - 1] if follows else None,
                when=step.when,
                for_=step.for_,
                decision=step.decision,
                decider=_decider(step, loaded),
                place=_place(loaded, number),
                requires=_requires(step, member, registry),
                recovers=_recovers(step, member, registry),
                destroys_data=_says("destroys_data", step, member, registry),
                mends_books=_says("mends_books", step, member, registry),
            )
        )
    return tuple(planned)


def _member(step: Step, system: System, registry: Registry) -> tuple[str, tuple[str, ...]]:
    """The registered name and the services a step means: runbooks, roles and sites are resolved."""
    name, on = step.name, step.on
    runbook = system.runbooks.get(name) if step.respond is not None else None
    if runbook is not None:
        if name not in registry.members("responses"):
            name = RUNBOOK_MEMBERS[runbook.database or ""]
        if not on and runbook.on is not None:
            on = (runbook.on,)
    if step.fault is not None:
        on = tuple(one for target in on for one in system.sites.get(target, (target,)))
    return name, tuple(dict.fromkeys(_service(target, system) for target in on))


def preparations(
    steps: tuple[PlannedStep, ...], loaded: Loaded, registry: Registry, problems: list[Problem]
) -> tuple[Preparation, ...]:
    """What the members need before the start; a target that cannot have it is a problem at its step."""
    wanted: list[Preparation] = []
    for number, step in enumerate(steps):
        member = registry.members(MEMBERS[step.kind]).get(step.name)
        prepare = getattr(member, "prepare", None)
        if member is None or prepare is None:
            continue
        for target in step.on:
            try:
                wanted += prepare(build(member, step.params), target, loaded.system)
            except ValueError as error:
                hint = f"`chaoskit catalogue {step.name}` says what it needs"
                problems.append(loaded.places.problem(("timeline", number), str(error), hint))
    return merged(tuple(wanted))


def _service(target: str, system: System) -> str:
    role, dot, member = target.partition(".")
    if dot and target not in system.services and role in system.roles:
        return getattr(system.roles[role], member) or target
    return target


def _requires(step: Step, name: str, registry: Registry) -> tuple[str, ...]:
    members: Mapping[str, type] = registry.members(MEMBERS[step.kind])
    return tuple(sorted(getattr(members[name], "requires", ())))


def _recovers(step: Step, name: str, registry: Registry) -> bool:
    if step.kind == "probe":
        return False
    return bool(step.fault or getattr(registry.members("responses")[name], "recovers", True))


def _says(what: str, step: Step, name: str, registry: Registry) -> bool:
    """What the member says of itself; in the plan, so that an old run can be judged without the member."""
    said: bool | frozenset[str] = getattr(registry.members(MEMBERS[step.kind])[name], what, False)
    return said if isinstance(said, bool) else not said.isdisjoint(step.params)


def _decider(step: Step, loaded: Loaded) -> Decider | None:
    if step.decision is None:
        return None
    return decider_of(step.decision.role, loaded.drill.absent, loaded.system.substitutes)


def _place(loaded: Loaded, number: int) -> Place:
    at = loaded.places.at("timeline", number)
    return Place(path=str(at.path), line=at.line, column=at.column)
