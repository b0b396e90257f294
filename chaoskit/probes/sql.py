"""sql: logs in to a database member and asks `select 1`."""

from __future__ import annotations

from dataclasses import dataclass

from chaoskit.engines.postgresql import PostgreSQL
from chaoskit.engines.session import EngineError
from chaoskit.model.estate import Estate
from chaoskit.model.member import Look
from chaoskit.model.system import System
from chaoskit.registry import register


@register("probes", "sql")
@dataclass(frozen=True)
class SqlProbe:
    """A new session on a member of a database role, directly, that logs in and asks `select 1`.

    A member that accepts connections and answers nobody (frozen, out of connections, still starting) is a miss: that
    is what a TCP probe cannot see. A standby answers too: this probe tells alive from dead, not primary from standby.

        when: {down: ledger-db, every: 100ms, misses: 3}
    """

    @classmethod
    def fits(cls, system: System, service: str) -> int:
        return 30 if system.role_of(service) is not None else 0

    async def look(self, service: str, estate: Estate, timeout_s: float) -> Look:
        system = estate.plan.system
        role = system.roles[system.role_of(service) or ""]
        try:
            took_ns = await PostgreSQL(estate.direct(service), role).ping(timeout_s)
        except EngineError as error:
            return Look(False, str(error))
        return Look(True, f"select 1 answered in {took_ns / 1e6:.1f} ms")
