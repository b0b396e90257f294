"""Single values of a Compose file: truth values, numbers, sizes, durations and modes, as Compose reads them."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Callable
from decimal import Decimal
from typing import TypeVar

from chaoskit.quantity import Duration
from chaoskit.spec.compose_tree import Misfit, Sited
from chaoskit.spec.places import nearest, shown

_T = TypeVar("_T")
_TRUE = frozenset({"true", "yes", "on", "y", "t", "1"})
_FALSE = frozenset({"false", "no", "off", "n", "f", "0"})
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(?:([kmgtp]?)(?:i?b)?)", re.I)
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|ms|s|m|h|d|w)")
_UNITS_NS = {
    "ns": 1, "us": 10**3, "µs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9,
    "d": 86400 * 10**9, "w": 7 * 86400 * 10**9,
}  # fmt: skip


def text(item: Sited) -> str:
    """A single value as it was written."""
    return item.text


def flag(item: Sited) -> bool:
    """true or false, also as a word."""
    word = item.text.lower()
    if word not in _TRUE | _FALSE:
        raise Misfit(item, f"{shown(item.plain)} is neither true nor false")
    return word in _TRUE


def whole(item: Sited) -> int:
    """A whole number."""
    if not re.fullmatch(r"[-+]?[0-9]{1,18}", item.text):
        raise Misfit(item, f"{shown(item.plain)} is no whole number")
    return int(item.text)


def number(item: Sited) -> float:
    """A number, like the 0.5 of `cpus`."""
    if not re.fullmatch(r"[-+]?([0-9]{1,12}(\.[0-9]*)?|\.[0-9]+)", item.text):
        raise Misfit(item, f"{shown(item.plain)} is no number")
    return float(item.text)


def positive(item: Sited) -> float:
    """A number that is not negative."""
    found = number(item)
    if found < 0:
        raise Misfit(item, f"{shown(item.plain)} is negative")
    return found


def count(item: Sited) -> int:
    """A whole number that is not negative."""
    found = whole(item)
    if found < 0:
        raise Misfit(item, f"{shown(item.plain)} is negative")
    return found


def size(item: Sited) -> int:
    """Bytes, with or without a unit: `512m` and `512MiB` are 2²⁰ bytes each, as Compose counts; -1 stays."""
    if item.text == "-1":
        return -1
    match = _SIZE.fullmatch(item.text.strip()[:40])
    if not match:
        raise Misfit(item, f"{shown(item.plain)} is no size; write it like 512m or 2g")
    return int(Decimal(match[1]) * 1024 ** " kmgtp".index(match[2].lower() or " "))


def duration(item: Sited) -> Duration:
    """A span of time with its unit, as Go reads it: `1m30s`, `500ms`, `1.5h`."""
    written = item.text
    parts = _DURATION.findall(written)
    if written != "0" and (not parts or "".join(n + u for n, u in parts) != written or len(written) > 60):
        raise Misfit(item, f"{shown(written)} is no duration; write it like 90s or 1m30s")
    ns = sum(Decimal(n) * _UNITS_NS[u] for n, u in parts)
    if ns > 366 * _UNITS_NS["d"]:
        raise Misfit(item, f"{shown(written)} is longer than a year")
    return Duration(int(ns), written)


def microseconds(item: Sited) -> int:
    """Microseconds as a number, or a duration."""
    return whole(item) if re.fullmatch(r"-?[0-9]+", item.text) else duration(item).ns // 1000


def mode(item: Sited) -> int:
    """Permissions: octal when quoted or begun with 0, as Compose reads them."""
    written = item.text
    octal = isinstance(item.value, str) or written.startswith("0")
    digits = written.removeprefix("0o")
    if not re.fullmatch(r"[0-7]{1,5}" if octal else r"[0-9]{1,5}", digits):
        raise Misfit(item, f"{shown(item.plain)} are no permissions; write them like 0440")
    return int(digits, 8 if octal else 10)


def words(item: Sited) -> tuple[str, ...]:
    """A command: a list as it stands, a text split as a shell splits words."""
    if isinstance(item.value, list):
        return texts(item)
    try:
        return tuple(shlex.split(item.text))
    except ValueError as error:
        raise Misfit(item, f"{shown(item.plain)} cannot be split into words: {error}") from None


def texts(item: Sited) -> tuple[str, ...]:
    """A list of single values."""
    return tuple(one.text for one in item.items)


def mapped(item: Sited) -> dict[str, str]:
    """A mapping to single values; null is ''."""
    return {key: one.text for key, one in item.mapping.items()}


def several(read: Callable[[Sited], _T]) -> Callable[[Sited], tuple[_T, ...]]:
    """Every item of a list."""
    return lambda item: tuple(read(one) for one in item.items)


def one_of(*known: str) -> Callable[[Sited], str]:
    """One of these words."""

    def read(item: Sited) -> str:
        if item.text not in known:
            raise Misfit(item, f"{shown(item.text)} is unknown", nearest(item.text, known))
        return item.text

    return read


def share(item: Sited) -> float:
    """A number of processors above 0."""
    found = number(item)
    if not 0 <= found < math.inf:
        raise Misfit(item, f"{shown(item.plain)} is no number of processors")
    return found
