"""http: asks a service for its ready path."""

from __future__ import annotations

from dataclasses import dataclass

from chaoskit.engines.dialect import Dialect
from chaoskit.engines.http_line import HttpLine
from chaoskit.engines.line import NoLine
from chaoskit.model.estate import Estate
from chaoskit.model.member import Look
from chaoskit.model.system import System
from chaoskit.registry import register


@register("probes", "http")
@dataclass(frozen=True)
class HttpProbe:
    """A new connection to the service, directly, and one GET of its ready path.

    Anything but 2xx is a miss. A service without a ready path that serves a journey is asked for `/`; there every
    answer below 500 counts, since what that path means is not known.

        when: {down: ledger, every: 250ms, misses: 3}
    """

    @classmethod
    def fits(cls, system: System, service: str) -> int:
        return 20 if Dialect.of(system, service).name == "http" else 0

    async def look(self, service: str, estate: Estate, timeout_s: float) -> Look:
        system = estate.plan.system
        dialect = Dialect.of(system, service)
        local = system.local.get(service)
        good = range(200, 300) if local is not None and local.ready else range(100, 500)
        try:
            line = await HttpLine.open(estate.direct(service), dialect.path, service, timeout_s)
        except NoLine as failure:
            return Look(False, str(failure))
        try:
            answer = await line.ask(timeout_s)
        finally:
            line.close()
        return Look(answer.kind == "answered" and line.status in good, answer.detail)
