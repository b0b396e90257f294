"""memory-used: how much of its memory a service has taken, until it is a warning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import Field

from chaoskit.engines import indicator
from chaoskit.engines.indicator import Reading
from chaoskit.model.estate import Estate
from chaoskit.model.means import means
from chaoskit.model.member import Look
from chaoskit.quantity import Duration, Percent, Size
from chaoskit.registry import register


@register("probes", "memory-used")
@dataclass(frozen=True)
class MemoryUsed:
    """Watches how much memory a service's containers hold, against their limit or against `of`, by the kernel's count.

    It looks until the share passes `warn`, or for `lasting`. It is a step of the timeline; `warned-before-failure`
    judges how long before the first failure that was. Detection never chooses it.

        timeline:
          - at: 0s
            probe: memory-used
            on: ledger
            of: 128MB
    """

    of: Annotated[
        Size | None, Field(description="what it may hold; default: the limit that the kernel holds it to")
    ] = None
    warn: Annotated[Percent, Field(description="the share from which on it is a warning")] = indicator.WARN
    every: Annotated[Duration, Field(description="how often it looks")] = indicator.EVERY
    lasting: Annotated[Duration, Field(description="for how long; at most 1m")] = indicator.LASTING

    requires: ClassVar[frozenset[str]] = frozenset({"limits"})
    judged_by: ClassVar[str] = indicator.JUDGED_BY

    def __post_init__(self) -> None:
        indicator.check(self.warn, self.every, self.lasting)

    @classmethod
    def fits(cls, system: object, service: str) -> int:
        return 0

    async def look(self, service: str, estate: Estate, timeout_s: float) -> Look:
        async def read() -> Reading | None:
            now = means(estate).limits.memory(service)
            limit = self.of.bytes if self.of is not None else now.limit
            return Reading(now.used, limit, "bytes") if limit and now.used else None

        return await indicator.watch(f"memory of {service}", read, self.warn, self.every, self.lasting)
