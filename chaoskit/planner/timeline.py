"""A plan as a person would read it aloud: what breaks when, who does what, what is asked, and what stands for what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tabulate import tabulate

from chaoskit.model.base import kebab
from chaoskit.model.drill import Objective, When
from chaoskit.model.journey import MINIMUM_SERVICE
from chaoskit.model.plan import Plan, PlannedStep
from chaoskit.model.redundancy import REDUNDANCY_RESTORED
from chaoskit.model.release import StopRule
from chaoskit.quantity import Duration

_ORDER = {"done": "has ended", "begun": "has begun"}


def read_aloud(plan: Plan) -> str:
    """The whole plan as text of at most 120 columns or so; no colours, no clock, the same for the same plan."""
    drill = plan.drill
    variant = f", variant {plan.system.variant}" if plan.system.variant else ""
    head = [
        f"{drill.drill}: {drill.title}",
        f"  {plan.system.system}{variant} on {plan.runtime}, seed {plan.seed}",
    ]
    sections = [
        (
            "load (open loop, Poisson) and probes",
            _table(("journey", "rate", "probed every", "good within"), _load(plan)),
        ),
        ("steady state", [_steady(plan)]),
        ("timeline, from the end of the steady state", _timeline(plan)),
        ("objectives", _table(("journey", *_OBJECTIVES), _objectives(plan))),
        ("recovered when", _recovered(plan)),
        ("afterwards", _after(plan)),
        ("wiring", _table(("service", "variable", "points at"), _wiring(plan))),
        ("what stands for what", _table(("service", "kind", "what"), _fidelity(plan))),
        ("notes", [f"- {note}" for note in plan.notes]),
    ]
    text = [*head]
    for title, lines in sections:
        if lines:
            text += ["", title, *(f"  {line}".rstrip() for line in lines)]
    return "\n".join(text)


_OBJECTIVES = tuple(kebab(name) for name in Objective.model_fields)


def _table(headers: Iterable[str], rows: list[tuple[str, ...]]) -> list[str]:
    return (
        tabulate(rows, headers=list(headers), tablefmt="plain", disable_numparse=True).splitlines()
        if rows
        else []
    )


def _load(plan: Plan) -> list[tuple[str, ...]]:
    every = {probe.journey: str(probe.every) for probe in plan.probes}
    journeys = plan.system.journeys
    return [
        (name, str(rate), every.get(name, "–"), str(journeys[name].good.within))
        for name, rate in plan.load.items()
    ]


def _steady(plan: Plan) -> str:
    steady = plan.drill.steady
    p99 = f", p99 at most {steady.p99}" if steady.p99 else ""
    return f"{steady.success} good{p99}, for {steady.for_} (reached within {steady.within}); again at the end"


def _timeline(plan: Plan) -> list[str]:
    lines = []
    together: set[int] = set()
    for step in plan.steps:
        same = step.volley in together
        together.add(step.volley)
        begin = "in the same instant" if same else _begin(step)
        what = [_decision(step, plan.pace), _action(step)]
        lines.append(f"{begin}: {', then '.join(part for part in what if part)}")
        lines += [f"    {line}" for line in _detection(step, plan.system.stop_rules)]
    return lines


def _begin(step: PlannedStep) -> str:
    if step.at is not None:
        return f"{step.at}"
    after = f"{step.after} after " if step.after else ""
    if step.when is None:
        return f"{after or 'after '}the step {step.after_step}"
    return f"{after or 'when '}{_event(step.when)}"


def _event(when: When) -> str:
    if when.down is not None:
        return f"{when.down} misses {when.misses} looks {when.every} apart"
    if when.stop_rule is not None:
        return f"the stop rule {when.stop_rule} says so"
    if when.recovered is not None:
        return f"{when.recovered} has recovered"
    return f"the step {when.done or when.begun} {_ORDER['done' if when.done else 'begun']}"


def stop_rule_in_words(rule: StopRule) -> str:
    """`less than 90% of transfer good (of what ended in 500ms) for 3s`."""
    whose = " and ".join(rule.journeys)
    return f"less than {rule.below} of {whose} good (of what ended within {rule.over}) for {rule.for_}"


def _detection(step: PlannedStep, rules: Mapping[str, StopRule]) -> list[str]:
    """How detection looks, and how long it can take: the last good look just before the fault, each miss timing out."""
    if step.when is None:
        return []
    limit = f"given up after {step.when.within}: then the run is unknown"
    if step.when.stop_rule is not None:
        return [f"{stop_rule_in_words(rules[step.when.stop_rule])}; {limit}"]
    if step.when.down is None:
        return [limit]
    longest = Duration.of_ns(step.when.misses * step.when.every.ns + step.when.timeout.ns)
    return [f"direct looks, {step.when.timeout} each; detection takes at most {longest}; {limit}"]


def _decision(step: PlannedStep, pace: str) -> str:
    if step.decision is None:
        return ""
    decision, role, reached = step.decision, step.decision.role, ""
    if step.decider is not None and step.decider.absent:
        away = " and ".join(step.decider.absent)
        if step.decider.role is None:
            return f"nobody decides: {away} cannot be reached"
        role = step.decider.role
        reached = f", {step.decider.reached} until reached in place of {away}"
    if decision.asked:
        return f"the {role} is asked on the terminal (answer within {decision.within}{reached})"
    how = "modelled, not waited for"
    if pace == "real":
        how = "lived in real time"
    elif decision.pace is not None:
        how = f"modelled, {decision.pace} of it waited for"
    return f"the {role} decides ({decision.takes}, {how}{reached})"


def _action(step: PlannedStep) -> str:
    on = f" on {' and '.join(step.on)}" if step.on else ""
    params = "".join(f", {key} {value}" for key, value in step.params.items())
    lasts = ""
    if step.kind == "fault":
        lasts = f", for {step.for_}" if step.for_ else ", until the drill's end"
    looks = "a look by " if step.kind == "probe" else ""
    name = f"{looks}{step.name}{on}{params}{lasts}"
    return name if step.id == step.name else f"{name} [{step.id}]"


def _objectives(plan: Plan) -> list[tuple[str, ...]]:
    rows = []
    whole = [name for name in (MINIMUM_SERVICE, REDUNDANCY_RESTORED) if name in plan.drill.objectives]
    for journey in [*plan.load, *whole]:
        wanted = plan.drill.objectives[journey] if journey in whole else plan.drill.objective(journey)
        values = [getattr(wanted, name) for name in Objective.model_fields]
        rows.append((journey, *("–" if value is None else str(value) for value in values)))
    return rows


def _recovered(plan: Plan) -> list[str]:
    lines = []
    for journey, one in plan.criteria.items():
        hold, window = Duration.of_ns(one.hold_ns), Duration.of_ns(one.window_ns)
        short = " (shortened)" if one.shortened else ""
        lines.append(
            f"{journey}: {one.good_ratio:.0%} of probes good in every {window}, held for {hold}{short}"
        )
    return lines


def _after(plan: Plan) -> list[str]:
    drill = plan.drill
    lines = [f"two snapshots of the books, {drill.settle.gap} apart"] if plan.system.books else []
    lines += [f"checks: {', '.join(drill.checks)}"] if drill.checks else []
    if drill.abort is not None:
        lines.append(f"stopped early if {drill.abort.if_} for {drill.abort.for_}")
    wanted = (
        "pass" if isinstance(drill.expect, str) else f"exactly these fail: {', '.join(drill.expect.fail)}"
    )
    return [*lines, f"expected: {wanted}"]


def _wiring(plan: Plan) -> list[tuple[str, ...]]:
    return [(one.service, one.variable, ", ".join(one.links)) for one in plan.wirings]


def _fidelity(plan: Plan) -> list[tuple[str, ...]]:
    return [(one.service, one.kind, one.what) for one in plan.fidelity]
