"""Loads a drill with its system: every mistake in all their files at once, or frozen values with their places."""

from __future__ import annotations

import copy
import itertools
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chaoskit import registry as known_members
from chaoskit.errors import InputError, Problem
from chaoskit.model.drill import Drill
from chaoskit.model.system import System
from chaoskit.spec.compose_file import Compose
from chaoskit.spec.drill_file import CheckedDrill, check_drill, matrix_problems
from chaoskit.spec.drill_names import DrillNames
from chaoskit.spec.member_params import Registry
from chaoskit.spec.places import Places, nearest, shown
from chaoskit.spec.scalars import Scalar, as_text
from chaoskit.spec.source import Document, read
from chaoskit.spec.system_file import LoadedSystem, load_system

CELLS_MAX = 1000


@dataclass(frozen=True)
class Loaded:
    """A drill and its system, right by themselves and together; `places` is the drill file's.

    `cell` names the cell of a matrix, '' for the file itself.
    """

    drill: Drill
    system: System
    path: Path
    places: Places
    system_places: Places
    compose: Compose
    cell: str = ""
    document: Document = field(repr=False, kw_only=True)
    registry: Registry = field(repr=False, kw_only=True)
    environ: Mapping[str, str] = field(repr=False, kw_only=True)


def load(
    path: Path | str, registry: Registry = known_members, environ: Mapping[str, str] | None = None
) -> Loaded:
    """Read, validate and cross-check a drill file, its system file and its Compose files.

    `environ` stands behind `${VAR}` in the Compose file; the process's own if None.

    Raises:
        InputError: with every problem of all the files, in file order.
    """
    environ = dict(os.environ) if environ is None else dict(environ)
    document = read(Path(path), "drill file")
    data = _first_variant(document)
    loaded, problems = _build(data, document, registry, environ, "", {})
    if loaded is None or problems:
        raise InputError(*in_order(problems))
    return loaded


def cells(loaded: Loaded) -> tuple[tuple[str, Loaded], ...]:
    """The cells of the drill's matrix, (`seed=1`, drill) each; one cell named '' without a matrix.

    Raises:
        InputError: a cell's values do not fit; told at the value in `matrix`.
    """
    matrix = loaded.drill.matrix
    if not matrix:
        return (("", loaded),)
    raw: dict[str, list[Any]] = loaded.document.data["matrix"]
    count = 1
    for values in raw.values():
        count *= len(values)
    if count > CELLS_MAX:
        problem = loaded.places.problem(("matrix",), f"{count} cells; at most {CELLS_MAX}", key=True)
        raise InputError(problem)
    found: list[tuple[str, Loaded]] = []
    problems: list[Problem] = []
    systems: dict[str | None, LoadedSystem] = {}
    for choice in itertools.product(*(range(len(values)) for values in raw.values())):
        picked = {key: raw[key][number] for key, number in zip(raw, choice, strict=True)}
        name = ",".join(f"{key}={_cell_text(value)}" for key, value in picked.items())
        data = {key: value for key, value in loaded.document.data.items() if key != "matrix"}
        data = copy.deepcopy(data)
        for key, value in picked.items():
            _put(data, key.split("."), copy.deepcopy(value))
        cell, wrong = _build(data, loaded.document, loaded.registry, loaded.environ, name, systems)
        at = ("matrix", *next(iter(zip(raw, choice, strict=True))))
        problems += [_in_matrix(loaded.places, at, name, one) for one in wrong]
        if cell is not None:
            found.append((name, cell))
    if problems:
        raise InputError(*in_order(problems))
    return tuple(found)


def _first_variant(document: Document) -> dict[str, Any]:
    """A drill whose matrix varies the variant may name what only variants have: as a whole it is read as the first."""
    data, matrix = document.data, document.data.get("matrix")
    varied = matrix.get("variant") if isinstance(matrix, dict) else None
    if "variant" in data or not isinstance(varied, list) or not varied or not isinstance(varied[0], str):
        return data
    document.places.graft(("matrix", "variant", 0), ("variant",))
    return {**data, "variant": varied[0]}


