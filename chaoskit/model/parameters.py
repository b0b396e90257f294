"""A member's parameters: the fields of its dataclass, kebab-case in YAML, strict about types and units."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from pydantic import TypeAdapter

from chaoskit.model.base import kebab


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
        ValueError: for an unknown or unfit parameter; never for the parameters of a drill that was loaded.
    """
    names = field_names(member)
    unknown = [key for key in params if key not in names and key not in names.values()]
    if unknown:
        raise ValueError(f"unknown parameter {unknown[0]!r}; known: {', '.join(names) or 'none'}")
    fields = {names.get(key, key): value for key, value in params.items()}
    # As JSON, so that strict mode takes a list for a tuple.
    return adapter(member).validate_json(json.dumps(fields), strict=True)
