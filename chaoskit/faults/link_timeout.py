"""link.timeout: nothing gets through a link, and nobody is told."""

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

_SILENCE_S = 0.2
_NEVER = Duration.parse("0s")


@register("faults", "link.timeout")
@dataclass(frozen=True)
class LinkTimeout:
    """Everything on a link is dropped without a word, as by a packet filter: callers wait until their own time limit.

    With `direction: answers` requests still arrive and take effect while nobody learns of it: payments in doubt.
    Connections are still accepted; with `after` they are closed once they have been silent for so long.

    Witness: a question of the callee's own protocol, on a connection that was open and answering before the fault,
    gets no answer within 200 ms or ten times what it took before. A callee whose protocol is not known cannot be asked,
    and the fault stays unwitnessed.
    Undo: the toxics are removed, which closes the connections they lay on: bytes are missing from them.
    Fidelity on `local`: bytes are really dropped by the proxy on the caller's way; connecting itself succeeds, where a
    packet filter would let it hang. On `docker` the same.

        timeline:
          - at: 0s
            fault: link.timeout
            on: gateway -> ledger
            direction: answers
            for: 5s
    """

    after: Annotated[
        Duration,
        Field(description="a connection is closed after so much silence; 0s leaves it open until the undo"),
    ] = _NEVER
    direction: Annotated[
        Direction, Field(description="what is dropped: requests to the callee, its answers, or both")
    ] = "both"
    requires: ClassVar[frozenset[str]] = frozenset({"links"})
    targets: ClassVar[Literal["service", "link"]] = "link"
    undo_reach: ClassVar[Literal["kind", "alike"]] = "alike"

    def __post_init__(self) -> None:
        whole_ms("after", self.after)

    async def baseline(self, target: str, estate: Estate) -> Position:
        return await position_on(target, estate, asks=3)

    async def undo(self, target: str, estate: Estate) -> Undo:
        return undo_of(target, self._toxics())

    async def apply(self, target: str, estate: Estate) -> None:
        await lay(estate.links, target, self._toxics())

    async def witness(self, target: str, estate: Estate, baseline: Any) -> Witness:
        position: Position = baseline
        try:
            if position.line is None or not position.line.can_ask:
                return Witness(False, None, position.why or position.mute)
            silence_s = max(_SILENCE_S, 10 * position.times_ns[-1] / 1e9)
            answer = await position.line.ask(silence_s)
            closed = answer.kind == "closed" and self.after.ns > 0
            if answer.kind != "silent" and not closed:
                return Witness(False, None, f"a connection from before was {answer.kind}: {answer.detail}")
            return Witness(True, answer.at_ns, f"a connection from before: {answer.detail}")
        finally:
            position.close()

    def _toxics(self) -> tuple[Toxic, ...]:
        return toxics("timeout", self.direction, {"timeout": whole_ms("after", self.after)})
