"""What cannot run on a runtime: told by name and place while planning, before anything starts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from chaoskit.errors import Problem
from chaoskit.model.parameters import build
from chaoskit.model.plan import PlannedStep
from chaoskit.model.system import System
from chaoskit.planner.container_changes import changes
from chaoskit.planner.containers import refuse_containers
from chaoskit.planner.wiring import Wired
from chaoskit.spec import Loaded, Registry

REFUSED_BY_ENVIRONMENT = frozenset(
    (
        "network_mode",
        "extra_hosts",
        "dns",
        "dns_search",
        "links",
        "external_links",
        "volumes_from",
        "scale",
        "provider",
    )
)
"""Compose keys that change who reaches whom, or how many: without them another system would be drilled."""


class Offer(Protocol):
    """What the planner asks of a runtime."""

    @property
    def name(self) -> str: ...

    @property
    def capabilities(self) -> frozenset[str]: ...

    @property
    def wires_by_environment(self) -> bool: ...


def refuse_steps(steps: Sequence[PlannedStep], loaded: Loaded, runtime: Offer) -> list[Problem]:
    """A step needs a capability that the runtime does not offer."""
    problems = []
    for number, step in enumerate(steps):
        lacking = sorted(set(step.requires) - runtime.capabilities)
        if lacking:
            offered = ", ".join(sorted(runtime.capabilities)) or "nothing"
            message = (
                f"`{step.name}` needs {', '.join(lacking)}, which the runtime `{runtime.name}` does not offer"
            )
            loc = ("timeline", number, "respond" if step.kind == "response" else step.kind)
            problems.append(loaded.places.problem(loc, message, f"`{runtime.name}` offers: {offered}"))
    return problems


def refuse_questions(steps: Sequence[PlannedStep], loaded: Loaded, terminal: bool) -> list[Problem]:
    """A decision that a person has to be asked for, where there is nobody to ask."""
    hint = "run it on a terminal, in the foreground; or write `takes: 2m`, and the decision is modelled"
    return [
        loaded.places.problem(
            ("timeline", number, "decision", "asked"),
            f"`asked`: the {step.decision.role} is asked on the terminal before `{step.name}`, and there is none here",
            hint,
        )
        for number, step in enumerate(steps)
        if step.decision is not None and step.decision.asked and not terminal
    ]


def refuse_responses(steps: Sequence[PlannedStep], loaded: Loaded, registry: Registry) -> Iterable[Problem]:
    """A response whose parameters cannot work in this system, in its own words."""
    members = registry.members("responses")
    for number, step in enumerate(steps):
        check = getattr(members.get(step.name), "check", None) if step.kind == "response" else None
        if check is None:
            continue
        try:
            check(build(members[step.name], step.params), step.on, loaded.system)
        except ValueError as error:
            hint = f"`chaoskit catalogue {step.name}` says what it needs"
            yield loaded.places.problem(("timeline", number, "respond"), str(error), hint)


def refuse_services(loaded: Loaded, runtime: Offer) -> list[Problem]:
    """A service that nothing says how to run, a link to no known port, a Compose key that cannot be kept."""
    if not runtime.wires_by_environment:
        return refuse_containers(loaded)
    system, problems = loaded.system, []
    for name, service in system.services.items():
        if name not in system.local:
            hint = f"add `local: {{{name}: {{run: …}}}}`, or give the service a profile in the Compose file"
            message = f"nothing says how `{name}` runs on `{runtime.name}`"
            problems.append(loaded.system_places.problem(("local",), message, hint, key=True))
        for key in sorted(REFUSED_BY_ENVIRONMENT & set(service.unapplied)):
            message = f"`{name}`: the runtime `{runtime.name}` cannot honour `{key}`"
            problems.append(loaded.compose.problem(name, key, message, "it changes who reaches whom"))
    for number, link in enumerate(system.links):
        if port_of(system, link.callee) is None:
            hint = "write `expose:` in the Compose file, or `port:` under `local`"
            message = f"nothing says on which port `{link.callee}` listens"
            problems.append(loaded.system_places.problem(("links", number), message, hint))
    return problems


def port_of(system: System, service: str) -> int | None:
    """The port a service listens on: `local`, else the Compose file's first, else its database role's."""
    local = system.local.get(service)
    if local is not None and local.port is not None:
        return local.port
    if service in system.services and system.services[service].ports:
        return system.services[service].ports[0]
    role = system.role_of(service)
    return system.roles[role].port if role is not None else None


def refuse_wiring(wired: Wired, loaded: Loaded) -> Iterable[Problem]:
    """A declared link that no value names, and a value that names a service over no declared link."""
    system = loaded.system
    for number in wired.unnamed:
        link = system.links[number]
        hint = f"name it in the Compose file, or under `local: {{{link.caller}: {{environment: …}}}}`"
        message = (
            f"no variable of `{link.caller}` names `{link.callee}`, so nothing can be pointed at this link"
        )
        yield loaded.system_places.problem(("links", number), message, hint)
    for one in wired.undeclared:
        message = f"`{one.variable}` of `{one.service}` names `{one.callee}`, and no link leads there"
        hint = f"declare a link '{one.service} -> {one.callee}'"
        loc = ("local", one.service, "environment", one.variable)
        here = loaded.system_places.written(*loc)
        yield loaded.system_places.problem(loc if here else ("links",), message, hint, key=not here)


def left_aside(loaded: Loaded, runtime: Offer) -> list[str]:
    """A note of what the Compose file says and this runtime does not apply, key by key with its services."""
    if not runtime.wires_by_environment:
        return changes(loaded)
    system = loaded.system
    by_key: dict[str, list[str]] = {}
    for name, service in system.services.items():
        keys = {
            *service.unapplied,
            *(["image"] if service.image else []),
            *(["build"] if service.build else []),
        }
        if name in system.local:
            keys |= {"command"} if service.command and not system.local[name].postgresql else set()
            keys |= {"entrypoint"} if service.entrypoint else set()
        for key in sorted(keys - REFUSED_BY_ENVIRONMENT):
            by_key.setdefault(key, []).append(name)
    if not by_key:
        return []
    of_all = [key for key, names in sorted(by_key.items()) if len(names) == len(system.services)]
    parts = [", ".join(f"`{key}`" for key in of_all) + " of any service"] if of_all else []
    parts += [f"`{key}` of {', '.join(names)}" for key, names in sorted(by_key.items()) if key not in of_all]
    return [f"of the Compose file {runtime.name} does not apply " + "; ".join(parts)]
