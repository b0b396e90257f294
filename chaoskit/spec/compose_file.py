"""Compose files to services: variables, `extends`, override files merged, profiles left out.

compose.yaml ─► fragments ─┐
                           ├─ merged by Compose's rules ─► Service (environment, ports, mounts, …)
override.yaml ► fragments ─┘
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chaoskit.errors import InputError, Problem
from chaoskit.model.system import Service
from chaoskit.quantity import Duration
from chaoskit.spec.compose_service import Fragment, ServiceReader
from chaoskit.spec.compose_variables import BadVariable, Variables, read_env_file
from chaoskit.spec.places import Loc, Places, nearest, shown
from chaoskit.spec.source import read

_TOP = frozenset({"name", "version", "services", "networks", "volumes", "configs", "secrets", "models"})
_EXTENDS_MAX = 20


@dataclass
class Compose:
    """The services of a system, and where each stands."""

    services: dict[str, Service] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    left_out: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Services of profiles that are not on: name → its profiles."""
    unapplied: dict[tuple[str, str], tuple[Places, Loc]] = field(default_factory=dict)
    """(service, key) → where the key stands, for keys that no runtime-neutral field holds."""

    def problem(self, service: str, key: str, message: str, hint: str = "") -> Problem:
        """A mistake at a service's key."""
        places, loc = self.unapplied[service, key]
        return places.problem(loc, message, hint, key=True)


class _Files:
    """Reads each Compose file once; follows `extends` across files."""

    def __init__(self, compose: Compose, variables: Variables) -> None:
        self.compose = compose
        self.variables = variables
        self.places: dict[Path, Places] = {}
        self.raw: dict[Path, dict[str, Any]] = {}

    def services(self, path: Path) -> dict[str, Fragment]:
        """Every service of one file; problems are collected, a file that cannot be read has none."""
        if path not in self.raw:
            try:
                document = read(path, "Compose file")
            except InputError as error:
                self.raw[path] = {}
                self.compose.problems += [one for one in error.problems if isinstance(one, Problem)]
                return {}
            self.places[path] = document.places
            self.raw[path] = self._checked(document.data, document.places)
        return {name: self.fragment(path, name, ()) for name in self.raw[path]}

    def _checked(self, data: Mapping[str, Any], places: Places) -> dict[str, Any]:
        problems = self.compose.problems
        for key in data:
            if key == "include":
                problems.append(
                    places.problem((key,), "`include` is not supported", "name one file", key=True)
                )
            elif key not in _TOP and not key.startswith("x-"):
                hint = nearest(key, _TOP, "known")
                problems.append(
                    places.problem((key,), f"a Compose file has no key `{shown(key)[1:-1]}`", hint, key=True)
                )
        services = data.get("services", {})
        if not isinstance(services, dict):
            problems.append(places.problem(("services",), f"`services`: {shown(services)} is no mapping"))
            return {}
        good = {}
        for name, service in services.items():
            if isinstance(service, dict):
                good[name] = service
            else:
                good[name] = {}
                problems.append(
                    places.problem(("services", name), f"`{name}`: {shown(service)} is no mapping")
                )
        return good

    def fragment(self, path: Path, name: str, chain: tuple[tuple[Path, str], ...]) -> Fragment:
        """One service with what it extends merged below it."""
        data = self.raw[path][name]
        # A service met again through `extends` was checked when its own file was read.
        sink = self.compose.problems if not chain else []
        reader = ServiceReader(self.places[path], path.parent, self.variables, sink)
        own = reader.read(name, data)
        for key, loc in own.unapplied.items():
            self.compose.unapplied[chain[0][1] if chain else name, key] = (self.places[path], loc)
        extends = data.get("extends")
        if extends is None:
            return own
        chain = (*chain, (path, name))
        base_path, base = path, extends
        if isinstance(extends, dict):
            base = extends.get("service")
            base_path = (path.parent / str(extends["file"])).resolve() if "file" in extends else path
        if base_path not in self.raw:
            self.services(base_path)
        known = self.raw.get(base_path, {})
        if (
            not isinstance(base, str)
            or base not in known
            or (base_path, base) in chain
            or len(chain) > _EXTENDS_MAX
        ):
            why = "extends itself" if isinstance(base, str) and base in known else "no such service"
            problem = self.places[path].problem(
                ("services", name, "extends"),
                f"`extends`: {shown(base)}: {why}",
                nearest(str(base), known, "services"),
            )
            self.compose.problems.append(problem)
            return own
        return own.over(self.fragment(base_path, base, chain))


