"""Turns pydantic's errors into problems with file, line and column, the value, what is allowed and the nearest word."""

from __future__ import annotations

import types
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from chaoskit.errors import Problem
from chaoskit.model.base import kebab
from chaoskit.spec.places import Loc, Places, nearest, shown

_NOUNS = {
    "string": "text",
    "int": "whole number",
    "float": "number",
    "bool": "truth value (true or false)",
    "dict": "mapping",
    "model": "mapping",
    "model_attributes": "mapping",
    "dataclass": "mapping",
    "tuple": "list",
    "list": "list",
    "none_required": "null",
}
_BOUNDS = {
    "greater_than_equal": ("ge", "at least"),
    "greater_than": ("gt", "more than"),
    "less_than_equal": ("le", "at most"),
    "less_than": ("lt", "less than"),
}


def explain(
    errors: Iterable[ErrorDetails], model: Any, data: Any, places: Places, base: Loc = ()
) -> list[Problem]:
    """Every error as a problem. `data` is what was validated, `base` where it stands in the file."""
    problems: list[Problem] = []
    for group in _one_per_union(_of_what_is_there(list(errors)), data):
        first = group[0]
        loc = _real(first, data)
        where = (*base, *loc)
        if first["type"] == "missing":
            problems.append(places.problem(where[:-1], f"`{loc[-1]}` is missing", _about(model, loc)))
        elif first["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
            hint = nearest(str(loc[-1]), allowed_keys(model, loc[:-1]), "allowed")
            problems.append(places.problem(where, f"unknown key `{shown_key(loc[-1])}`", hint, key=True))
        else:
            message, hint = _message(group, model, loc)
            problems.append(places.problem(where, message, hint, key=first["loc"][-1:] == ("[key]",)))
    return problems


def _of_what_is_there(errors: list[ErrorDetails]) -> list[ErrorDetails]:
    """Without lists that are short only because pydantic counts the right entries; the wrong ones are told."""

    def within(loc: Loc) -> bool:
        return any(len(one["loc"]) > len(loc) and one["loc"][: len(loc)] == loc for one in errors)

    return [one for one in errors if one["type"] != "too_short" or not within(one["loc"])]


def shown_key(key: object) -> str:
    return shown(str(key))[1:-1]


def _message(group: list[ErrorDetails], model: Any, loc: Loc) -> tuple[str, str]:
    """(what is wrong, what to do) for one value; several errors are the branches of a union."""
    error = group[0]
    kind, value, context = error["type"], error.get("input"), error.get("ctx", {})
    key = next((f"`{part}`: " for part in reversed(loc) if isinstance(part, str)), "")
    about = _about(model, loc)
    nouns = [noun for noun in (_noun(one) for one in group) if noun]
    if len(group) > 1 or (nouns and kind != "literal_error"):
        hint = about
        if kind == "string_type" and not isinstance(value, dict | list) and value is not None:
            hint = "quote it to make it text"
        elif nouns[0] == "mapping":
            hint = (
                nearest("", allowed_keys(model, loc), "allowed keys") if allowed_keys(model, loc) else about
            )
        return f"{key}{shown(value)} is no {' and no '.join(dict.fromkeys(nouns))}", hint
    if kind in ("literal_error", "enum"):
        words = [str(word) for word in _literals(model, loc)] or [str(context.get("expected", ""))]
        return f"{key}{shown(value)} is not allowed", nearest(str(value), words, "allowed")
    if kind == "value_error":
        return key + str(context.get("error", error["msg"])), about
    if kind in _BOUNDS:
        name, words_ = _BOUNDS[kind]
        return f"{key}{shown(value)} is out of range: {words_} {context.get(name)}", about
    if kind == "string_pattern_mismatch":
        return f"{key}{shown(value)} does not fit", f"{about}; pattern {context.get('pattern')}".lstrip("; ")
    if kind in ("too_short", "string_too_short"):
        return f"{key}at least one entry is needed" if kind == "too_short" else f"{key}is empty", about
    if kind in ("too_long", "string_too_long"):
        return f"{key}longer than {context.get('max_length')}", about
    return f"{key}{error['msg'][:1].lower()}{error['msg'][1:]}", about


def _noun(error: ErrorDetails) -> str:
    kind = error["type"]
    if kind == "literal_error":
        return f"one of {error.get('ctx', {}).get('expected', '')}"
    if kind == "value_error":
        return ""
    for name, noun in _NOUNS.items():
        if kind in (f"{name}_type", f"{name}_parsing", f"{name}_from_float", name):
            return noun
    return ""


def _holds(data: Any, part: str | int) -> bool:
    if isinstance(data, list | tuple):
        return isinstance(part, int) and part < len(data)
    return isinstance(data, Mapping) and part in data


def _real(error: ErrorDetails, data: Any) -> Loc:
    """The error's path without the names of union branches, which stand in no file."""
    found: list[str | int] = []
    parts = list(error["loc"])
    for number, part in enumerate(parts):
        last = number == len(parts) - 1
        if _holds(data, part):
            data = data[part]
        elif not (last and error["type"] == "missing"):
            continue
        found.append(part)
    return tuple(found)


def _one_per_union(errors: list[ErrorDetails], data: Any) -> list[list[ErrorDetails]]:
    """Groups errors of one value's union branches; the branch that got furthest speaks for the others."""
    by_union: dict[Loc, list[ErrorDetails]] = {}
    for error in errors:
        by_union.setdefault(_union_point(error, data), []).append(error)
    groups: list[list[ErrorDetails]] = []
    for point, members in by_union.items():
        if point and point[-1] == "|":
            depth = max(len(_real(one, data)) for one in members)
            if depth > len(point) - 1:
                members = [one for one in members if len(_real(one, data)) == depth]
                unknown = {_real(one, data): one for one in members if one["type"] == "extra_forbidden"}
                # Every branch misses its own keys: the word that none of them knows is what the reader must see.
                members = list(unknown.values()) or members
            else:
                groups.append(sorted(members, key=lambda one: one["type"] == "literal_error"))
                continue
        groups += [[one] for one in members]
    return groups


def _union_point(error: ErrorDetails, data: Any) -> Loc:
    """Where a union was entered, marked by a final '|'; the whole path where none was."""
    found: list[str | int] = []
    parts = list(error["loc"])
    for number, part in enumerate(parts):
        if _holds(data, part):
            data = data[part]
        elif number == len(parts) - 1 and error["type"] == "missing":
            break
        else:
            return (*found, "|")
        found.append(part)
    return tuple(parts)


def branches(annotation: Any) -> list[Any]:
    """The parts of a union, without Annotated and None."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return branches(get_args(annotation)[0])
    if origin in (Union, types.UnionType):
        return [part for one in get_args(annotation) for part in branches(one)]
    return [] if annotation is type(None) else [annotation]


def types_at(model: Any, loc: Loc) -> list[Any]:
    """The types that may stand at a path below a model."""
    here = branches(model)
    for part in loc:
        below: list[Any] = []
        for one in here:
            args = get_args(one)
            if isinstance(one, type) and issubclass(one, BaseModel):
                below += [f.annotation for n, f in one.model_fields.items() if part in (f.alias, kebab(n))]
            elif get_origin(one) is dict:
                below.append(args[1])
            elif get_origin(one) in (tuple, list):
                below.append(args[0])
        here = [branch for one in below for branch in branches(one)]
    return here


def allowed_keys(model: Any, loc: Loc) -> list[str]:
    """The keys a mapping at this path may have."""
    return [
        field.alias or kebab(name)
        for one in types_at(model, loc)
        if isinstance(one, type) and issubclass(one, BaseModel)
        for name, field in one.model_fields.items()
    ]


def _literals(model: Any, loc: Loc) -> list[Any]:
    return [
        value for one in types_at(model, loc) if "Literal" in str(get_origin(one)) for value in get_args(one)
    ]


def _about(model: Any, loc: Loc) -> str:
    """The description of the field at this path, or of the field whose item stands there."""
    for cut in range(len(loc), 0, -1):
        for one in types_at(model, loc[: cut - 1]):
            if isinstance(one, type) and issubclass(one, BaseModel):
                for name, field in one.model_fields.items():
                    if loc[cut - 1] in (field.alias, kebab(name)):
                        return f"{loc[cut - 1]}: {field.description}" if field.description else ""
    return ""
