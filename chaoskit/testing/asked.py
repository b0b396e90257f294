"""What a test asks for, checked against the system before anything is done: a fault, its targets, its parameters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from chaoskit import registry
from chaoskit.errors import InputError
from chaoskit.model.parameters import build, field_names
from chaoskit.model.plan import Place, Plan, PlannedStep
from chaoskit.model.preparation import Preparation, merged
from chaoskit.model.system import Link, System
from chaoskit.spec.places import nearest, shown


def step_of(
    number: int,
    name: str,
    on: str | Sequence[str],
    params: Mapping[str, Any],
    system: System,
    runtime: str,
    capabilities: frozenset[str],
) -> PlannedStep:
    """The fault as a step of a plan. Raises InputError with what is allowed instead."""
    members = registry.members("faults")
    if name not in members:
        raise InputError(f"no fault is called {shown(name)}; {nearest(name, members, 'faults')}")
    member = members[name]
    lacking = sorted(member.requires - capabilities)  # type: ignore[attr-defined]
    if lacking:
        offered = ", ".join(sorted(capabilities))
        raise InputError(
            f"{name} needs {', '.join(lacking)}, which the runtime `{runtime}` does not offer (it offers: {offered}); "
            "run this test with another --chaos-runtime"
        )
    targets = (on,) if isinstance(on, str) else tuple(on)
    if not targets:
        raise InputError(f"{name} needs `on=`: {_known(member, system)}")
    written = {_in_yaml(key, member): value for key, value in params.items()}
    _built(name, member, written)
    return PlannedStep(
        id=f"{number}-{name}",
        kind="fault",
        name=name,
        on=tuple(_target(name, member, target, system) for target in targets),
        params=written,
        volley=number,
        place=Place(path="", line=0, column=0),
        requires=tuple(sorted(member.requires)),  # type: ignore[attr-defined]
    )


def preparations_of(steps: Iterable[PlannedStep], system: System) -> tuple[Preparation, ...]:
    """What the faults need before the estate is started. Raises InputError for a target that cannot have it."""
    wanted: list[Preparation] = []
    for step in steps:
        member = registry.member("faults", step.name)
        if not hasattr(member, "prepare"):
            continue
        for target in step.on:
            try:
                wanted += build(member, step.params).prepare(target, system)
            except ValueError as error:
                raise InputError(f"{step.name} on {target}: {error}") from None
    return merged(tuple(wanted))


def refuse_unprepared(step: PlannedStep, plan: Plan) -> None:
    """Raises InputError when the estate was started without what the fault needs, and says how to ask for it."""
    wanted = preparations_of([step], plan.system)
    if wanted and merged((*plan.preparations, *wanted)) != plan.preparations:
        ask = {"fault": step.name, "on": step.on[0], **step.params}
        raise InputError(
            f"{step.name} on {', '.join(step.on)} needs an estate that was started for it: "
            f"ask for the estate with prepare=[{ask!r}]"
        )


def link_of(name: str, system: System) -> Link:
    """The declared link, spaces around the arrow as they like. Raises InputError with the links there are."""
    known = [link.name for link in system.links]
    try:
        link = Link.parse(name)
    except ValueError:
        link = None
    if link is None or link.name not in known:
        raise InputError(f"no link is called {shown(name)}; {nearest(name, known, 'links')}")
    return link


def service_of(name: str, system: System) -> str:
    """The service, by its name or as `role.primary`. Raises InputError with the services there are."""
    if name in system.services:
        return name
    role, _, member = name.partition(".")
    found = getattr(system.roles.get(role), member, None) if member in ("primary", "standby") else None
    if not isinstance(found, str):
        raise InputError(f"no service is called {shown(name)}; {nearest(name, system.services, 'services')}")
    return found


def _target(name: str, member: Any, target: str, system: System) -> str:
    if member.targets == "link":
        return link_of(target, system).name
    if member.targets == "release":
        if target not in system.releases:
            known = nearest(target, system.releases, "releases")
            raise InputError(f"no release is called {shown(target)}; {known}")
        return target
    if "->" in target:
        raise InputError(f"{name} hits a service, not the link {shown(target)}; {_known(member, system)}")
    return service_of(target, system)


def _known(member: Any, system: System) -> str:
    if member.targets == "link":
        return f"links: {', '.join(link.name for link in system.links)}"
    if member.targets == "release":
        return f"releases: {', '.join(system.releases) or 'none'}"
    return f"services: {', '.join(system.services)}"


def _in_yaml(key: str, member: type) -> str:
    """A keyword argument as a drill file has it: `from_` is `from`, `leave_free` is `leave-free`."""
    by_field = {field: written for written, field in field_names(member).items()}
    return by_field.get(key, key)


def _built(name: str, member: type, params: Mapping[str, Any]) -> None:
    try:
        build(member, params)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "it"
        known = ", ".join(field_names(member)) or "none"
        if first["type"] == "missing":
            raise InputError(f"{name} needs the parameter `{where}`; parameters: {known}") from None
        text = first["msg"].removeprefix("Value error, ")
        raise InputError(f"{name}: `{where}`: {text}; parameters: {known}") from None
    except (ValueError, TypeError) as error:
        raise InputError(f"{name}: {error}") from None
