"""standby-ready: would the standby do, if it were needed now? Asked before anything is broken."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from chaoskit.engines import replication, standby_ready
from chaoskit.engines.session import EngineError
from chaoskit.model.estate import Estate
from chaoskit.model.member import Look
from chaoskit.model.preparation import Preparation
from chaoskit.model.system import System
from chaoskit.quantity import Duration
from chaoskit.registry import register

_LAG = Duration.parse("1s")


@register("probes", "standby-ready")
@dataclass(frozen=True)
class StandbyReady:
    """Compares a standby with its primary and names every difference that would cost time or data in a takeover.

    Configuration: each setting of the two servers but for those that are a member's own (addresses, files, how it
    replicates); a limit below the primary's, at which the replay stops. Access: a new log-in as the application does
    it, and the host rules of both. Lag: a record that the primary commits must be received and replayed within `lag`,
    and the replay neither paused nor held up by a report. It changes nothing, and is good when it finds nothing.

    It is a step of the timeline. Detection never chooses it: it says whether a standby is fit, not whether it is up.

        timeline:
          - at: 0s
            probe: standby-ready
            on: ledger-db-standby
    """

    lag: Annotated[Duration, Field(description="by when a record must be received and replayed")] = _LAG

    def __post_init__(self) -> None:
        if not self.lag.ns:
            raise ValueError("lag is 0s; a record takes time to arrive")

    @classmethod
    def fits(cls, system: System, service: str) -> int:
        return 0

    def prepare(self, target: str, system: System) -> tuple[Preparation, ...]:
        """Nothing; refuses, while planning, a target that is no standby."""
        replication.pair_of(target, system)
        return ()

    async def look(self, service: str, estate: Estate, timeout_s: float) -> Look:
        pair = replication.pair_of(service, estate.plan.system)
        try:
            async with asyncio.timeout(timeout_s + self.lag.s):
                drifts = await standby_ready.compare(pair, estate, self.lag.s)
        except EngineError as error:
            return Look(False, f"{service} could not be compared with {pair.primary}: {error}")
        except TimeoutError:
            return Look(False, f"{service} could not be compared with {pair.primary} within {timeout_s:g} s")
        if not drifts:
            return Look(
                True, f"{service} is configured as {pair.primary}, lets the application in, and is up to date"
            )
        found = tuple(drift.what for drift in drifts)
        return Look(False, f"{service} is not ready to take over: {len(found)} found", found)