def _in_matrix(places: Places, at: tuple[str | int, ...], name: str, problem: Problem) -> Problem:
    return places.problem(at, f"in the cell {name}: {problem.message}", problem.hint)


def _cell_text(value: Any) -> str:
    if isinstance(value, dict):
        return "+".join(f"{key}:{_cell_text(one)}" for key, one in value.items())
    return "+".join(map(_cell_text, value)) if isinstance(value, list) else as_text(value)


def _put(data: Any, parts: list[str], value: Scalar | list[Any] | dict[str, Any]) -> None:
    """Set a dotted path; a missing last key is added."""
    for part in parts[:-1]:
        data = data[int(part)] if isinstance(data, list) else data[part]
    if isinstance(data, list):
        data[int(parts[-1])] = value
    else:
        data[parts[-1]] = value


def _build(
    data: Mapping[str, Any],
    document: Document,
    registry: Registry,
    environ: Mapping[str, str],
    cell: str,
    systems: dict[str | None, LoadedSystem],
) -> tuple[Loaded | None, list[Problem]]:
    """One drill from its values; None and why not. `systems` keeps the system of each variant between cells."""
    places = document.places
    checked = check_drill(data, places, registry)
    problems = list(checked.problems)
    problems += matrix_problems(checked.drill, data, places)
    system = _system(checked, document, environ, systems, problems)
    if system is None:
        return None, problems
    problems += system.problems
    problems += _variant(checked.drill, system, places)
    problems += _expected_variants(data, system, places)
    known = bool(system.compose.services)
    problems += DrillNames(checked, system.system, places, registry, services_known=known).check()
    loaded = Loaded(
        checked.drill,
        system.system,
        document.path,
        places,
        system.places,
        system.compose,
        cell,
        document=document,
        registry=registry,
        environ=environ,
    )
    return (None if problems else loaded), problems


def _system(
    checked: CheckedDrill,
    document: Document,
    environ: Mapping[str, str],
    systems: dict[str | None, LoadedSystem],
    problems: list[Problem],
) -> LoadedSystem | None:
    """The system of the drill's variant; a file that cannot be read is told in its own words, or where it is named."""
    name, variant = checked.drill.system, checked.drill.variant
    if not isinstance(name, str) or not name:
        if document.places.written("system") and name == "":
            problems.append(
                document.places.problem(("system",), "`system` is empty", "the path of system.yaml")
            )
        return None
    if variant not in systems:
        path = document.path.parent / name
        try:
            missing = not path.exists()
        except (OSError, ValueError):
            missing = True
        if missing:
            hint = "the path is relative to this file"
            problems.append(document.places.problem(("system",), f"{shown(name)}: no such system file", hint))
            return None
        try:
            systems[variant] = load_system(path, variant, environ)
        except InputError as error:
            problems += [one for one in error.problems if isinstance(one, Problem)]
            return None
    return systems[variant]


def _variant(drill: Drill, system: LoadedSystem, places: Places) -> list[Problem]:
    if drill.variant is None or drill.variant in system.variants:
        return []
    hint = nearest(drill.variant, system.variants, "variants")
    return [places.problem(("variant",), f"the system has no variant {shown(drill.variant)}", hint)]


def _expected_variants(data: Mapping[str, Any], system: LoadedSystem, places: Places) -> list[Problem]:
    """Where `expect` says one thing for each variant, each is one that there is."""
    expect = data.get("expect")
    named = list(expect) if isinstance(expect, dict) and not set(expect) <= {"fail"} else []
    return [
        places.problem(
            ("expect", name),
            f"the system has no variant {shown(name)}",
            nearest(name, system.variants, "variants"),
            key=True,
        )
        for name in named
        if name not in system.variants
    ]


def in_order(problems: Iterable[Problem]) -> list[Problem]:
    """Each problem once: by file as first met, then line and column."""
    unique = list(dict.fromkeys(problems))
    files = {problem.location.path: None for problem in unique}
    rank = {path: number for number, path in enumerate(files)}
    return sorted(unique, key=lambda one: (rank[one.location.path], one.location.line, one.location.column))
