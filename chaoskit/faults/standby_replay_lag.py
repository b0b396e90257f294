"""standby.replay-lag: the standby has received the log and does not replay it, because a report reads old rows."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from chaoskit.clock import monotonic_ns
from chaoskit.engines import replication
from chaoskit.engines.session import EngineError
from chaoskit.model.estate import Estate
from chaoskit.model.lease import ReportUndo, Undo
from chaoskit.model.member import Witness
from chaoskit.model.preparation import Preparation
from chaoskit.model.system import System
from chaoskit.registry import register

_LONGEST_S = 3600.0
_WITHIN_S = 20.0
_STILL_S = 0.2


@register("faults", "standby.replay-lag")
@dataclass(frozen=True)
class StandbyReplayLag:
    """A long report runs on the standby, and the replay of the log waits for it to end.

    The report reads one state of the data. As soon as the log says that a row version of that state is swept away, the
    standby must break one of two promises, and keeps the report's: it receives on and replays no more, for up to its
    `max_standby_streaming_delay` (30 s unless set). A promotion waits as long, because everything received has to be
    replayed first: recovery takes longer and nothing is lost, the reverse of `standby.receive-lag`.

    Witness: the standby's own word by SQL: its replay waits in a recovery conflict, it stands still, and it has
    received more than it has replayed. A primary that nobody writes to has nothing to sweep: then nothing lags, and
    the fault stays unwitnessed after 20 s.
    Undo: the report is ended; on a standby that is down it has ended already.
    Fidelity on `local`: (and `docker`) a real session on a real hot standby, which goes on when its client has gone;
    it ends by itself after an hour.

        timeline:
          - at: 0s
            fault: standby.replay-lag
            on: ledger-db-standby
            for: 15s
    """

    requires: ClassVar[frozenset[str]] = frozenset({"processes"})
    targets: ClassVar[Literal["service", "link"]] = "service"
    undo_reach: ClassVar[Literal["kind", "alike"]] = "kind"

    def prepare(self, target: str, system: System) -> tuple[Preparation, ...]:
        """Nothing; refuses, while planning, a target that is no standby."""
        replication.pair_of(target, system)
        return ()

    async def baseline(self, target: str, estate: Estate) -> str | None:
        return await replication.in_conflict(replication.pair_of(target, estate.plan.system), estate)

    async def undo(self, target: str, estate: Estate) -> Undo:
        return Undo(steps=(ReportUndo(service=target),))

    async def apply(self, target: str, estate: Estate) -> None:
        pair = replication.pair_of(target, estate.plan.system)
        await replication.begin_report(pair, estate, _LONGEST_S)

    async def witness(self, target: str, estate: Estate, baseline: Any) -> Witness:
        if baseline is not None:
            return Witness(False, None, f"{target} was in a recovery conflict ({baseline}) before the fault")
        pair = replication.pair_of(target, estate.plan.system)
        deadline = monotonic_ns() + int(_WITHIN_S * 1e9)
        try:
            while True:
                seen = await self._look(pair, estate)
                if seen.seen or monotonic_ns() > deadline:
                    return seen
        except EngineError as error:
            return Witness(False, None, f"{target} was asked in vain: {error}")

    async def _look(self, pair: replication.Pair, estate: Estate) -> Witness:
        before = await replication.lag(pair, estate)
        conflict = await replication.in_conflict(pair, estate)
        await asyncio.sleep(_STILL_S)  # how long it must stand still
        now = await replication.lag(pair, estate)
        behind = now.received_bytes - now.replayed_bytes
        if conflict is None or behind <= 0 or now.replayed_bytes != before.replayed_bytes:
            return Witness(
                False, None, f"{pair.standby} replays what it receives ({behind} bytes behind, no conflict)"
            )
        how = f"{pair.standby} has received {behind} bytes that it does not replay: {conflict}"
        return Witness(True, monotonic_ns(), how)
