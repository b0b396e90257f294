"""What every type read from a file shares: frozen, strict, kebab-case in YAML, snake_case in Python."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


def kebab(name: str) -> str:
    """`minimum_service` → `minimum-service`; a trailing underscore (a Python keyword) goes."""
    return name.rstrip("_").replace("_", "-")


class Frozen(BaseModel):
    """Base of every value type: immutable, no unknown keys, no silent conversion of one type to another."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        alias_generator=kebab,
        populate_by_name=True,
        arbitrary_types_allowed=True,
        serialize_by_alias=True,
    )
