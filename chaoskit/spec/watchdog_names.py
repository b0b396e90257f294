"""The names that `watchdogs:` of a system file uses: services that act, and the role that each brings back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chaoskit.model.system import System
from chaoskit.spec.places import Loc, shown

if TYPE_CHECKING:
    from chaoskit.spec.system_names import Names


def check_watchdogs(names: Names) -> None:
    """Problems with them, each at its place."""
    system = names.system
    for service, role in system.watchdogs.items():
        loc: Loc = ("watchdogs", service)
        names.service(loc, service, key=True)
        if not names.one_of(loc, "role", role, system.roles):
            continue
        watched = system.roles[role]
        if watched.standby is None:
            names.say(
                loc, f"the role {shown(role)} has no standby", "nobody could take over from its primary"
            )
        for member in (watched.primary, watched.standby):
            if member is not None and not any(
                (one.caller, one.callee) == (service, member) for one in system.links
            ):
                names.say(
                    loc,
                    f"{shown(service)} has no link to {member}",
                    f"declare '{service} -> {member}' under `links`: a watchdog acts only through what can be cut",
                )
        if journey := next((one for one in system.journeys if service in _behind(one, system)), None):
            hint = "what needs it fails without it, so that leaving it out proves no takeover; name a service apart"
            names.say(loc, f"the journey {shown(journey)} goes through {shown(service)}", hint, key=True)


def _behind(journey: str, system: System) -> set[str]:
    """The services that a journey reaches over links."""
    reached: set[str] = set()
    todo = [system.journeys[journey].service]
    while todo:
        if (current := todo.pop()) not in reached:
            reached.add(current)
            todo += [link.callee for link in system.links if link.caller == current]
    return reached
