"""The YAML 1.2 core schema: what an unquoted word means, so that `no`, `on`, `22:22` and dates stay words."""

from __future__ import annotations

import re

_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_TRUE = frozenset({"true", "True", "TRUE"})
_FALSE = frozenset({"false", "False", "FALSE"})
_INT = re.compile(r"[-+]?[0-9]+")
_OCTAL = re.compile(r"0o[0-7]+")
_HEX = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
DIGITS_MAX = 400
"""Longer numbers stay words: nothing here counts that far, and converting them is slow on purpose in Python."""


class WrittenInt(int):
    """An integer that remembers how it was written: an environment value `012` is those three characters."""

    text: str

    def __new__(cls, value: int, text: str) -> WrittenInt:
        made = super().__new__(cls, value)
        made.text = text
        return made

    def __getnewargs__(self) -> tuple[int, str]:  # type: ignore[override]
        return int(self), self.text


class WrittenFloat(float):
    """A number with a fraction that remembers how it was written: an image tag `1.10` is not `1.1`."""

    text: str

    def __new__(cls, value: float, text: str) -> WrittenFloat:
        made = super().__new__(cls, value)
        made.text = text
        return made

    def __getnewargs__(self) -> tuple[float, str]:  # type: ignore[override]
        return float(self), self.text


Scalar = str | bool | int | float | None


def resolve(text: str) -> Scalar:
    """Value of a plain (unquoted) scalar by the core schema, YAML 1.2.2 section 10.3.2.

    `.inf` and `.nan` stay words: no key of ours takes them, and JSON cannot say them.
    """
    if text in _NULL:
        return None
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    if len(text) > DIGITS_MAX:
        return text
    if _INT.fullmatch(text):
        return WrittenInt(int(text), text)
    if _OCTAL.fullmatch(text):
        return WrittenInt(int(text[2:], 8), text)
    if _HEX.fullmatch(text):
        return WrittenInt(int(text[2:], 16), text)
    if _FLOAT.fullmatch(text):
        value = float(text)
        return WrittenFloat(value, text) if abs(value) != float("inf") else text
    return text


def as_text(value: Scalar) -> str:
    """The scalar as the characters a process gets in its environment: numbers as they were written."""
    if isinstance(value, WrittenInt | WrittenFloat):
        return value.text
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)