def load_compose(path: Path, override: Path | None, environ: Mapping[str, str]) -> Compose:
    """Services of a Compose file, with an override file merged over it; problems are collected, not raised.

    `environ` stands behind `${VAR}`; a `.env` file beside the Compose file stands behind it.
    """
    compose = Compose()
    variables = Variables(_environment(path.parent / ".env", environ, compose))
    files = _Files(compose, variables)
    merged = files.services(path)
    for name, fragment in (files.services(override) if override else {}).items():
        merged[name] = fragment.over(merged[name]) if name in merged else fragment
    if not merged and not compose.problems:
        places = files.places[path]
        compose.problems.append(places.problem((), "the Compose file declares no services"))
    enabled = {one.strip() for one in environ.get("COMPOSE_PROFILES", "").split(",") if one.strip()}
    for name, fragment in merged.items():
        if fragment.profiles and not enabled & set(fragment.profiles) and "*" not in enabled:
            compose.left_out[name] = fragment.profiles
        else:
            compose.services[name] = _service(name, fragment)
    _check_order(compose, files.places.get(path))
    for name, profiles in compose.left_out.items():
        compose.notes.append(
            f"{name}: left out, its profile {', '.join(profiles)} is not in COMPOSE_PROFILES"
        )
    for name in sorted(variables.unset):
        compose.notes.append(f"the variable {name} of the Compose file is not set; it is empty")
    return compose


def _environment(path: Path, environ: Mapping[str, str], compose: Compose) -> dict[str, str]:
    try:
        return {**read_env_file(path, Variables(environ)), **environ} if path.is_file() else dict(environ)
    except (OSError, UnicodeDecodeError, BadVariable) as error:
        compose.problems.append(Places.of_file(path).problem((), f"cannot read the file: {error}"))
        return dict(environ)


def _service(name: str, fragment: Fragment) -> Service:
    environment = {**fragment.from_files}
    for key, value in fragment.environment.items():
        if value is None:
            environment.pop(key, None)
        else:
            environment[key] = value
    tcp = [port.target for port in fragment.ports if port.protocol == "tcp"]
    return Service(
        name=name,
        environment=environment,
        command=fragment.command or (),
        entrypoint=fragment.entrypoint or (),
        ports=tuple(dict.fromkeys([*fragment.expose, *tcp])),
        image=fragment.image,
        build=fragment.build,
        depends_on=fragment.depends_on,
        mounts={target: source for target, source in fragment.mounts.items() if source is not None},
        stop_grace=fragment.stop_grace or Duration.parse("10s"),
        unapplied=tuple(
            sorted([*fragment.unapplied, *(["volumes"] if None in fragment.mounts.values() else [])])
        ),
    )


def _check_order(compose: Compose, places: Places | None) -> None:
    """Every `depends_on` names a service, and none waits for itself."""
    if places is None:
        return
    for name, service in compose.services.items():
        for other in service.depends_on:
            loc: Loc = ("services", name, "depends_on")
            if other not in compose.services:
                hint = nearest(other, compose.services, "services")
                compose.problems.append(
                    places.problem(loc, f"`{name}` depends on {shown(other)}: no such service", hint)
                )
            elif name in _reached(compose.services, other):
                compose.problems.append(
                    places.problem(loc, f"`{name}` waits for `{other}`, which waits for `{name}`")
                )


def _reached(services: Mapping[str, Service], start: str) -> set[str]:
    found: set[str] = set()
    todo = [start]
    while todo:
        name = todo.pop()
        if name not in found and name in services:
            found.add(name)
            todo += services[name].depends_on
    return found
