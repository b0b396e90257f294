"""Fills names into JSON; imports nothing, so that whoever needs it starts at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def filled(template: Any, known: Mapping[str, str]) -> Any:
    """JSON with each `{name}` in its texts replaced; what is not known stays."""
    if isinstance(template, dict):
        return {name: filled(value, known) for name, value in template.items()}
    if isinstance(template, list):
        return [filled(value, known) for value in template]
    if isinstance(template, str):
        for name, value in known.items():
            template = template.replace(f"{{{name}}}", value)
    return template
