"""connections-used: how many of a database's connections are taken, until it is a warning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import Field

from chaoskit.engines import indicator
from chaoskit.engines.indicator import Reading
from chaoskit.engines.postgresql import PostgreSQL
from chaoskit.engines.session import EngineError
from chaoskit.errors import ServiceDown
from chaoskit.model.estate import Estate
from chaoskit.model.member import Look
from chaoskit.model.preparation import Preparation
from chaoskit.model.system import System
from chaoskit.quantity import Duration, Percent
from chaoskit.registry import register

_ANSWER_S = 1.0
_QUERY = """SELECT (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend') || ' ' ||
    (current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
     - current_setting('reserved_connections')::int)"""


@register("probes", "connections-used")
@dataclass(frozen=True)
class ConnectionsUsed:
    """Watches how many of the connections that a database has for its applications are taken, past every proxy.

    A release that leaves connections behind is well until the last one is taken; the share that is used tells before.
    It looks as a superuser, for whom some connections are kept, until the share passes `warn`, or for `lasting`. It is
    a step of the timeline; `warned-before-failure` judges how long before the first failure that was. Detection
    never chooses it.

        timeline:
          - at: 2s
            probe: connections-used
            on: ledger-db
    """

    warn: Annotated[Percent, Field(description="the share from which on it is a warning")] = indicator.WARN
    every: Annotated[Duration, Field(description="how often it looks")] = indicator.EVERY
    lasting: Annotated[Duration, Field(description="for how long; at most 1m")] = indicator.LASTING

    judged_by: ClassVar[str] = indicator.JUDGED_BY

    def __post_init__(self) -> None:
        indicator.check(self.warn, self.every, self.lasting)

    @classmethod
    def fits(cls, system: System, service: str) -> int:
        return 0

    def prepare(self, target: str, system: System) -> tuple[Preparation, ...]:
        """Nothing; refuses, while planning, a target that is no database."""
        if system.role_of(target) is None:
            raise ValueError(f"{target} is no member of a database role: it has no connections to count")
        return ()

    async def look(self, service: str, estate: Estate, timeout_s: float) -> Look:
        role = estate.plan.system.roles[str(estate.plan.system.role_of(service))]

        async def read() -> Reading | None:
            try:
                found = await PostgreSQL(estate.direct(service), role).value(_QUERY, {}, _ANSWER_S)
            except (EngineError, ServiceDown):
                return None
            used, limit = found.split()
            return Reading(int(used), int(limit), "connections")

        return await indicator.watch(f"connections of {service}", read, self.warn, self.every, self.lasting)
