"""disk-used: how full a service's disk is, until it is a warning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import Field

from chaoskit.engines import indicator
from chaoskit.engines.indicator import Reading
from chaoskit.model.estate import Estate
from chaoskit.model.means import means
from chaoskit.model.member import Look
from chaoskit.quantity import Duration, Percent
from chaoskit.registry import register


@register("probes", "disk-used")
@dataclass(frozen=True)
class DiskUsed:
    """Watches how much of the disk on which the folder `path` of a service lies is used, by the kernel's own count.

    The disk is the one that a `disk.full` or `disk.slow` of the drill makes. It looks until the share passes `warn`,
    or for `lasting`. It is a step of the timeline; `warned-before-failure` judges how long before the first failure
    that was. Detection never chooses it.

        timeline:
          - at: 0s
            probe: disk-used
            on: ledger-db
            path: /var/lib/postgresql/data
    """

    path: Annotated[str, Field(pattern=r"^/[^/].*[^/]$", description="folder in the container, from /")]
    warn: Annotated[Percent, Field(description="the share from which on it is a warning")] = indicator.WARN
    every: Annotated[Duration, Field(description="how often it looks")] = indicator.EVERY
    lasting: Annotated[Duration, Field(description="for how long; at most 1m")] = indicator.LASTING

    requires: ClassVar[frozenset[str]] = frozenset({"disks"})
    judged_by: ClassVar[str] = indicator.JUDGED_BY

    def __post_init__(self) -> None:
        indicator.check(self.warn, self.every, self.lasting)

    @classmethod
    def fits(cls, system: object, service: str) -> int:
        return 0

    async def look(self, service: str, estate: Estate, timeout_s: float) -> Look:
        disks = means(estate).disks

        async def read() -> Reading | None:
            size = disks.size(service, self.path)
            return Reading(size - disks.free(service, self.path), size, "bytes") if size else None

        return await indicator.watch(f"disk of {service}", read, self.warn, self.every, self.lasting)
