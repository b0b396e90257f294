"""A Compose file's values, each with the file, place and folder it comes from, its variables filled in.

Document ─► Sited (tree) ─► short forms written out (compose_shapes) ─► merged (compose_merge) ─► read (compose_service)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from chaoskit.errors import Problem
from chaoskit.spec.compose_variables import BadVariable, Variables
from chaoskit.spec.places import Loc, Places, nearest, shown
from chaoskit.spec.scalars import Scalar, as_text
from chaoskit.spec.source import Document

_T = TypeVar("_T")
RESET, OVERRIDE = "!reset", "!override"
TAGS = frozenset({RESET, OVERRIDE})


@dataclass(frozen=True)
class Origin:
    """A file that was read: where its relative paths begin, and what its `${VAR}` stand for."""

    places: Places
    folder: Path
    variables: Variables


@dataclass(frozen=True)
class Sited:
    """A value of a Compose file and where it stands; merged values keep the place of the last file that wrote them."""

    value: Scalar | list[Sited] | dict[str, Sited]
    origin: Origin
    loc: Loc
    tag: str = ""

    def problem(self, message: str, hint: str = "", *, key: bool = False) -> Problem:
        """A mistake here."""
        return self.origin.places.problem(self.loc, message, hint, key=key)

    def like(self, value: Any) -> Sited:
        """Another value at this place."""
        return replace(self, value=value, tag="")

    @property
    def mapping(self) -> dict[str, Sited]:
        """Its entries; raises Misfit for anything else, and for null an empty mapping."""
        if self.value is None:
            return {}
        if not isinstance(self.value, dict):
            raise Misfit(self, f"{shown(self.plain)} is no mapping")
        return self.value

    @property
    def items(self) -> list[Sited]:
        """Its items; raises Misfit for anything else, and for null an empty list."""
        if self.value is None:
            return []
        if not isinstance(self.value, list):
            raise Misfit(self, f"{shown(self.plain)} is no list")
        return self.value

    @property
    def text(self) -> str:
        """A single value as it was written; raises Misfit for a list or mapping."""
        if isinstance(self.value, dict | list):
            raise Misfit(self, f"{shown(self.plain)} stands where one value belongs")
        return as_text(self.value)

    @property
    def plain(self) -> Any:
        """For a message: enough of it to be quoted."""
        return {} if isinstance(self.value, dict) else [] if isinstance(self.value, list) else self.value

    def known(self, keys: frozenset[str], noun: str) -> dict[str, Sited]:
        """Its entries but for `x-`; raises Misfit, at the key, for one that Compose does not know."""
        for key, one in self.mapping.items():
            if key not in keys and not key.startswith("x-"):
                raise Misfit(one, f"{noun} has no key `{shown(key)[1:-1]}`", nearest(key, keys), key=True)
        return {key: one for key, one in self.mapping.items() if not key.startswith("x-")}


class Misfit(ValueError):
    """A value that cannot stand at its place; the message says what it is and what may stand there."""

    def __init__(self, at: Sited, message: str, hint: str = "", *, key: bool = False) -> None:
        super().__init__(message)
        self.at = at
        self.hint = hint
        self.key = key

    def problem(self, name: str) -> Problem:
        """For the reader of the file: `name` is the key that is being read."""
        hint = self.hint or "see the Compose specification"
        return self.at.problem(f"`{name}`: {self}", hint, key=self.key)


def sited(document: Document, origin: Origin, problems: list[Problem]) -> Sited:
    """The document's values with variables filled in; a variable that cannot be is a problem, its value null.

    Keys are never filled, and nothing below a top-level `x-` is: what stands there is used through anchors, which have
    been followed already.
    """

    def build(value: Any, loc: Loc) -> Sited:
        tag = document.places.tags.get(loc, "")
        if isinstance(value, dict):
            inner = {key: build(one, (*loc, key)) for key, one in value.items() if _filled(key, loc)}
            return Sited(inner, origin, loc, tag)
        if isinstance(value, list):
            return Sited([build(one, (*loc, number)) for number, one in enumerate(value)], origin, loc, tag)
        if isinstance(value, str):
            try:
                value = origin.variables.fill(value)
            except BadVariable as error:
                name = next((part for part in reversed(loc) if isinstance(part, str)), "")
                problems.append(
                    origin.places.problem(loc, f"`{name}`: {error}", "Compose specification, Interpolation")
                )
                value = None
        return Sited(value, origin, loc, tag)

    return build(document.data, ())


def _filled(key: str, loc: Loc) -> bool:
    return bool(loc) or not key.startswith("x-")


def collected(name: str, problems: list[Problem], read: Callable[[], _T], default: _T) -> _T:
    """What `read` gives; a Misfit becomes a problem and gives the default."""
    try:
        return read()
    except Misfit as error:
        problems.append(error.problem(name))
        return default


def settled(item: Sited) -> Sited:
    """Without what `!reset` takes away."""
    if isinstance(item.value, dict):
        return replace(item, value={key: settled(one) for key, one in item.value.items() if one.tag != RESET})
    if isinstance(item.value, list):
        return replace(item, value=[settled(one) for one in item.value if one.tag != RESET])
    return item


def entries(found: Mapping[str, Sited]) -> dict[str, Sited]:
    """Without those that `!reset` takes away."""
    return {key: settled(one) for key, one in found.items() if one.tag != RESET}
