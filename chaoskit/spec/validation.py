"""Validates a file's values against a frozen model, keeping what is right so that later checks see it too."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Annotated, Any, Generic, TypeVar, get_args, get_origin

from pydantic import TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from chaoskit.errors import Problem
from chaoskit.model.base import Frozen, kebab
from chaoskit.spec.explain import branches, explain
from chaoskit.spec.places import Loc, Places

M = TypeVar("M", bound=Frozen)


@dataclass
class Checked(Generic[M]):
    """A validated model. With problems, `value` holds only the parts that are right: never hand it on, only check it.

    `index[field][n]` is the n-th kept item's index in the file.
    """

    value: M
    problems: list[Problem]
    index: dict[str, list[int]] = field(default_factory=dict)


def check(model: type[M], data: dict[str, Any], places: Places, base: Loc = ()) -> Checked[M]:
    """Validate strictly, as JSON (lists become tuples), keys only as the files write them."""
    index = {key: list(range(len(value))) for key, value in data.items() if isinstance(value, list)}
    try:
        value = model.model_validate_json(as_json(data), by_alias=True, by_name=False)
        return Checked(value, [], index)
    except ValidationError as error:
        details = error.errors(include_url=False)
    problems = explain(details, model, data, places, base)
    return Checked(_partial(model, data, index), problems, index)


def as_json(data: Any) -> str:
    """JSON text of plain values; strict validators turn its lists into tuples."""
    return json.dumps(data, ensure_ascii=True)


def _partial(model: type[M], data: dict[str, Any], index: dict[str, list[int]]) -> M:
    """The fields that validate, each without what in it does not; what is missing has its default or is empty."""
    values: dict[str, Any] = {}
    for name, info in model.model_fields.items():
        key = info.alias or kebab(name)
        found = _lenient(_whole(info), data[key], index.get(key)) if key in data else _INVALID
        if found is not _INVALID:
            values[name] = found
        else:
            required = info.is_required()
            values[name] = (
                _empty(info.annotation) if required else info.get_default(call_default_factory=True)
            )
    return model.model_construct(**values)


_INVALID = object()


def _whole(info: FieldInfo) -> Any:
    return Annotated[info.annotation, *info.metadata] if info.metadata else info.annotation


def _lenient(annotation: Any, raw: Any, index: list[int] | None = None) -> Any:
    """The value, or as much of it as is right; `index` loses the numbers of dropped items."""
    try:
        adapter: TypeAdapter[Any] = TypeAdapter(annotation)
        return adapter.validate_json(as_json(raw), strict=True, by_alias=True, by_name=False)
    except ValidationError:
        pass
    for branch in branches(annotation):
        if isinstance(raw, dict) and get_origin(branch) is dict:
            kept = {key: _lenient(get_args(branch)[1], value) for key, value in raw.items()}
            return {key: value for key, value in kept.items() if value is not _INVALID}
        if isinstance(raw, dict) and isinstance(branch, type) and issubclass(branch, Frozen):
            return _partial(branch, raw, {})
        if isinstance(raw, list) and get_origin(branch) is tuple:
            items = [_lenient(get_args(branch)[0], value) for value in raw]
            good = [number for number, item in enumerate(items) if item is not _INVALID]
            if index is not None:
                index[:] = good
            return tuple(items[number] for number in good)
    return _INVALID


def _empty(annotation: Any) -> Any:
    origin = get_origin(annotation) or annotation
    if origin is Annotated:
        return _empty(get_args(annotation)[0])
    return origin() if origin in (dict, tuple, str, int) else None
