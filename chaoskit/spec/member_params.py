"""The parameters of faults and responses: the fields of a registered member's dataclass, kebab-case in YAML."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import cache
from typing import Any, Protocol

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from chaoskit.errors import Problem
from chaoskit.model.base import kebab
from chaoskit.registry import Kind
from chaoskit.spec.explain import explain, shown_key
from chaoskit.spec.places import Loc, Places, nearest
from chaoskit.spec.validation import as_json


class Registry(Protocol):
    """What spec and planner need of the registry; the module `chaoskit.registry` fits."""

    def members(self, kind: Kind) -> Mapping[str, type]: ...


def field_names(member: type) -> dict[str, str]:
    """YAML name → field name of each parameter."""
    if not dataclasses.is_dataclass(member):
        return {}
    return {kebab(one.name): one.name for one in dataclasses.fields(member) if one.init}


@cache
def adapter(member: type) -> TypeAdapter[Any]:
    """Validator of the member's dataclass; strict, quantities with their units."""
    return TypeAdapter(member)


def build(member: type, params: Mapping[str, Any]) -> Any:
    """The member itself, from parameters as a drill or plan.json holds them (kebab-case or field names).

    Raises:
        ValueError: for an unknown or unfit parameter; never for parameters that `check_params` found no fault in.
    """
    names = field_names(member)
    unknown = [key for key in params if key not in names and key not in names.values()]
    if unknown:
        raise ValueError(f"unknown parameter {unknown[0]!r}; {nearest(unknown[0], names)}")
    fields = {names.get(key, key): value for key, value in params.items()}
    return adapter(member).validate_json(as_json(fields), strict=True)


def check_params(
    member: type, name: str, params: Mapping[str, Any], step_keys: list[str], places: Places, loc: Loc
) -> list[Problem]:
    """Problems of one step's parameters, each at its key in the file."""
    names = field_names(member)
    problems = []
    for key in params:
        if key not in names:
            hint = nearest(key, [*names, *step_keys], "allowed")
            message = f"`{name}` has no parameter `{shown_key(key)}`"
            problems.append(places.problem((*loc, key), message, hint, key=True))
    fields = {names[key]: value for key, value in params.items() if key in names}
    try:
        adapter(member).validate_json(as_json(fields), strict=True)
    except ValidationError as error:
        back = {field: key for key, field in names.items()}
        details: list[ErrorDetails] = []
        for one in error.errors(include_url=False):
            path = (back.get(str(one["loc"][0]), one["loc"][0]), *one["loc"][1:]) if one["loc"] else ()
            details.append({**one, "loc": path})
        problems += explain(details, member, dict(params), places, loc)
    return problems
