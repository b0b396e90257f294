"""system.yaml to model.System: validated, its Compose file resolved, every name it uses checked."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, PlainValidator, WithJsonSchema

from chaoskit.errors import InputError, Problem
from chaoskit.model.base import Frozen
from chaoskit.model.drill import Name
from chaoskit.model.release import Release, StopRule
from chaoskit.model.system import (
    Backup,
    Books,
    DatabaseRole,
    Journey,
    Link,
    LocalService,
    MinimumService,
    Population,
    Runbook,
    Spoken,
    Sql,
    Substitute,
    System,
    Variant,
)
from chaoskit.spec.compose_file import Compose, load_compose
from chaoskit.spec.places import Loc, Places, nearest, shown
from chaoskit.spec.source import Document, read
from chaoskit.spec.system_names import check_names
from chaoskit.spec.validation import check
from chaoskit.spec.variant import lay_over, unknown_links


def _link(value: Any) -> Link:
    if not isinstance(value, str):
        raise ValueError(f"{shown(value)} is no link; write it like 'gateway -> ledger'")
    return Link.parse(value)


LinkText = Annotated[
    Link,
    PlainValidator(_link),
    WithJsonSchema(
        {"type": "string", "pattern": r"^\s*[^\s>]+\s*->\s*[^\s>]+\s*$", "examples": ["gateway -> ledger"]}
    ),
]


def _spoken(value: Any) -> Spoken:
    if not isinstance(value, str):
        raise ValueError(
            f"{shown(value)} is no protocol; write it like 'http:8080/health', 'redis' or a role's name"
        )
    return Spoken.parse(value)


SpokenText = Annotated[
    Spoken,
    PlainValidator(_spoken),
    WithJsonSchema({"type": "string", "examples": ["http:8080/health", "redis", "database"]}),
]


class SystemFile(Frozen):
    """A system under drill: what stands beside its Compose file."""

    system: Annotated[Name, Field(description="the system's name")]
    compose: Annotated[
        str, Field(min_length=1, description="path of the Compose file, relative to this file")
    ]
    variants: Annotated[
        dict[str, Variant],
        Field(
            description="the same system with Compose override files, and parts of this file, laid over it; a drill "
            "picks one by name"
        ),
    ] = {}
    sites: Annotated[
        dict[str, Annotated[tuple[str, ...], Field(min_length=1)]],
        Field(description="places that fail together, each with its services; a fault can be `on:` one"),
    ] = {}
    roles: Annotated[
        dict[str, DatabaseRole], Field(description="replicated databases, each with its primary and standby")
    ] = {}
    links: Annotated[
        tuple[LinkText, ...],
        Field(
            description="TCP dependencies that get a proxy, 'caller -> callee'; 'customers' calls from outside"
        ),
    ] = ()
    speaks: Annotated[
        dict[str, SpokenText],
        Field(
            description="what a service speaks where no role or journey says it, so that witnesses can ask it: http, "
            "http:8080/health, redis, or the database role whose log-in it takes (a pooler, a load balancer)"
        ),
    ] = {}
    population: Annotated[
        Population | None, Field(description="the customers and accounts that exist before a drill begins")
    ] = None
    journeys: Annotated[
        dict[Name, Journey], Field(min_length=1, description="what a customer does, end to end, by name")
    ]
    minimum_service: Annotated[
        MinimumService | None,
        Field(
            description="what customers must at least be able to do; has a clock and an objective of its own"
        ),
    ] = None
    books: Annotated[
        dict[str, Books], Field(description="where the truth lies, for reconciliation, by name")
    ] = {}
    releases: Annotated[
        dict[Name, Release],
        Field(description="other releases of its services, by name, that a drill rolls out"),
    ] = {}
    stop_rules: Annotated[
        dict[Name, StopRule],
        Field(
            description="when a roll-out is to be stopped, by name; a drill waits with `when: {stop-rule: …}`"
        ),
    ] = {}
    backups: Annotated[
        dict[str, Backup],
        Field(description="backups that the runtime takes before the drill and keeps up during it, by name"),
    ] = {}
    runbooks: Annotated[
        dict[str, Runbook],
        Field(description="responses that this system brings itself, by the name drills use"),
    ] = {}
    substitutes: Annotated[
        dict[str, tuple[Substitute, ...]],
        Field(
            description="who decides when a role is absent, by role: in the order in which they are tried, each with "
            "the time until it is reached"
        ),
    ] = {}
    stand_ins: Annotated[
        dict[str, str],
        Field(
            description="services that stand in for others here, by service: for what; every result says so"
        ),
    ] = {}
    watchdogs: Annotated[
        dict[str, str],
        Field(
            description="services that bring a database role back without anybody's help, by service: which role; a "
            "proof leaves this recovery out by killing them"
        ),
    ] = {}
    local: Annotated[
        dict[str, LocalService], Field(description="how each service runs without Docker, by service")
    ] = {}
    disposable: Annotated[
        bool,
        Field(
            description="what exists before a run may be used and changed by it: external volumes and networks, "
            "devices, the engine's socket; without it the docker runtime refuses them"
        ),
    ] = False


@dataclass(frozen=True)
class LoadedSystem:
    """A system and where its parts stand. With problems, `system` holds only what is right, for further checks."""

    system: System
    places: Places
    compose: Compose
    problems: tuple[Problem, ...]
    variants: Mapping[str, Variant]


def load_system(
    path: Path, variant: str | None, environ: Mapping[str, str], document: Document | None = None
) -> LoadedSystem:
    """Read and check a system file, with one variant merged in; an unknown variant is the caller's mistake to tell.

    Raises:
        InputError: the file cannot be read at all.
    """
    document = document or read(path, "system file")
    data, places = lay_over(document.data, document.places, variant)
    checked = check(SystemFile, data, places)
    file = checked.value
    problems = [*checked.problems, *unknown_links(document.data, document.places)]
    folder = path.parent.resolve()
    compose, ok = Compose(), False
    if file.compose and isinstance(file.compose, str):
        compose, ok = _compose(file, folder, variant, environ, places)
        problems += compose.problems
    system = System.model_construct(
        **{name: getattr(file, name) for name in SystemFile.model_fields if name != "variants"},
        folder=str(folder),
        variant=variant,
        services=compose.services,
        compose_project=compose.project,
    )
    link_index = checked.index.get("links", [])
    problems += check_names(system, places, link_index, compose.left_out, services_known=ok)
    system = system.model_copy(
        update={"journeys": {name: _with_role(one, system.roles) for name, one in system.journeys.items()}}
    )
    return LoadedSystem(system, places, compose, tuple(problems), file.variants)


def _with_role(journey: Journey, roles: Mapping[str, DatabaseRole]) -> Journey:
    """A journey by SQL on a role, as one on the role's primary with what the role says of the log-in."""
    sql = journey.sql
    if sql is None or sql.on not in roles:
        return journey
    role = roles[sql.on]
    own = sql.user != ""
    return journey.model_copy(
        update={
            "sql": Sql(
                on=role.primary,
                statement=sql.statement,
                database=sql.database or role.database,
                user=sql.user or role.user,
                password=sql.password if own else sql.password or role.password,
                port=sql.port or role.port,
            )
        }
    )


