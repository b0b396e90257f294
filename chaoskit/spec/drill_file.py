"""A drill file's values to model.Drill: steps and their members' parameters validated, every name in them checked."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from chaoskit.errors import Problem
from chaoskit.model.base import kebab
from chaoskit.model.drill import EVENTS, Drill, Step, When
from chaoskit.model.system import Link
from chaoskit.spec.explain import shown_key
from chaoskit.spec.member_params import Registry, check_params
from chaoskit.spec.people import decision_rules
from chaoskit.spec.places import Loc, Places, nearest, shown
from chaoskit.spec.validation import check

STEP_KEYS = [kebab(name) for name in Step.model_fields if name != "params"]
WHAT = ("fault", "respond", "probe")
"""What a step can do; exactly one of them."""
MATRIX_KEYS_NOT = frozenset({"drill", "system", "matrix"})


@dataclass(frozen=True)
class CheckedDrill:
    """With problems, `drill` holds only what is right; `steps` pairs each kept step with its index in the file.

    `driven` names the journeys under `load`, those with an unfit rate too.
    """

    drill: Drill
    steps: tuple[tuple[int, Step], ...]
    driven: tuple[str, ...]
    problems: tuple[Problem, ...]


def check_drill(data: Mapping[str, Any], places: Places, registry: Registry) -> CheckedDrill:
    """Validate a drill's values by themselves; what they name in the system is checked by `drill_names`."""
    shaped, problems = _shape(data, places)
    checked = check(Drill, shaped, places)
    problems += checked.problems
    for key, spans in (("steady", ("for", "within")), ("settle", ("hold",)), ("abort", ("for",))):
        if isinstance(data.get(key), dict):
            _zero((key,), data[key], spans, places, problems)
    problems += _guard(data.get("abort"), places)
    indices = checked.index.get("timeline", [])
    steps = tuple(zip(indices, checked.value.timeline, strict=False))
    for number, step in steps:
        raw = {key: value for key, value in shaped["timeline"][number].items() if value is not None}
        problems += _step_rules(("timeline", number), number, raw, places)
        problems += _members(("timeline", number), step, places, registry)
    load: Any = data.get("load") if isinstance(data.get("load"), dict) else {}
    return CheckedDrill(checked.value, steps, tuple(load), tuple(problems))


def _guard(abort: Any, places: Places) -> list[Problem]:
    """A guard that could never speak, or would always."""
    written = abort.get("if") if isinstance(abort, dict) else None
    found = re.fullmatch(r"success < (\d+(?:\.\d+)?)\s?%", written) if isinstance(written, str) else None
    if found is None or 0 < float(found[1]) <= 100:
        return []
    why = "no share is less" if float(found[1]) == 0 else "every share is less"
    return [
        places.problem(("abort", "if"), f"`if`: {shown(written)}: {why}", "write a share like `success < 1%`")
    ]


def _shape(data: Mapping[str, Any], places: Places) -> tuple[dict[str, Any], list[Problem]]:
    """The short forms as the model wants them: one target as a list, parameters apart, links spaced alike."""
    shaped: dict[str, Any] = copy.copy(dict(data))
    timeline = shaped.get("timeline")
    if isinstance(timeline, list):
        shaped["timeline"] = [_shape_step(step) for step in timeline]
    expect, missing = _of_variant(shaped, places)
    if missing:
        shaped.pop("expect")
        return shaped, missing
    shaped |= {"expect": expect} if "expect" in shaped else {}
    if isinstance(expect, dict) and isinstance(expect.get("fail"), str):
        shaped["expect"] = {**expect, "fail": [expect["fail"]]}
    elif isinstance(expect, str) and expect != "pass":
        shaped.pop("expect")
        hint = "write `expect: pass`, or `expect: {fail: transfer.rto}` naming what must be missed"
        return shaped, [places.problem(("expect",), f"`expect`: {shown(expect)} is not allowed", hint)]
    return shaped, []


def _of_variant(data: Mapping[str, Any], places: Places) -> tuple[Any, list[Problem]]:
    """`expect:`, or what it says for the drill's variant where it says one thing for each."""
    expect, variant = data.get("expect"), data.get("variant")
    if not isinstance(expect, dict) or set(expect) <= {"fail"}:
        return expect, []
    if variant in expect:
        return expect[variant], []
    message = f"`expect` says nothing of the variant {shown(variant)}"
    hint = "write `expect: {fail: …}`, or the outcome of each variant by its name"
    return expect, [places.problem(("expect",), message, hint)]


def _shape_step(step: Any) -> Any:
    if not isinstance(step, dict):
        return step
    shaped = {key: value for key, value in step.items() if key in STEP_KEYS}
    extra = {key: value for key, value in step.items() if key not in STEP_KEYS}
    on = shaped.get("on")
    if isinstance(on, str):
        on = [on]
    if isinstance(on, list):
        shaped["on"] = [_link_spacing(target) for target in on]
    if not extra or not any(step.get(key) for key in WHAT):
        return {**shaped, **extra}
    return {**shaped, "params": extra}


def _link_spacing(target: Any) -> Any:
    if not isinstance(target, str) or "->" not in target:
        return target
    try:
        return Link.parse(target).name
    except ValueError:
        return target


