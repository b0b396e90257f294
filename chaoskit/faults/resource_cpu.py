"""resource.cpu: a service gets only a share of a processor."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from chaoskit.clock import monotonic_ns
from chaoskit.model.estate import Estate
from chaoskit.model.lease import LimitUndo, Undo
from chaoskit.model.means import CpuTime, means
from chaoskit.model.member import Witness
from chaoskit.registry import register

_LOOK_S = 0.02
_OVER_NS = 500_000_000
_WITHIN_S = 10.0
_SLACK = 1.5


@register("faults", "resource.cpu")
@dataclass(frozen=True)
class ResourceCpu:
    """A service's containers get at most `cpus` processors' time, as on a host that others have filled.

    Beyond its share it is stopped until the next tenth of a second: whatever needs more than its share queues, and
    what needs little is merely uneven. Each of several replicas gets the share.

    Witness: the kernel counts, for the service's control group, periods in which it was held back, and over half a
    second it got no more than half as much again as its share. A service that does not use its share is not held
    back: the fault stays unwitnessed.
    Undo: the share that the Compose file gives it.
    Fidelity on `local`: refused: processes of the machine have no control group of their own.
    Fidelity on `docker`: the kernel's own limit (cpu.max, cpu.cfs_quota_us); the machine's other processors stay free.

        timeline:
          - at: 0s
            fault: resource.cpu
            on: ledger
            cpus: 0.05
            for: 10s
    """

    cpus: Annotated[
        float, Field(ge=0.01, le=1024, description="processors' time, as Compose counts it; from 0.01")
    ]
    requires: ClassVar[frozenset[str]] = frozenset({"limits"})
    targets: ClassVar[Literal["service", "link"]] = "service"
    undo_reach: ClassVar[Literal["kind", "alike"]] = "kind"

    async def baseline(self, target: str, estate: Estate) -> CpuTime:
        return means(estate).limits.cpu_time(target)

    async def undo(self, target: str, estate: Estate) -> Undo:
        return Undo(steps=(LimitUndo(service=target, resource="cpu"),))

    async def apply(self, target: str, estate: Estate) -> None:
        await means(estate).limits.limit_cpu(target, self.cpus)

    async def witness(self, target: str, estate: Estate, baseline: Any) -> Witness:
        limits = means(estate).limits
        begun, begin = monotonic_ns(), limits.cpu_time(target)
        first: int | None = None
        while monotonic_ns() - begun < _WITHIN_S * 1e9:
            await asyncio.sleep(_LOOK_S)  # the kernel counts without an event
            now, at = limits.cpu_time(target), monotonic_ns()
            if now.throttled_periods > begin.throttled_periods:
                first = first or at
            if first is not None and at - begun >= _OVER_NS:
                return self._judge(begin, now, at - begun, first)
        used_ms = (limits.cpu_time(target).used_ns - begin.used_ns) / 1e6
        return Witness(
            False, None, f"the kernel never held {target} back: it used {used_ms:.0f} ms in {_WITHIN_S:g} s"
        )

    def _judge(self, begin: CpuTime, now: CpuTime, span_ns: int, first: int) -> Witness:
        used_ns = now.used_ns - begin.used_ns
        share = used_ns / span_ns
        how = (
            f"the kernel held it back in {now.throttled_periods - begin.throttled_periods} periods, for "
            f"{(now.throttled_ns - begin.throttled_ns) / 1e6:.0f} ms; it got {share:.2f} processors' time"
        )
        return Witness(True, first, how) if share <= _SLACK * self.cpus + 0.05 else Witness(False, None, how)
