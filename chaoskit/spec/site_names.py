"""The names that `sites:` of a system file uses: services that fail together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chaoskit.spec.places import Loc, shown

if TYPE_CHECKING:
    from chaoskit.spec.system_names import Names


def check_sites(names: Names) -> None:
    """Problems with them, each at its place."""
    owner: dict[str, tuple[str, int]] = {}
    for site, services in names.system.sites.items():
        if site in names.system.services:
            names.say(("sites", site), f"`{site}` is a service; call the site something else", key=True)
        for number, service in enumerate(services):
            loc: Loc = ("sites", site, number)
            names.service(loc, service)
            if owner.setdefault(service, (site, number)) != (site, number):
                names.say(loc, f"{shown(service)} already stands in the site `{owner[service][0]}`")
