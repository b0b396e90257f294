"""Points a caller's environment at its links: in each value only the host that names the callee is replaced."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from chaoskit.model.plan import Wiring
from chaoskit.model.system import CUSTOMERS, System
from chaoskit.planner.host_tokens import host_tokens


@dataclass(frozen=True)
class Undeclared:
    """A value that names a service which its owner has no link to."""

    service: str
    variable: str
    callee: str


@dataclass(frozen=True)
class Wired:
    """The rewritten variables, and what could not be rewritten: links no value names, callees no link names."""

    wirings: tuple[Wiring, ...] = ()
    unnamed: tuple[int, ...] = ()
    """Indices in `system.links`."""
    undeclared: tuple[Undeclared, ...] = ()
    notes: tuple[str, ...] = ()


def wire(system: System) -> Wired:
    """Rewrite the environment of every caller of a declared link. Pure; nothing is resolved or started."""
    wirings: list[Wiring] = []
    undeclared: list[Undeclared] = []
    notes: list[str] = []
    declared = {link.name for link in system.links}
    for name in system.services:
        embedded = name in system.local and system.local[name].postgresql is not None
        for variable, value in environment_of(system, name).items():
            wiring, missing, unsure = rewrite(name, variable, value, system.services, declared)
            if wiring is not None:
                wirings.append(wiring)
            if embedded:
                continue  # no process of ours reads it: the server comes with its own settings
            undeclared += [Undeclared(name, variable, callee) for callee in missing if callee != name]
            if name in missing:
                notes.append(f"{name}: {variable} names the service itself; write {{address}} under `local`")
            for callee in unsure:
                notes.append(
                    f"{name}: {variable} is '{value}', read as a word and not as the service {callee}"
                )
    named = {link for wiring in wirings for link in wiring.links}
    unnamed = []
    for number, link in enumerate(system.links):
        if link.caller == CUSTOMERS or link.name in named:
            continue
        if _replication(system, link.caller, link.callee):
            notes.append(
                f"{link.name}: no variable names it; the runtime sets the standby's connection itself"
            )
        else:
            unnamed.append(number)
    return Wired(tuple(wirings), tuple(unnamed), tuple(undeclared), tuple(notes))


def rewrite(
    service: str, variable: str, value: str, services: Mapping[str, object], declared: set[str]
) -> tuple[Wiring | None, list[str], list[str]]:
    """(the wiring if a declared callee is named, callees without a link, services named only perhaps)."""
    parts: list[str] = []
    links: list[str] = []
    missing: list[str] = []
    unsure: list[str] = []
    at = 0
    for token in host_tokens(variable, value):
        callee = token.host.lower()
        link = f"{service} -> {callee}"
        if callee not in services:
            continue
        if not token.sure:
            unsure.append(callee)
        elif link not in declared:
            missing.append(callee)
        else:
            parts += [value[at : token.start], f"{{link:{link}}}"]
            at = token.end
            links.append(link)
    unique = list(dict.fromkeys(missing))
    if not links:
        return None, unique, list(dict.fromkeys(unsure))
    template = "".join([*parts, value[at:]])
    wiring = Wiring(
        service=service,
        variable=variable,
        original=value,
        template=template,
        links=tuple(dict.fromkeys(links)),
    )
    return wiring, unique, list(dict.fromkeys(unsure))


def environment_of(system: System, service: str) -> dict[str, str]:
    """The Compose environment with `local`'s over it."""
    own = system.local[service].environment if service in system.local else {}
    return {**system.services[service].environment, **own}


def _replication(system: System, caller: str, callee: str) -> bool:
    """Whether both ends are embedded databases of one role: their connection is the runtime's own making."""
    role = system.role_of(caller)
    embedded = all(name in system.local and system.local[name].postgresql for name in (caller, callee))
    return embedded and role is not None and role == system.role_of(callee)
