"""standby.receive-lag: the standby receives the log late, so that what it has not received dies with the primary."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from chaoskit.clock import monotonic_ns
from chaoskit.engines import replication
from chaoskit.engines.session import EngineError
from chaoskit.engines.toxic_plan import lay, toxics, undo_of, whole_ms
from chaoskit.model.estate import Estate, Toxic
from chaoskit.model.lease import Undo
from chaoskit.model.member import Witness
from chaoskit.model.preparation import Preparation
from chaoskit.model.system import System
from chaoskit.quantity import Duration
from chaoskit.registry import register

_SHARE = 0.8
_LEAST_MS, _MOST_MS = 500, 20_000
_MS = 1_000_000
_TRIES = 3
_BEFORE_S = 2.0


@register("faults", "standby.receive-lag")
@dataclass(frozen=True)
class StandbyReceiveLag:
    """A standby receives its primary's log `lag` late: it has not got what was written in the last moments.

    What a dead primary had confirmed and the standby had not received is lost, under asynchronous replication; under
    synchronous replication nothing is lost, but every payment waits for the lag. It is the way there that is slow, not
    the standby: what has been received is replayed at once (the other kind is `standby.replay-lag`, which loses
    nothing). A slow line still delivers what is on it after the primary has died; cut it in the same instant
    (`link.cut` at the crash's own `at:`), as with a host or a site that is lost, or nothing is lost here either.

    Witness: the standby's own pg_last_wal_receive_lsn(): a record that the primary has committed since is not received
    for at least 80 % of the lag longer than before the fault (the middle one of three records).
    Undo: the delay is taken off; what is under way arrives then.
    Fidelity on `local`: (and `docker`) real streaming replication over a line that is really late; it is laid on the
    link from the standby to its primary, which the system file must declare.

        timeline:
          - at: 0s
            fault: standby.receive-lag
            on: ledger-db-standby
            lag: 2s
    """

    lag: Annotated[Duration, Field(description="how late the log arrives, 500ms to 20s")]
    requires: ClassVar[frozenset[str]] = frozenset({"links"})
    targets: ClassVar[Literal["service", "link"]] = "service"
    undo_reach: ClassVar[Literal["kind", "alike"]] = "alike"

    def __post_init__(self) -> None:
        whole_ms("lag", self.lag, _LEAST_MS, _MOST_MS)

    def prepare(self, target: str, system: System) -> tuple[Preparation, ...]:
        """Nothing; refuses, while planning, a target that has no line to a primary."""
        pair = replication.pair_of(target, system)
        if pair.link not in [link.name for link in system.links]:
            raise ValueError(f"the log of {target} comes over '{pair.link}', which `links` does not declare")
        return ()

    async def baseline(self, target: str, estate: Estate) -> int | None:
        pair = replication.pair_of(target, estate.plan.system)
        times_ns: list[int] = []
        for _ in range(_TRIES):
            took_ns = await replication.takes_to_receive(pair, estate, _BEFORE_S)
            if took_ns is None:
                return None
            times_ns.append(took_ns)
        # One that was held up for a fifth of the lag would hide the whole of it.
        return sorted(times_ns)[_TRIES // 2]

    async def undo(self, target: str, estate: Estate) -> Undo:
        pair = replication.pair_of(target, estate.plan.system)
        return undo_of(pair.link, self._toxics())

    async def apply(self, target: str, estate: Estate) -> None:
        pair = replication.pair_of(target, estate.plan.system)
        await lay(estate.links, pair.link, self._toxics())

    async def witness(self, target: str, estate: Estate, baseline: Any) -> Witness:
        usual_ns: int | None = baseline
        if usual_ns is None:
            return Witness(
                False, None, f"{target} received nothing within {_BEFORE_S:g} s before the fault either"
            )
        pair = replication.pair_of(target, estate.plan.system)
        late_ns = usual_ns + int(_SHARE * self.lag.ns)
        times_ms: list[str] = []
        try:
            # What was on the line when the delay was laid may still come in time; not so the record after it.
            for _ in range(_TRIES):
                took_ns = await replication.takes_to_receive(pair, estate, late_ns / 1e9)
                if took_ns is None:
                    told = f"{target} says that it has not received a record {late_ns / _MS:.0f} ms old"
                    return Witness(True, monotonic_ns(), f"{told}; {usual_ns / _MS:.0f} ms before the fault")
                times_ms.append(f"{took_ns / _MS:.0f}")
        except EngineError as error:
            return Witness(False, None, f"the members were asked in vain: {error}")
        told = f"{target} received its records after {', '.join(times_ms)} ms"
        return Witness(False, None, f"{told}; {usual_ns / _MS:.0f} ms before the fault")

    def _toxics(self) -> tuple[Toxic, ...]:
        return toxics("latency", "answers", {"latency": self.lag.ns // _MS, "jitter": 0})