def _compose(
    file: SystemFile, folder: Path, variant: str | None, environ: Mapping[str, str], places: Places
) -> tuple[Compose, bool]:
    """The Compose file and whether its services are known; a missing file is told where system.yaml names it."""
    missing: list[Problem] = []
    wanted: list[tuple[str, Loc]] = [(file.compose, ("compose",))]
    wanted += [
        (override, ("variants", name, "compose", number))
        for name, one in file.variants.items()
        for number, override in enumerate(one.overrides)
        if override
    ]
    for name, loc in wanted:
        try:
            there = (folder / name).is_file()
        except (OSError, ValueError):
            there = False
        if not there and os.path.lexists(folder / name):
            hint = "name the Compose file itself"
            missing.append(places.problem(loc, f"{shown(name)}: is there, but is no regular file", hint))
        elif not there:
            hint = nearest(Path(name).name, _yaml_files((folder / name).parent), "YAML files there")
            missing.append(places.problem(loc, f"{shown(name)}: no such Compose file", hint))
    if missing:
        return Compose(problems=missing), False
    chosen = file.variants.get(variant or "")
    overrides = [folder / one for one in chosen.overrides] if chosen else []
    compose = load_compose(folder / file.compose, overrides, environ)
    return compose, bool(compose.services)


def _yaml_files(folder: Path) -> list[str]:
    try:
        return [one.name for one in folder.iterdir() if one.suffix in (".yaml", ".yml")][:20]
    except (OSError, ValueError):
        return []


def require(loaded: LoadedSystem) -> System:
    """The system, or InputError with everything that is wrong with its files."""
    if loaded.problems:
        raise InputError(*loaded.problems)
    return loaded.system
