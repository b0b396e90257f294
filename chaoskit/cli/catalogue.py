"""`catalogue` and `schema`: what exists, from the members' own docstrings and fields."""

from __future__ import annotations

import difflib
import inspect
import json
from typing import Any

from pydantic import TypeAdapter
from tabulate import tabulate

from chaoskit import registry
from chaoskit.errors import InputError
from chaoskit.model.base import kebab


def listing() -> str:
    """Every member by kind, each with the first line of its docstring."""
    parts = []
    for kind in registry.KINDS:
        rows = [
            (name, (inspect.getdoc(member) or "").splitlines()[0])
            for name, member in registry.members(kind).items()
        ]
        if rows:
            parts.append(
                f"{kind}\n" + tabulate([("  " + name, line) for name, line in rows], tablefmt="plain")
            )
    return "\n\n".join(parts) + "\n\n`chaoskit catalogue NAME` prints the manual page."


def manual_pages(name: str) -> str:
    """The manual page of every member of that name; InputError with the nearest names."""
    found = [(kind, members[name]) for kind in registry.KINDS if name in (members := registry.members(kind))]
    if not found:
        known = [known for kind in registry.KINDS for known in registry.members(kind)]
        near = difflib.get_close_matches(name, known, n=3) or known
        raise InputError(f"catalogue: {name!r} is unknown; nearest: {', '.join(near)}")
    return "\n\n".join(_page(kind, name, member) for kind, member in found)


def _page(kind: registry.Kind, name: str, member: type) -> str:
    doc = inspect.getdoc(member) or ""
    head = f"{name} ({kind[:-1]})"
    needs = ", ".join(sorted(getattr(member, "requires", ())))
    parts = [head + "\n" + "=" * len(head), doc]
    parameters = _parameters(member)
    parts.append("Parameters\n" + parameters if parameters else "Parameters: none")
    if needs:
        parts.append(f"Needs of the runtime: {needs}")
    return "\n\n".join(parts)


def _parameters(member: type) -> str:
    schema: dict[str, Any] = TypeAdapter(member).json_schema()
    required = set(schema.get("required", ()))
    rows = []
    for name, field in schema.get("properties", {}).items():
        default = "required" if name in required else f"default {field.get('default')}"
        example = f"like {field['examples'][0]}" if field.get("examples") else field.get("type", "")
        rows.append((f"  {kebab(name)}", example, default, field.get("description", "")))
    return tabulate(rows, tablefmt="plain")


def schema_text(name: str) -> str:
    """A JSON Schema as text; InputError for another name than drill, system, result."""
    from chaoskit.evidence.schema import result_schema
    from chaoskit.spec import schema

    match name:
        case "drill":
            value = schema.drill_schema(registry)
        case "system":
            value = schema.system_schema()
        case "result":
            value = result_schema()
        case _:
            raise InputError(f"schema: {name!r} is unknown; allowed: drill, system, result")
    return json.dumps(value, indent=2, ensure_ascii=False)
