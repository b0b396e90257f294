"""Compose files to services: everything merged and read, profiles left out, what names what checked.

compose.yaml, override.yaml ─► Files (sections, merged) ─► read ─► profiles, replicas ─► Service, ComposeProject
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from chaoskit.errors import InputError, Problem
from chaoskit.model.compose import ComposeService, Dependency, NetworkUse
from chaoskit.model.compose_project import ComposeProject, Network
from chaoskit.model.system import Service
from chaoskit.quantity import Duration
from chaoskit.spec.compose_env_file import read_env_file
from chaoskit.spec.compose_environment import keys
from chaoskit.spec.compose_files import Files, Sections
from chaoskit.spec.compose_sections import read_sections
from chaoskit.spec.compose_service import places, read_service
from chaoskit.spec.compose_tree import TAGS, Sited, entries
from chaoskit.spec.compose_variables import BadVariable, Variables
from chaoskit.spec.places import Places, nearest, shown
from chaoskit.spec.source import read

BRIDGE = "engine-bridge"
"""Key of the network that services with `network_mode: bridge` are on: the run's own, as two runs would meet there."""
_READ_BY_ALL = keys(
    "build command depends_on entrypoint env_file environment expose extends image ports profiles stop_grace_period "
    "volumes container_name hostname"
)
"""Keys that every runtime reads; of `image` and `build` the local runtime says that it does not use them."""


@dataclass
class Compose:
    """The services of a system, and where each stands."""

    services: dict[str, Service] = field(default_factory=dict)
    project: ComposeProject = field(default_factory=ComposeProject)
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    left_out: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Services of profiles that are not on: name → its profiles."""
    written: dict[str, Sited] = field(default_factory=dict)
    """Service → its mapping, with the place of every value."""
    sections: Sections = field(default_factory=dict)
    """The top-level sections, with the place of every value."""

    def problem(self, service: str, key: str, message: str, hint: str = "") -> Problem:
        """A mistake at a service's key."""
        return self.written[service].mapping[key].problem(message, hint, key=True)


def load_compose(path: Path, overrides: Sequence[Path], environ: Mapping[str, str]) -> Compose:
    """Services of a Compose file, with override files merged over it in order; problems are collected, not raised.

    `environ` stands behind `${VAR}`; a `.env` file beside the Compose file stands behind it. Relative paths begin at
    the Compose file's folder, also those of the override files.
    """
    compose = Compose()
    known = _environment(path.parent / ".env", environ, compose)
    name = known.get("COMPOSE_PROJECT_NAME") or _project_name(path, known)
    files = Files(compose.problems)
    sections = files.project([path, *overrides], path.parent, {"COMPOSE_PROJECT_NAME": name, **known})
    compose.sections = {section: entries(found) for section, found in sections.items()}
    if not compose.sections["services"] and not compose.problems:
        compose.problems.append(Places.of_file(path).problem((), "the Compose file declares no services"))
    compose.project = read_sections(name, compose.sections, compose.problems)
    read = {}
    for service, item in compose.sections["services"].items():
        compose.written[service] = item
        read[service] = read_service(item, compose.problems)
    _select(compose, read, known)
    _check(compose)
    _note(compose, path, overrides, files)
    compose.problems[:] = dict.fromkeys(compose.problems)
    return compose


def _environment(path: Path, environ: Mapping[str, str], compose: Compose) -> dict[str, str]:
    try:
        return {**read_env_file(path, Variables(environ)), **environ} if path.is_file() else dict(environ)
    except (OSError, UnicodeDecodeError, BadVariable) as error:
        compose.problems.append(Places.of_file(path).problem((), f"cannot read the file: {error}"))
        return dict(environ)


def _project_name(path: Path, environ: Mapping[str, str]) -> str:
    """The file's `name`, else its folder's: variables may use it, so it is looked up before all else is read."""
    try:
        name = read(path, "Compose file", TAGS).data.get("name")
        if isinstance(name, str) and name:
            return Variables(environ).fill(name)
    except (InputError, BadVariable):
        pass  # told when the file is read for good
    return re.sub(r"[^a-z0-9_-]", "", path.resolve().parent.name.lower()).lstrip("_-")


# -- services -----------------------------------------------------------------------------------------


def _select(compose: Compose, read: Mapping[str, ComposeService], environ: Mapping[str, str]) -> None:
    """Profiles that are off and services without a container leave; what the others need of them goes too."""
    enabled = {one.strip() for one in environ.get("COMPOSE_PROFILES", "").split(",") if one.strip()}
    kept: dict[str, ComposeService] = {}
    for name, service in read.items():
        if service.profiles and not enabled & set(service.profiles) and "*" not in enabled:
            compose.left_out[name] = service.profiles
        elif service.replicas == 0:
            compose.notes.append(f"{name}: left out, the Compose file wants 0 containers of it")
        else:
            kept[name] = service
    for name, service in kept.items():
        service = _with_implied(service)
        for other, dependency in list(service.depends_on.items()):
            if other not in kept and not dependency.required:
                rest = {key: one for key, one in service.depends_on.items() if key != other}
                service = service.model_copy(update={"depends_on": rest})
                compose.notes.append(
                    f"{name}: does not wait for {other}, which is not there and not required"
                )
        compose.services[name] = _service(name, service, compose.written[name])


