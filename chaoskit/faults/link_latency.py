"""link.latency: everything on a link arrives later."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from chaoskit.engines.dialect import Position, position_on
from chaoskit.engines.toxic_plan import Direction, lay, toxics, undo_of, whole_ms
from chaoskit.model.estate import Estate, Toxic
from chaoskit.model.lease import Undo
from chaoskit.model.member import Witness
from chaoskit.quantity import Duration
from chaoskit.registry import register

_SHARE = 0.8
_PROOF_NS = 300_000_000
_ASKED_OF_CHANCE = 12
_MS = 1_000_000
_LONGEST_MS = 20_000  # more than that is `link.timeout`: nobody waits, and no witness could
_NOISE_MS = 5  # less is what a busy machine and the proxy itself add: no witness could tell
_STEADY = Duration.parse("0s")


@register("faults", "link.latency")
@dataclass(frozen=True)
class LinkLatency:
    """Everything on a link arrives `latency` ± `jitter` later than it was sent, in order.

    By default it is the answers that are late, so that a round trip takes `latency` longer; on a replication link,
    where the standby is the caller, the answers are the log. `direction: both` delays a round trip twice.
    A slow line still delivers what is on it after its source has died: to lose that too, cut the link in the same
    instant (`link.cut`).

    Witness: on a connection from before the fault, through the caller's address, questions of the callee's own
    protocol take at least 80 % of the latency, less half the jitter, longer than before, or so long at all where that
    is twice as long as any before; one late answer is proof from 300 ms on, a smaller latency takes up to five. With
    jitter some answers are early by chance: more are asked then, and half of them must be late. A callee whose
    protocol is not known cannot be asked, and the fault stays unwitnessed.
    Undo: the toxics are removed; what they hold is delivered then.
    Fidelity on `local`: (and `docker`) a real delay in the proxy on the caller's way; connecting itself is not delayed.

        timeline:
          - at: 0s
            fault: link.latency
            on: ledger -> ledger-db
            latency: 400ms
            jitter: 100ms
            for: 20s
    """

    latency: Annotated[Duration, Field(description="delay of everything in the direction, 5ms to 20s")]
    jitter: Annotated[
        Duration,
        Field(
            description="each delay is drawn from latency ± jitter; at most `latency`, less half of it at least 5ms"
        ),
    ] = _STEADY
    direction: Annotated[
        Direction, Field(description="what is late: requests to the callee, its answers, or both")
    ] = "answers"
    requires: ClassVar[frozenset[str]] = frozenset({"links"})
    targets: ClassVar[Literal["service", "link"]] = "link"
    undo_reach: ClassVar[Literal["kind", "alike"]] = "alike"

    def __post_init__(self) -> None:
        whole_ms("latency", self.latency, _NOISE_MS, _LONGEST_MS)
        whole_ms("jitter", self.jitter, 0, _LONGEST_MS)
        if self.jitter > self.latency:
            raise ValueError(f"jitter {self.jitter} is more than the latency {self.latency}")
        if self._least_ns < _NOISE_MS * _MS:
            why = f"the latency {self.latency} less half the jitter {self.jitter} is less than {_NOISE_MS}ms"
            raise ValueError(f"{why}: no witness could tell it from a busy machine")

    async def baseline(self, target: str, estate: Estate) -> Position:
        return await position_on(target, estate, asks=7)

    async def undo(self, target: str, estate: Estate) -> Undo:
        return undo_of(target, self._toxics())

    async def apply(self, target: str, estate: Estate) -> None:
        await lay(estate.links, target, self._toxics())

    async def witness(self, target: str, estate: Estate, baseline: Any) -> Witness:
        position: Position = baseline
        try:
            return await self._look(position)
        finally:
            position.close()

    async def _look(self, position: Position) -> Witness:
        if position.line is None or not position.line.can_ask:
            return Witness(False, None, position.why or position.mute)
        late_ns = _late_from(position.times_ns, int(_SHARE * self._least_ns))
        # The smaller the delay, the more likely a busy machine imitates it: then several answers must be late.
        needed = max(1, min(5, -(-_PROOF_NS // self._least_ns)))
        within_s = 2 * (self.latency.s + self.jitter.s) + 2
        late = []
        for asked in range(1, (max(_ASKED_OF_CHANCE, 4 * needed) if self.jitter.ns else needed) + 1):
            answer = await position.line.ask(within_s)
            if answer.kind != "answered":
                return Witness(False, None, f"a connection from before was {answer.kind}: {answer.detail}")
            if answer.took_ns >= late_ns:
                late.append(answer)
            if len(late) >= needed and 2 * len(late) >= asked:
                usual_ms = position.times_ns[len(position.times_ns) // 2] / _MS
                how = (
                    f"{len(late)} of {asked} answers were late, the first took {late[0].took_ns / _MS:.0f} ms"
                )
                return Witness(True, late[0].at_ns, f"{how}, {usual_ms:.1f} ms before the fault")
        how = f"only {len(late)} of {asked} answers took {late_ns / _MS:.0f} ms or more"
        return Witness(False, None, how)

    @property
    def _least_ns(self) -> int:
        """Four delays in five or more are at least 80 % of it, however large the jitter: of twelve, half always are."""
        return self.latency.ns - self.jitter.ns // 2

    def _toxics(self) -> tuple[Toxic, ...]:
        attributes = {"latency": self.latency.ns // _MS, "jitter": self.jitter.ns // _MS}
        return toxics("latency", self.direction, attributes)


def _late_from(before_ns: tuple[int, ...], delay_ns: int) -> int:
    """From what time on an answer is late, ns; where a line was too uneven before, that is never reached.

    The second way is for servers that wait for acknowledgements (Nagle's algorithm): their 40 ms go away when a delay
    is put on the line, so that answers take no longer than the delay itself.
    """
    longer = max(before_ns[0] + delay_ns, before_ns[-2])
    return min(longer, max(delay_ns, 2 * before_ns[-1]))
