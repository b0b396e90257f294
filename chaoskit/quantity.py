"""Quantities with their units: parsed strictly, compared by value, printed the way they were written."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any, ClassVar, Self

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

_NUMBER = r"[0-9]+(?:\.[0-9]+)?"
_UNITS_NS = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
    "d": 86400 * 10**9,
}
_UNITS_BYTES = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
_UNITS_PER_SECOND = {"s": 1, "m": 60, "h": 3600}


class _Scalar(ABC):
    """What all quantities share: made from text by `parse`, known to pydantic and to the JSON Schema."""

    pattern: ClassVar[str]
    example: ClassVar[str]
    noun: ClassVar[str]
    text: str

    @classmethod
    @abstractmethod
    def parse(cls, text: str) -> Self:
        """The quantity that `text` says; raises ValueError, which tells how to write it."""

    @property
    @abstractmethod
    def _value(self) -> Any:
        """What is compared and hashed, whatever the way it was written."""

    def __str__(self) -> str:
        return self.text

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and bool(self._value == other._value)

    def __lt__(self, other: Self) -> bool:
        return bool(self._value < other._value)

    def __le__(self, other: Self) -> bool:
        return bool(self._value <= other._value)

    def __gt__(self, other: Self) -> bool:
        return bool(self._value > other._value)

    def __ge__(self, other: Self) -> bool:
        return bool(self._value >= other._value)

    def __hash__(self) -> int:
        return hash(self._value)

    @classmethod
    def _validate(cls, value: Any) -> Self:
        if isinstance(value, cls):
            return value
        if isinstance(value, bool) or not isinstance(value, str):
            raise ValueError(f"{value!r} is no {cls.noun}; write it with its unit, like {cls.example}")
        return cls.parse(value)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls._validate,
            json_schema_input_schema=core_schema.str_schema(pattern=cls.pattern),
            serialization=core_schema.plain_serializer_function_ser_schema(
                str, return_schema=core_schema.str_schema()
            ),
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {"type": "string", "pattern": cls.pattern, "examples": [cls.example]}


def _refuse(cls: type[_Scalar], text: str) -> ValueError:
    return ValueError(f"{text!r} is no {cls.noun}; write it like {cls.example}")


@dataclass(frozen=True, eq=False)
class Duration(_Scalar):
    """A span of time, never negative: `500ms`, `90s`, `1h30m`."""

    ns: int
    text: str = field(default="")
    pattern: ClassVar[str] = rf"^(?:{_NUMBER}(?:ns|us|µs|ms|s|m|h|d))+$"
    example: ClassVar[str] = "90s"
    noun: ClassVar[str] = "duration"

    @classmethod
    def parse(cls, text: str) -> Self:
        parts = re.findall(rf"({_NUMBER})(ns|us|µs|ms|s|m|h|d)", text)
        units = [_UNITS_NS[unit] for _, unit in parts]
        if len(text) > 60 or "".join(n + u for n, u in parts) != text or not parts:
            raise _refuse(cls, text[:60])
        if any(later >= earlier for earlier, later in pairwise(units)):
            raise ValueError(f"{text!r} names its units out of order; write it like 1h30m")
        total = sum(Fraction(number) * unit for (number, _), unit in zip(parts, units, strict=True))
        if total > 366 * _UNITS_NS["d"]:
            raise ValueError(f"{text!r} is longer than a year")
        return cls(int(total), text)

    @classmethod
    def of_ns(cls, ns: int) -> Self:
        """A computed duration, printed in its largest fitting unit with at most two decimals."""
        for unit in ("h", "m", "s", "ms", "us"):
            if ns >= _UNITS_NS[unit] and (unit not in "hm" or ns % _UNITS_NS[unit] == 0):
                return cls(ns, f"{ns / _UNITS_NS[unit]:.2f}".rstrip("0").rstrip(".") + unit)
        return cls(ns, f"{ns}ns")

    @property
    def s(self) -> float:
        return self.ns / 1e9

    @property
    def _value(self) -> float:
        return self.ns


@dataclass(frozen=True, eq=False)
class Rate(_Scalar):
    """Arrivals per second: `40/s`, `600/m`."""

    per_second: float
    text: str = field(default="")
    pattern: ClassVar[str] = rf"^{_NUMBER}/(?:s|m|h)$"
    example: ClassVar[str] = "40/s"
    noun: ClassVar[str] = "rate"

    @classmethod
    def parse(cls, text: str) -> Self:
        match = re.fullmatch(rf"({_NUMBER})/(s|m|h)", text[:40])
        if not match:
            raise _refuse(cls, text[:40])
        per_second = float(match[1]) / _UNITS_PER_SECOND[match[2]]
        if not 0 < per_second <= 100_000:
            raise ValueError(f"{text!r} is out of range; more than 0 and at most 100000/s")
        return cls(per_second, text)

    @property
    def _value(self) -> float:
        return self.per_second


@dataclass(frozen=True, eq=False)
class Percent(_Scalar):
    """A share between 0 and 100 %: `99.5%`."""

    ratio: float
    text: str = field(default="")
    pattern: ClassVar[str] = rf"^{_NUMBER}\s?%$"
    example: ClassVar[str] = "99.5%"
    noun: ClassVar[str] = "percentage"

    @classmethod
    def parse(cls, text: str) -> Self:
        match = re.fullmatch(rf"({_NUMBER})\s?%", text[:40])
        if not match:
            raise _refuse(cls, text[:40])
        if Decimal(match[1]) > 100:
            raise ValueError(f"{text!r} is more than 100%")
        return cls(float(Decimal(match[1]) / 100), text)

    @property
    def _value(self) -> float:
        return self.ratio


@dataclass(frozen=True, eq=False)
class Size(_Scalar):
    """An amount of data in bytes: `64KB` is 64,000, `64KiB` 65,536."""

    bytes: int
    text: str = field(default="")
    pattern: ClassVar[str] = rf"^{_NUMBER}\s?(?:B|KB|MB|GB|KiB|MiB|GiB)$"
    example: ClassVar[str] = "64KB"
    noun: ClassVar[str] = "size"

    @classmethod
    def parse(cls, text: str) -> Self:
        match = re.fullmatch(rf"({_NUMBER})\s?(B|KB|MB|GB|KiB|MiB|GiB)", text[:40])
        if not match:
            raise _refuse(cls, text[:40])
        return cls(int(Fraction(match[1]) * _UNITS_BYTES[match[2]]), text)

    @property
    def _value(self) -> float:
        return self.bytes


@dataclass(frozen=True, eq=False)
class Money(_Scalar):
    """An amount in one currency: `10000 CNY`, `12.34 EUR`."""

    amount: Decimal
    currency: str
    text: str = field(default="")
    pattern: ClassVar[str] = rf"^{_NUMBER} [A-Z]{{3}}$"
    example: ClassVar[str] = "10000 CNY"
    noun: ClassVar[str] = "amount of money"

    @classmethod
    def parse(cls, text: str) -> Self:
        match = re.fullmatch(rf"({_NUMBER}) ([A-Z]{{3}})", text[:60])
        if not match:
            raise _refuse(cls, text[:60])
        return cls(Decimal(match[1]), match[2], text)

    @property
    def _value(self) -> tuple[str, Decimal]:
        return self.currency, self.amount
