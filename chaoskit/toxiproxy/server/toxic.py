"""A toxic as the server keeps it for one proxy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from chaoskit.toxiproxy.toxics import ToxicKind
from chaoskit.toxiproxy.toxics.settings import Settings

UPSTREAM, DOWNSTREAM = "upstream", "downstream"
DIRECTIONS = (UPSTREAM, DOWNSTREAM)


@dataclass(frozen=True)
class Toxic:
    """`stream` is echoed as it was given; `direction` is it in lower case."""

    name: str
    kind: ToxicKind
    stream: str
    toxicity: float
    settings: Settings

    @property
    def direction(self) -> str:
        return self.stream.lower()

    def as_json(self) -> dict[str, Any]:
        """In the real server's field order; whole numbers without a decimal point, as Go prints them."""
        return {
            "attributes": self.settings.as_attributes(),
            "name": self.name,
            "type": self.kind.name,
            "stream": self.stream,
            "toxicity": int(self.toxicity) if self.toxicity == int(self.toxicity) else self.toxicity,
        }
