"""What the conductor gives a response, kept for looking at."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from chaoskit.clock import monotonic_ns


@dataclass
class Context:
    """A ResponseContext that remembers."""

    estate: Any
    step: str = "step"
    facts: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    superseded: list[str] = field(default_factory=list)
    readmitted: list[str] = field(default_factory=list)
    changes: list[int] = field(default_factory=list)

    def record(self, kind: str, **facts: Any) -> None:
        self.facts.append((kind, facts))

    def change(self) -> None:
        self.changes.append(monotonic_ns())

    async def supersede(self, service: str) -> None:
        self.superseded.append(service)

    async def readmit(self, service: str) -> None:
        await self.estate.links.readmit(service)
        self.readmitted.append(service)
