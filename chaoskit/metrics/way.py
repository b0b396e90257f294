"""Which links the operations of a journey may go through: from the customers to its service, and on from there."""

from __future__ import annotations

from chaoskit.model.system import CUSTOMERS, System


def links_behind(system: System, service: str) -> frozenset[str]:
    """Names of the link from customers to `service` and of every link that can be reached behind it."""
    reached, found = (
        {service},
        {link.name for link in system.links if (link.caller, link.callee) == (CUSTOMERS, service)},
    )
    while more := {link for link in system.links if link.caller in reached and link.name not in found}:
        found |= {link.name for link in more}
        reached |= {link.callee for link in more}
    return frozenset(found)


def services_behind(system: System, service: str) -> frozenset[str]:
    """`service` and every service that can be reached behind it, standbys included as they stand in."""
    found = links_behind(system, service)
    reached = {service} | {link.callee for link in system.links if link.name in found}
    for role in system.roles.values():
        if role.standby is not None and not reached.isdisjoint((role.primary, role.standby)):
            reached |= {role.primary, role.standby}
    return frozenset(reached)
