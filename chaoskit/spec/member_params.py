"""The parameters of faults and responses: the fields of a registered member's dataclass, kebab-case in YAML."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from chaoskit.errors import Problem
from chaoskit.model.parameters import adapter, build, field_names
from chaoskit.registry import Kind
from chaoskit.spec.explain import explain, shown_key
from chaoskit.spec.places import Loc, Places, nearest
from chaoskit.spec.validation import as_json

__all__ = ["Registry", "adapter", "build", "check_params", "field_names"]


class Registry(Protocol):
    """What spec and planner need of the registry; the module `chaoskit.registry` fits."""

    def members(self, kind: Kind) -> Mapping[str, type]: ...


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
