"""The names that `watchdogs:` of a system file uses: services that act, and the role that each brings back."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
