"""Finds extension members by name: a decorator, a scan of the kind's folder, and entry points of other packages."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Callable, Mapping
from functools import cache
from importlib.metadata import entry_points
from typing import Any, Literal, TypeVar

Kind = Literal["faults", "responses", "probes", "checks", "reporters"]
KINDS: tuple[Kind, ...] = ("faults", "responses", "probes", "checks", "reporters")
Member = TypeVar("Member", bound=type)
_members: dict[Kind, dict[str, type]] = {kind: {} for kind in KINDS}


class DuplicateName(Exception):
    """Two members of one kind claim one name; says which two."""


def register(kind: Kind, name: str) -> Callable[[Member], Member]:
    """Class decorator: make a member known under `name`, the word drill files use."""

    def add(member: Member) -> Member:
        other = _members[kind].get(name)
        if other is not None and (other.__module__, other.__qualname__) != (
            member.__module__,
            member.__qualname__,
        ):
            raise DuplicateName(
                f"{kind} {name!r} is claimed by {other.__module__}.{other.__qualname__} "
                f"and by {member.__module__}.{member.__qualname__}; rename one"
            )
        _members[kind][name] = member
        return member

    return add


@cache
def _load(kind: Kind) -> None:
    try:
        folder = importlib.import_module(f"chaoskit.{kind}")
    except ModuleNotFoundError as missing:
        if missing.name != f"chaoskit.{kind}":
            raise
    else:
        for module in pkgutil.iter_modules(folder.__path__):
            importlib.import_module(f"chaoskit.{kind}.{module.name}")
    for entry in entry_points(group=f"chaoskit.{kind}"):
        register(kind, entry.name)(entry.load())


def members(kind: Kind) -> Mapping[str, type]:
    """Every known member of a kind by name, in alphabetical order."""
    _load(kind)
    return dict(sorted(_members[kind].items()))


def member(kind: Kind, name: str) -> type[Any]:
    """The member of that name; KeyError with the nearest known names otherwise."""
    known = members(kind)
    if name not in known:
        near = difflib.get_close_matches(name, known, n=3)
        raise KeyError(
            f"{name!r} is no {kind[:-1]}; {'nearest: ' + ', '.join(near) if near else 'known: ' + ', '.join(known)}"
        )
    return known[name]