def _with_implied(service: ComposeService) -> ComposeService:
    """Links, taken mounts and shared namespaces are dependencies too (Compose specification, "depends_on")."""
    shared = (service.network_mode, service.ipc, service.pid)
    others = [
        *(one for one, _ in service.links),
        *(one for one, _ in service.volumes_from),
        *(one.partition(":")[2] for one in shared if one and one.startswith("service:")),
    ]
    more = {one: Dependency(restart=True) for one in others if one not in service.depends_on}
    made = service.model_copy(update={"depends_on": {**service.depends_on, **more}})
    if service.network_mode in ("bridge", "default"):
        made = made.model_copy(update={"networks": {BRIDGE: NetworkUse()}, "network_mode": None})
    return made


def _service(name: str, service: ComposeService, item: Sited) -> Service:
    tcp = [port.target for port in (*service.expose, *service.ports) if port.protocol == "tcp"]
    binds = {one.target: one.source for one in service.mounts if one.kind == "bind" and one.source}
    unapplied = {key for key in places(item) if key not in _READ_BY_ALL and not key.startswith("x-")}
    if len(binds) < len(service.mounts):
        unapplied.add("volumes")
    return Service(
        name=name,
        environment=service.environment,
        command=service.command or (),
        entrypoint=service.entrypoint or (),
        ports=tuple(dict.fromkeys(tcp)),
        image=service.image,
        build=_context(item),
        depends_on={other: one.condition for other, one in service.depends_on.items()},
        mounts=binds,
        stop_grace=service.stop_grace_period or Duration.parse("10s"),
        unapplied=tuple(sorted(unapplied)),
        compose=service,
    )


def _context(item: Sited) -> str | None:
    build = item.mapping.get("build")
    if build is None or not isinstance(build.value, dict):
        return None
    context = build.value.get("context")
    return context.text if context is not None and not isinstance(context.value, dict | list) else "."


# -- what names what ----------------------------------------------------------------------------------


def _check(compose: Compose) -> None:
    """Every name that a service uses stands in the file, and no service waits for itself."""
    project = compose.project
    on = {network for service in compose.services.values() for network in service.compose.networks}
    own = {name: Network() for name in ("default", BRIDGE) if name in on and name not in project.networks}
    compose.project = project = project.model_copy(update={"networks": {**project.networks, **own}})
    for name, service in compose.services.items():
        said = service.compose
        _known(compose, name, "networks", said.networks, project.networks, "networks")
        volumes = [one.source for one in said.mounts if one.kind == "volume" and one.source]
        _known(compose, name, "volumes", volumes, project.volumes, "volumes")
        _known(
            compose,
            name,
            "secrets",
            [one.source for one in said.secrets],
            compose.sections["secrets"],
            "secrets",
        )
        _known(
            compose,
            name,
            "configs",
            [one.source for one in said.configs],
            compose.sections["configs"],
            "configs",
        )
        _known(compose, name, "links", [one for one, _ in said.links], compose.services, "services")
        _known(
            compose, name, "volumes_from", [one for one, _ in said.volumes_from], compose.services, "services"
        )
        for key in ("network_mode", "ipc", "pid"):
            mode = getattr(said, key) or ""
            if mode.startswith("service:"):
                _known(compose, name, key, [mode[len("service:") :]], compose.services, "services")
        _check_order(compose, name, service)


def _known(
    compose: Compose, service: str, key: str, used: object, known: Mapping[str, object], noun: str
) -> None:
    assert isinstance(used, dict | list)
    for one in used:
        if one not in known and key in compose.written[service].mapping:
            where = compose.written[service].mapping[key]
            hint = nearest(one, known, noun)
            if key in ("networks", "volumes", "secrets", "configs"):
                hint += f"; what a service uses stands under the top-level `{key}`"
            compose.problems.append(where.problem(f"`{service}`: {key}: {shown(one)} is not declared", hint))


def _check_order(compose: Compose, name: str, service: Service) -> None:
    item = compose.written[name]
    where = item.mapping.get("depends_on", item)
    for other in service.depends_on:
        if (
            other not in compose.services
            and other in service.compose.depends_on
            and "depends_on" in item.mapping
        ):
            hint = nearest(other, compose.services, "services")
            compose.problems.append(
                where.problem(f"`{name}` depends on {shown(other)}: no such service", hint)
            )
        elif other in compose.services and name in _reached(compose.services, other):
            compose.problems.append(where.problem(f"`{name}` waits for `{other}`, which waits for `{name}`"))


def _reached(services: Mapping[str, Service], start: str) -> set[str]:
    found: set[str] = set()
    todo = [start]
    while todo:
        name = todo.pop()
        if name not in found and name in services:
            found.add(name)
            todo += services[name].depends_on
    return found


def _note(compose: Compose, path: Path, overrides: Sequence[Path], files: Files) -> None:
    for name, profiles in compose.left_out.items():
        compose.notes.append(
            f"{name}: left out, its profile {', '.join(profiles)} is not in COMPOSE_PROFILES"
        )
    for name in sorted(files.unset):
        compose.notes.append(f"the variable {name} of the Compose file is not set; it is empty")
    for suffix in (".yaml", ".yml"):
        beside = path.with_name(f"{path.stem}.override{suffix}")
        if beside.is_file() and beside.resolve() not in [one.resolve() for one in overrides]:
            compose.notes.append(
                f"{beside.name} is not merged, as with `docker compose --file`; a variant can name it"
            )
