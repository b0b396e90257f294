"""JSON bodies in and errors out, in the words of the real server (Go's encoding/json and net/http).

Go matches field names without regard to case, takes null as absent, and ignores what follows the first value.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chaoskit.toxiproxy.errors import InvalidToxic
from chaoskit.toxiproxy.toxics.settings import Settings


class ApiError(Exception):
    """An answer that is an error: its text and its HTTP status."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.message = message
        self.status = status


@dataclass(frozen=True)
class GoType:
    """A Go type that a JSON value must fit: its name in error texts, and the Python types that do."""

    name: str
    fits: tuple[type, ...]


STRING = GoType("string", (str,))
BOOL = GoType("bool", (bool,))
FLOAT = GoType("float32", (int, float))

_KINDS: list[tuple[type, str]] = [(bool, "bool"), (str, "string"), (list, "array"), (dict, "object")]

_SYNTAX = {
    "Expecting property name": "looking for beginning of object key string",
    "Expecting ':'": "after object key",
    "Expecting ','": "after object key:value pair",
}


def bad_body(reason: str) -> ApiError:
    """The answer to a body that cannot be understood."""
    return ApiError(f"bad request body: {reason}", 400)


def read_json(body: bytes) -> Any:
    """The first JSON value of a body. Raises `ApiError` 400."""
    text = body.decode("utf-8", "replace").lstrip(" \t\r\n")
    if not text:
        raise bad_body("EOF")
    try:
        return json.JSONDecoder().raw_decode(text)[0]
    except json.JSONDecodeError as error:
        if error.pos >= len(text) or error.msg.startswith("Unterminated"):
            raise bad_body("unexpected EOF") from None
        where = next(
            (go for py, go in _SYNTAX.items() if error.msg.startswith(py)), "looking for beginning of value"
        )
        raise bad_body(f"invalid character '{text[error.pos]}' {where}") from None
    except RecursionError:
        raise bad_body("exceeded max depth") from None


def read_object(value: Any, go_type: str) -> dict[str, Any]:
    """A JSON object with its field names in lower case; null is an empty one. Raises `ApiError` 400."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise bad_body(f"json: cannot unmarshal {_kind(value)} into Go value of type {go_type}")
    return {name.lower(): item for name, item in value.items()}


def read_field(source: Mapping[str, Any], owner: str, name: str, kind: GoType, default: Any) -> Any:
    """One field, or its default when it is absent or null. Raises `ApiError` 400 when it is of another type."""
    value = source.get(name)
    if value is None:
        return default
    if not isinstance(value, kind.fits) or (isinstance(value, bool) and kind is not BOOL):
        raise _wrong_type(value, f"{owner}.{name}", kind.name)
    return value


def read_settings(value: Any, kind: type[Settings], current: Settings | None) -> Settings:
    """A toxic's attributes over the current ones (or zeros); unknown ones are ignored, as on the real server.

    Raises `ApiError` 400, also for values that would make the real server hang or die.
    """
    merged = dict(current.as_attributes()) if current is not None else {}
    if value is not None and not isinstance(value, dict):
        raise _wrong_type(value, "ToxicWrapper.attributes", "toxics.NoopToxic")
    given = {} if value is None else {name.lower(): item for name, item in value.items()}
    for name in kind.names():
        number = given.get(name)
        if number is None:
            continue
        if isinstance(number, bool) or not isinstance(number, int) or abs(number) >= 2**63:
            raise _wrong_type(number, f"{kind.go_type}.attributes.{name}", kind.go_int, literal=True)
        merged[name] = number
    try:
        return kind.checked(merged)
    except InvalidToxic as error:
        raise bad_body(str(error)) from None


def _wrong_type(value: Any, field: str, go_type: str, literal: bool = False) -> ApiError:
    kind = _kind(value)
    if literal and kind == "number":
        kind += f" {value}"
    return bad_body(f"json: cannot unmarshal {kind} into Go struct field {field} of type {go_type}")


def _kind(value: Any) -> str:
    return next((name for kind, name in _KINDS if isinstance(value, kind)), "number")
