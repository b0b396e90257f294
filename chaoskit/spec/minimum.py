"""The minimum service of the whole system in the two files: its journeys exist and are driven, its times fit."""

from __future__ import annotations

from collections.abc import Sequence

from chaoskit.errors import Problem
from chaoskit.model.drill import Drill
from chaoskit.model.journey import MINIMUM_SERVICE
from chaoskit.model.redundancy import REDUNDANCY_RESTORED
from chaoskit.model.system import System
from chaoskit.quantity import Duration
from chaoskit.spec.places import Loc, Places, nearest, shown

_SECOND_NS = 10**9


def minimum_of(system: System, places: Places) -> list[Problem]:
    """Unknown and doubled journeys, a share of nothing, a time shorter than the window in which the share is taken."""
    problems: list[Problem] = []
    for name in (MINIMUM_SERVICE, REDUNDANCY_RESTORED):
        if name in system.journeys:
            message = f"no journey may be called `{name}`: objectives mean the whole system's by it"
            problems.append(places.problem(("journeys", name), message, "rename it", key=True))
    agreed = system.minimum_service
    if agreed is None or None in (agreed.journeys, agreed.share, agreed.for_):
        return problems  # what is missing has been told
    loc: Loc = (MINIMUM_SERVICE,)
    for number, name in enumerate(agreed.journeys):
        if name not in system.journeys:
            hint = nearest(name, system.journeys, "journeys")
            message = f"no journey is called {shown(name)}"
            problems.append(places.problem((*loc, "journeys", number), message, hint))
        elif name in agreed.journeys[:number]:
            problems.append(places.problem((*loc, "journeys", number), f"{shown(name)} is named twice"))
    if not agreed.share.ratio:
        problems.append(places.problem((*loc, "share"), "`share` is 0", "write a share like 80%"))
    periods = [system.journeys[name].probe.every.ns for name in agreed.journeys if name in system.journeys]
    window = max(20 * max(periods, default=0), _SECOND_NS)
    if agreed.for_.ns < window:
        message = f"`for`: {agreed.for_} is shorter than the window of which the share is taken"
        hint = f"at least {Duration.of_ns(window)}: 20 probe periods, and 1 s"
        problems.append(places.problem((*loc, "for"), message, hint))
    return problems


def minimum_objective(drill: Drill, system: System, driven: Sequence[str], places: Places) -> list[Problem]:
    """`objectives: {minimum-service: {rto: …}}`: it has an rto and nothing else, and all of its journeys are driven."""
    loc: Loc = ("objectives", MINIMUM_SERVICE)
    asked, agreed = drill.objectives[MINIMUM_SERVICE], system.minimum_service
    others = [
        name for name in ("lost", "rpo", "minimum_service", "success") if getattr(asked, name) is not None
    ]
    if asked.rto is None or others:
        return [
            places.problem(loc, "the minimum service has an `rto`, and nothing else", "rto: 90s", key=True)
        ]
    if agreed is None:
        hint = "add `minimum-service: {journeys: […], share: 80%, for: 5s}` to the system file"
        return [places.problem(loc, "the system agrees on no minimum service", hint, key=True)]
    missing = [name for name in agreed.journeys if name not in driven]
    if not missing:
        return []
    names = ", ".join(f"`{name}`" for name in missing)
    return [places.problem(loc, f"nothing drives {names}, which it counts", "add it under `load`", key=True)]