def _step_rules(loc: Loc, number: int, step: Mapping[str, Any], places: Places) -> list[Problem]:
    """What no type says: one thing a step does, one thing that starts it. `step` is as written, without nulls."""
    problems: list[Problem] = []

    def say(message: str, hint: str = "", key: str = "") -> None:
        problems.append(places.problem((*loc, key) if key else loc, message, hint, key=bool(key)))

    does = [key for key in WHAT if key in step]
    if len(does) != 1:
        say(
            f"a step has exactly one of {', '.join(f'`{key}`' for key in WHAT)}", key=does[-1] if does else ""
        )
    if "at" in step and ("when" in step or "after" in step):
        say("`at` and `when`/`after` are two ways to start a step", "keep one", "at")
    if not {"at", "when", "after"} & set(step):
        say("nothing starts this step", "write `at: 0s`, `when: {down: …}` or `after: 2s`")
    if number == 0 and "after" in step and not {"at", "when"} & set(step):
        say("`after` alone follows the step before, and there is none", "write `at: 0s`", "after")
    if "for" in step and "fault" not in step:
        say("`for` undoes a fault; nothing else is undone", "remove it", "for")
    if "decision" in step and "respond" not in step:
        say("`decision` stands before a response; nothing else asks anybody", "remove it", "decision")
    for key, meant in (("fault", "what it hits"), ("probe", "what it looks at")):
        if key in step and not step.get("on"):
            also = ", or a link 'caller -> callee'" if key == "fault" else ""
            say(f"{shown(step[key])} needs `on:`, {meant}", f"a service{also}", key)
    on = step.get("on")
    for one, target in enumerate(on if isinstance(on, list) else []):
        if target in on[:one]:  # type: ignore[index]
            say(f"{shown(target)} is named twice", key="on")
    if isinstance(decision := step.get("decision"), dict):
        problems += decision_rules((*loc, "decision"), decision, places)
        _zero((*loc, "decision"), decision, ("within",), places, problems)
    if isinstance(step.get("when"), dict):
        _when_rules((*loc, "when"), step["when"], places, problems)
    _zero(loc, step, ("for",), places, problems)
    return problems


def _when_rules(loc: Loc, when: Mapping[str, Any], places: Places, problems: list[Problem]) -> None:
    events = [name for name in EVENTS if when.get(name) is not None]
    if len(events) != 1 and set(when) <= {kebab(name) for name in When.model_fields}:
        found = " and ".join(events) or "none"
        message = f"`when` names exactly one event; here: {found}"
        problems.append(places.problem(loc, message, f"one of {', '.join(EVENTS)}"))
    elif events and events != ["down"]:
        for key in ("every", "misses", "timeout"):
            if key in when:
                problems.append(
                    places.problem((*loc, key), f"`{key}` belongs to `when: {{down: …}}`", key=True)
                )
    _zero(loc, when, ("every", "timeout", "within"), places, problems)


def _zero(
    loc: Loc, values: Mapping[str, Any], keys: tuple[str, ...], places: Places, problems: list[Problem]
) -> None:
    """Refuses a span of nothing: a detection with it never looks, a fault with it is never seen."""
    for key in keys:
        value = values.get(key)
        if isinstance(value, str) and re.fullmatch(r"(0+(\.0+)?[a-zµ]+)+", value):
            problems.append(places.problem((*loc, key), f"`{key}` is 0", "write how long"))


def _members(loc: Loc, step: Step, places: Places, registry: Registry) -> list[Problem]:
    """The fault, response or probe is registered, and its parameters fit it."""
    if step.fault is not None:
        return _member(loc, "fault", step.fault, step.params, places, registry.members("faults"))
    if step.probe is not None:
        return _member(loc, "probe", step.probe, step.params, places, registry.members("probes"))
    responses = registry.members("responses")
    if step.respond is None or step.respond not in responses:
        return []  # a response may be a runbook of the system: `drill_names` knows
    return _member(loc, "respond", step.respond, step.params, places, responses)


def _member(
    loc: Loc, key: str, name: str, params: Mapping[str, Any], places: Places, known: Mapping[str, type]
) -> list[Problem]:
    if name not in known:
        hint = nearest(name, known, "responses" if key == "respond" else f"{key}s")
        return [places.problem((*loc, key), f"no {key} is called {shown(name)}", hint)]
    return check_params(known[name], name, params, STEP_KEYS, places, loc)


def matrix_problems(drill: Drill, data: Mapping[str, Any], places: Places) -> list[Problem]:
    """Every key of `matrix` is a place in the file, with at least one value."""
    problems: list[Problem] = []
    for key, values in drill.matrix.items():
        loc: Loc = ("matrix", key)
        first = key.split(".")[0]
        fields = [kebab(name) for name in Drill.model_fields if kebab(name) not in MATRIX_KEYS_NOT]
        if first not in fields:
            message = f"`matrix` cannot vary `{shown_key(key)}`"
            problems.append(places.problem(loc, message, nearest(first, fields, "keys"), key=True))
        elif not values:
            problems.append(places.problem(loc, f"`{shown_key(key)}` has no values", "write a list of them"))
        elif "." in key and not _reachable(data, key.split(".")[:-1]):
            message = f"`{shown_key(key)}` leads nowhere in this file"
            problems.append(
                places.problem(loc, message, "write a key or list number a dot: timeline.0.latency", key=True)
            )
        elif repeated := _repeated(values):
            problems.append(places.problem(loc, f"`{shown_key(key)}` names {shown(repeated[0])} twice"))
    return problems


def _repeated(values: Iterable[Any]) -> list[Any]:
    seen: list[Any] = []
    found: list[Any] = []
    for value in values:
        (found if value in seen else seen).append(value)
    return found


def _reachable(data: Any, parts: list[str]) -> bool:
    for part in parts:
        if isinstance(data, dict) and part in data:
            data = data[part]
        elif isinstance(data, list) and part.isdigit() and int(part) < len(data):
            data = data[int(part)]
        else:
            return False
    return isinstance(data, dict | list)
