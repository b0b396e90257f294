"""mend-standby: what a reload or a restart can mend on a standby, or on what was one a moment ago, is mended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from chaoskit.clock import elapsed_ms, monotonic_ns
from chaoskit.engines import replication, standby_drift
from chaoskit.engines.session import EngineError
from chaoskit.errors import EnvironmentBroken, ServiceDown
from chaoskit.model.estate import Estate
from chaoskit.model.member import ResponseContext, ResponseFailed
from chaoskit.model.system import System
from chaoskit.registry import register


@register("responses", "mend-standby")
@dataclass(frozen=True)
class MendStandby:
    """Takes out host rules that turn the application away, and settings that a new primary must not have.

    It looks at the standby alone, so that it works before and after its promotion, whether the primary lives or not:
    a log-in as the application does it, there and over its own links, the libraries that a session is to load,
    default_transaction_read_only, and on a standby a synchronous_standby_names of its own. A stale address is put
    right, a fault of the network is not mended by that. Only a replay that has stopped at a limit of the primary takes
    the primary's word: while it answers, the standby gets that limit and is restarted.

    What it has mended it looks at again; what it cannot mend fails the response. Where nothing has drifted it does
    nothing, and says so.

    Fidelity on `local`: (and `docker`) the server writes its own files and reloads them.

        timeline:
          - when: {done: morning-check}
            respond: mend-standby
            on: ledger-db-standby
    """

    requires: ClassVar[frozenset[str]] = frozenset({"processes", "links", "lifecycle"})

    def check(self, on: Sequence[str], system: System) -> None:
        """Raises ValueError, while planning, for anything but one standby."""
        if len(on) != 1:
            raise ValueError(f"`mend-standby` mends one standby, not {', '.join(on) or 'none'}")
        replication.pair_of(on[0], system)

    async def run(self, on: Sequence[str], context: ResponseContext) -> None:
        begun = monotonic_ns()
        try:
            pair = replication.pair_of(on[0], context.estate.plan.system)
            drifts = [
                *await standby_drift.found(pair, context.estate),
                *await _stopped(pair, context.estate),
            ]
            for drift in drifts:
                done = await standby_drift.mend(drift, pair, context.estate)
                after_ms = elapsed_ms(begun)
                context.record("mended", service=on[0], drift=drift.what, how=done, after_ms=after_ms)
        except (EngineError, EnvironmentBroken, ValueError) as error:
            raise ResponseFailed(f"{on[0]} is not mended: {error}") from error
        if not drifts:
            context.record("nothing-to-mend", service=on[0])


async def _stopped(pair: replication.Pair, estate: Estate) -> tuple[standby_drift.Drift, ...]:
    """A replay that has stopped at a limit; nothing where the primary does not say what its limits are."""
    try:
        return await standby_drift.stopped(pair, estate)
    except (EngineError, ServiceDown):
        return ()
