"""The clock `redundancy-restored` in the two files: there is a pair to look at, and a log-in that may look."""

from __future__ import annotations

from chaoskit.errors import Problem
from chaoskit.model.drill import Drill
from chaoskit.model.redundancy import REDUNDANCY_RESTORED
from chaoskit.model.system import System
from chaoskit.spec.places import Loc, Places

_OTHERS = ("lost", "rpo", "minimum_service", "success")


def redundancy_objective(drill: Drill, system: System, places: Places) -> list[Problem]:
    """`objectives: {redundancy-restored: {rto: …}}`: it has an rto and nothing else, and something to look at."""
    loc: Loc = ("objectives", REDUNDANCY_RESTORED)
    asked = drill.objectives[REDUNDANCY_RESTORED]
    if asked.rto is None or any(getattr(asked, name) is not None for name in _OTHERS):
        return [places.problem(loc, "redundancy has an `rto`, and nothing else", "rto: 5m", key=True)]
    pairs = {name: role for name, role in system.roles.items() if role.standby is not None}
    if not pairs:
        hint = "name a `standby:` under `roles:` in the system file"
        return [places.problem(loc, "no database role has a standby", hint, key=True)]
    for name, role in pairs.items():
        if role.superuser is None:
            message = f"nobody may look at the replication of `{name}`"
            return [places.problem(loc, message, "give the role a `superuser:` in the system file", key=True)]
    return []
