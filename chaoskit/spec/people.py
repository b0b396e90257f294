"""People in the two files: a decision says one way in which it is taken, and every absent role is one that matters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chaoskit.errors import Problem
from chaoskit.model.drill import Drill
from chaoskit.model.system import System
from chaoskit.spec.places import Loc, Places, nearest, shown

_ONE_WAY = "write `takes: 2m` to model it, or `asked: true, within: 90s` to ask for it on the terminal"


def decision_rules(loc: Loc, decision: Mapping[str, Any], places: Places) -> list[Problem]:
    """What no type says: it is modelled or asked for, and each way has its own keys. Values are as written."""
    problems: list[Problem] = []

    def say(message: str, hint: str, key: str = "") -> None:
        problems.append(places.problem((*loc, key) if key else loc, message, hint, key=bool(key)))

    asked = decision.get("asked") is True
    if asked:
        for key in ("takes", "pace"):
            if key in decision:
                say(f"`{key}` models a decision, and this one is asked for", "keep one of the two", key)
        if "within" not in decision:
            say(
                "nothing says how long an asked-for decision may take",
                "write `within: 90s`: without an answer by then the response does not happen",
                "asked",
            )
    else:
        if "takes" not in decision:
            say("nothing says how long the decision takes", _ONE_WAY)
        if "within" in decision:
            say(
                "`within` belongs to a decision that is asked for",
                "add `asked: true`, or remove it",
                "within",
            )
    return problems


def absences(drill: Drill, system: System, places: Places) -> list[Problem]:
    """An absent role that decides nothing here changes nothing, which its author did not mean."""
    roles = {step.decision.role: None for step in drill.timeline if step.decision is not None}
    known = dict(roles)
    for role in roles:
        known |= {one.role: None for one in system.substitutes.get(role, ())}
    problems = []
    for number, role in enumerate(drill.absent):
        loc: Loc = ("absent", number)
        if role in drill.absent[:number]:
            problems.append(places.problem(loc, f"{shown(role)} is named twice"))
        elif role not in known:
            hint = nearest(role, known, "roles that decide here") if known else "no step has a `decision:`"
            problems.append(places.problem(loc, f"{shown(role)} decides nothing in this drill", hint))
    return problems


def substitutes(system: System, places: Places) -> list[Problem]:
    """Nobody stands in for themselves, or twice."""
    problems = []
    for role, line in system.substitutes.items():
        for number, one in enumerate(line):
            loc: Loc = ("substitutes", role, number, "role")
            if one.role == role:
                problems.append(places.problem(loc, f"{shown(role)} cannot stand in for itself"))
            elif one.role in [other.role for other in line[:number]]:
                problems.append(places.problem(loc, f"{shown(one.role)} is named twice"))
    return problems
