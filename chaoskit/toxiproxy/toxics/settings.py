"""A toxic's attributes as a frozen dataclass whose fields are the JSON parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Self

from chaoskit.toxiproxy.errors import InvalidToxic

#: 24.8 days in milliseconds. Far beyond any drill, and far below the values that overflow the real server's clock.
DURATION_MS_MAX = 2**31 - 1


def whole(minimum: int, maximum: int, unit: str) -> Any:
    """A dataclass field for an integer attribute from `minimum` to `maximum`, 0 when absent, like on the wire."""
    return field(default=0, metadata={"minimum": minimum, "maximum": maximum, "unit": unit})


@dataclass(frozen=True)
class Settings:
    """Base of every toxic's attributes; absent attributes are 0, as on the wire."""

    toxic_type: ClassVar[str]
    #: The real server's names for the type and its integers, for error texts that are the same.
    go_type: ClassVar[str]
    go_int: ClassVar[str] = "int64"

    @classmethod
    def names(cls) -> list[str]:
        """The attribute names this toxic knows, in wire order."""
        return [item.name for item in fields(cls)]

    @classmethod
    def checked(cls, attributes: Mapping[str, int]) -> Self:
        """Build from integers, or raise `InvalidToxic` with the bad value and the values allowed."""
        chosen = cls(**attributes)
        for item in fields(cls):
            value = getattr(chosen, item.name)
            if isinstance(value, bool) or not isinstance(value, int):
                raise InvalidToxic(f"{cls.toxic_type}: {item.name} must be an integer, not {value!r}")
            lowest, highest = item.metadata["minimum"], item.metadata["maximum"]
            if not lowest <= value <= highest:
                unit = item.metadata["unit"]
                raise InvalidToxic(
                    f"{cls.toxic_type}: {item.name} must be from {lowest} to {highest} {unit}, not {value}"
                )
        problem = chosen.problem()
        if problem:
            raise InvalidToxic(f"{cls.toxic_type}: {problem}")
        return chosen

    def problem(self) -> str | None:
        """What is wrong between attributes that are each fine on their own, or None."""
        return None

    def as_attributes(self) -> dict[str, int]:
        """The attributes in wire order."""
        return {name: getattr(self, name) for name in self.names()}
