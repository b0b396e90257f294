"""standby.drift: the standby's own configuration is no longer what everyone believes."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from chaoskit.clock import monotonic_ns
from chaoskit.engines import replication, standby_access, standby_drift, standby_limit
from chaoskit.engines.session import EngineError
from chaoskit.model.estate import Estate
from chaoskit.model.lease import Undo
from chaoskit.model.member import Witness
from chaoskit.model.preparation import Preparation
from chaoskit.model.system import System
from chaoskit.registry import register

_LOOK_S = 0.05
_WITHIN_S = 3.0
_ARRIVES_S = 15.0


@register("faults", "standby.drift")
@dataclass(frozen=True)
class StandbyDrift:
    """The standby replicates as well as ever, and is not fit to take over: a file of its own has been changed.

    Data is replicated, configuration is not, so that a change made by hand on one member is found on the day on which
    the other is needed. Customers notice nothing until then. `kind` is one of
    `host-rules`, pg_hba.conf turns the application away; connections that are open stay;
    `read-only`, default_transaction_read_only is on: promoted, it refuses every payment;
    `synchronous`, a synchronous_standby_names copied from the primary: promoted, every commit waits for a standby that
    is not there, unless the runbook clears it, as `promote-standby` does;
    `limit`, a limit was doubled on the primary alone, which is restarted for it: the standby's replay stops;
    `library`, session_preload_libraries names a library that was never installed on this host: it lets nobody in;
    `address`, the application has an address for the standby at which somebody else is, who hangs up.
    `probe: standby-ready` finds each of them beforehand, and `respond: mend-standby` mends them.

    `limit` takes the first of max_connections, max_worker_processes and max_locks_per_transaction that no command line
    gives, and customers feel the restart. The standby answers, shows old rows, and receives the log; a promotion ends
    it, and it starts no more until somebody has given it the higher limit. PostgreSQL 14 or later.

    Witness: a new session on the standby, by SQL: the application's log-in is refused, there or by its own way, the
    library does not load, or the application is told the changed setting, none of which was so before; for `limit`,
    the two members' values and a replay that is paused.
    Undo: pg_hba.conf word for word, or the setting as postgresql.auto.conf had it; a standby that is down keeps it,
    and that is told. The address is right again. A limit takes restarts: of the standby with the higher one, of the
    primary with its old one, and of the standby with its own; where that is down the primary goes back, and it is told.
    Fidelity on `local`: (and `docker`) the real server's real files, written by the server itself and reloaded. A
    setting given on the server's command line cannot drift, and the fault says so. The stale address is the proxy of
    the application's declared link, which resets every connection; the application's own files stay as they are.

        timeline:
          - at: 0s
            fault: standby.drift
            on: ledger-db-standby
            kind: host-rules
    """

    kind: Annotated[standby_drift.Kind, Field(description="what has drifted")]
    requires: ClassVar[frozenset[str]] = frozenset({"processes", "links", "lifecycle"})
    targets: ClassVar[Literal["service", "link"]] = "service"

    def prepare(self, target: str, system: System) -> tuple[Preparation, ...]:
        """Nothing; refuses, while planning, a target that is no standby, or that no application has an address for."""
        pair = replication.pair_of(target, system)
        if self.kind == "address" and not standby_access.application_links(pair, system):
            raise ValueError(
                f"no declared link of an application leads to {target}: there is no address to be stale"
            )
        return ()

    async def baseline(self, target: str, estate: Estate) -> tuple[str, ...]:
        pair = replication.pair_of(target, estate.plan.system)
        return tuple(drift.kind for drift in await self._found(pair, estate))

    async def _found(self, pair: replication.Pair, estate: Estate) -> tuple[standby_drift.Drift, ...]:
        look = standby_drift.stopped if self.kind == "limit" else standby_drift.found
        return await look(pair, estate)

    async def undo(self, target: str, estate: Estate) -> Undo:
        pair = replication.pair_of(target, estate.plan.system)
        return await standby_drift.undo_of(self.kind, pair, estate)

    async def apply(self, target: str, estate: Estate) -> None:
        pair = replication.pair_of(target, estate.plan.system)
        await standby_drift.lay(self.kind, pair, estate)

    async def witness(self, target: str, estate: Estate, baseline: Any) -> Witness:
        if self.kind in baseline:
            return Witness(False, None, f"{target} had drifted in its {self.kind} before the fault")
        pair = replication.pair_of(target, estate.plan.system)
        deadline = monotonic_ns() + int(_WITHIN_S * 1e9)
        try:
            if self.kind == "limit" and await standby_limit.below(pair, estate):
                deadline += int(
                    _ARRIVES_S * 1e9
                )  # the standby connects anew, at its own pace, and then meets it
            while True:
                for drift in await self._found(pair, estate):
                    if drift.kind == self.kind:
                        return Witness(True, monotonic_ns(), drift.what)
                if monotonic_ns() > deadline:
                    return Witness(
                        False, None, f"a new session on {target} finds nothing wrong with its {self.kind}"
                    )
                await asyncio.sleep(
                    _LOOK_S
                )  # a reload is a signal, heeded without an event for those outside
        except EngineError as error:
            return Witness(False, None, f"{target} was asked in vain: {error}")
