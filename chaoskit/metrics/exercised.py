"""Whether a fault was exercised: an operation that uses its target was under way around the instant."""

from __future__ import annotations

from collections.abc import Sequence

from chaoskit.metrics.timeline import FaultSpan
from chaoskit.model.history import Operation
from chaoskit.model.measurement import FaultMeasure
from chaoskit.model.system import CUSTOMERS, System


def users_of(target: str, system: System) -> frozenset[str]:
    """Journeys that use a service or a link `caller -> callee`: links lead from their service to it, or its caller.

    A release is used by the journeys of every service that it changes; a watchdog, and what it acts through, by the
    journeys that reach the database it watches: whether they come back depends on it.
    """
    if target in system.releases:
        return frozenset(user for one in system.releases[target].services for user in users_of(one, system))
    caller, arrow, callee = (part.strip() for part in target.partition("->"))
    journeys = {name: _reached(journey.service, system) for name, journey in system.journeys.items()}
    if arrow and caller == CUSTOMERS:
        return frozenset(name for name in journeys if system.journeys[name].service == callee)
    return frozenset(name for name, reached in journeys.items() if caller in reached)


def _reached(service: str, system: System) -> set[str]:
    reached, todo = {service}, [service]
    while todo:
        current = todo.pop()
        role = system.role_of(current)
        behind = [link.callee for link in system.links if link.caller == current]
        behind += [watchdog for watchdog, watched in system.watchdogs.items() if watched == role]
        for service in behind:
            if service not in reached:
                reached.add(service)
                todo.append(service)
    return reached


def measure_fault(fault: FaultSpan, operations: Sequence[Operation], system: System) -> FaultMeasure:
    """The fault; exercised: the [sent, done] of an operation using its target overlaps [f_lo − limit, f_hi + limit]."""
    users = users_of(fault.target, system)
    limits = {name: system.journeys[name].good.within.ns for name in users}
    hi = fault.lo if fault.hi is None else fault.hi
    exercised = any(
        o.sent is not None
        and o.sent <= hi + limits[o.journey]
        and (o.sent + limits[o.journey] if o.done is None else o.done) >= fault.lo - limits[o.journey]
        for o in operations
        if o.journey in users
    )
    return FaultMeasure(
        step=fault.step,
        name=fault.name,
        target=fault.target,
        lo=fault.lo,
        hi=fault.hi,
        witness=fault.witness,
        exercised=exercised,
        volley=fault.volley,
        events=fault.events,
    )
