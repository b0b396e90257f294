"""clock.skew: a service's clock shows another time than everybody else's."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from chaoskit.clock import monotonic_ns
from chaoskit.engines.wall_clock import Reading, read_clock
from chaoskit.model.estate import Estate
from chaoskit.model.lease import ClockUndo, Undo
from chaoskit.model.means import means
from chaoskit.model.member import Witness
from chaoskit.model.preparation import ClockPreparation, Preparation
from chaoskit.model.system import System
from chaoskit.quantity import Duration
from chaoskit.registry import register

_LOOK_S = 0.1
_ASK_S = 2.0
_WITHIN_S = 8.0
_LEAST_NS = 10 * 10**9
_MARGIN_NS = 10**9


@register("faults", "clock.skew")
@dataclass(frozen=True)
class ClockSkew:
    """The wall clock of a service is wrong: `ahead` of the others' or `behind` them, in one step, until it is undone.

    Tokens and certificates expire early or late, entries are dated to another day, "the newest" is not the newest.
    Durations that a program measures with a monotonic clock stay right; so do all clocks outside the service, those of
    the load, the prober and chaoskit among them.

    Witness: the service's own timestamps (PostgreSQL's clock_timestamp(), the Date of its HTTP answers; for other
    protocols `date` in its container, if each of its programs has loaded the library) are off by what was asked for,
    within two seconds, and were right before.
    Undo: the machine's time again, in one step back.
    Fidelity on `local`: refused: the clock is set by a library that the runtime loads into the containers.
    Fidelity on `docker`: libfaketime, loaded into the service's programs from the start of the run, on the machine's
    own time until the fault. A statically linked program (Go, musl) does not load it, nor does an image whose C
    library is older than this machine's: there, the fault stays unwitnessed. Programs notice within a second.

        timeline:
          - at: 0s
            fault: clock.skew
            on: ledger
            ahead: 25h
            for: 10s
    """

    ahead: Annotated[Duration | None, Field(description="how far ahead of the machine's clock, from 10s")] = (
        None
    )
    behind: Annotated[Duration | None, Field(description="how far behind the machine's clock, from 10s")] = (
        None
    )
    requires: ClassVar[frozenset[str]] = frozenset({"clocks"})
    targets: ClassVar[Literal["service", "link"]] = "service"
    undo_reach: ClassVar[Literal["kind", "alike"]] = "kind"

    def __post_init__(self) -> None:
        if (self.ahead is None) == (self.behind is None):
            raise ValueError("write either `ahead` or `behind`, like ahead: 1h")
        if abs(self._offset_ns()) < _LEAST_NS:
            raise ValueError(f"a skew of {self.ahead or self.behind} is too small to be told; from 10s")

    def _offset_ns(self) -> int:
        if self.ahead is not None:
            return self.ahead.ns
        return -self.behind.ns if self.behind is not None else 0

    def prepare(self, target: str, system: System) -> tuple[Preparation, ...]:
        return (ClockPreparation(service=target),)

    async def baseline(self, target: str, estate: Estate) -> Reading:
        return await read_clock(target, means(estate), _ASK_S)

    async def undo(self, target: str, estate: Estate) -> Undo:
        return Undo(steps=(ClockUndo(service=target),))

    async def apply(self, target: str, estate: Estate) -> None:
        await means(estate).clocks.skew(target, self._offset_ns())

    async def witness(self, target: str, estate: Estate, baseline: Any) -> Witness:
        before: Reading = baseline
        if before.offset_ns is None:
            return Witness(False, None, before.whose)
        if abs(before.offset_ns) > _MARGIN_NS + before.within_ns:
            return Witness(
                False,
                None,
                f"its clock was {before.offset_ns / 1e9:.1f} s off before the fault, by {before.whose}",
            )
        deadline = monotonic_ns() + int(_WITHIN_S * 1e9)
        while True:
            now = await read_clock(target, means(estate), _ASK_S)
            if now.offset_ns is not None:
                error = abs(now.offset_ns - self._offset_ns())
                if error <= _MARGIN_NS + now.within_ns:
                    how = f"{now.whose} is {now.offset_ns / 1e9:+.1f} s off ours"
                    how += f", {before.offset_ns / 1e9:+.1f} s before the fault"
                    return Witness(True, now.at_ns, how)
            if now.at_ns >= deadline:
                off = "not told" if now.offset_ns is None else f"{now.offset_ns / 1e9:+.1f} s off ours"
                return Witness(
                    False, None, f"{now.whose} is {off}: the library was not loaded, or not heeded"
                )
            await asyncio.sleep(_LOOK_S)  # the library looks at its file once a second
