"""tcp: connects to a service's port."""

from __future__ import annotations

from dataclasses import dataclass

from chaoskit.engines.dialect import knock
from chaoskit.model.estate import Estate
from chaoskit.model.member import Look
from chaoskit.model.system import System
from chaoskit.registry import register


@register("probes", "tcp")
@dataclass(frozen=True)
class TcpProbe:
    """A new TCP connection to the service, directly; accepted is good.

    The last resort, for a service whose protocol is not known: a frozen process is still accepted for by its kernel,
    so this probe never finds it down.

        when: {down: cache, every: 250ms, misses: 3}
    """

    @classmethod
    def fits(cls, system: System, service: str) -> int:
        return 10

    async def look(self, service: str, estate: Estate, timeout_s: float) -> Look:
        answer = await knock(estate.direct(service), timeout_s)
        return Look(answer.kind == "answered", answer.detail)
