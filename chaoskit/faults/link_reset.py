"""link.reset: the connections of a link are torn down by a TCP reset."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from chaoskit.engines.dialect import Position, position_on
from chaoskit.engines.toxic_plan import lay, toxics, undo_of, whole_ms
from chaoskit.model.estate import Estate, Toxic
from chaoskit.model.lease import Undo
from chaoskit.model.member import Witness
from chaoskit.quantity import Duration
from chaoskit.registry import register

_WITHIN_S = 2.0
_AT_ONCE = Duration.parse("0s")


@register("faults", "link.reset")
@dataclass(frozen=True)
class LinkReset:
    """Connections that are open on a link see a TCP reset, as after a firewall has forgotten them.

    It lasts until it is undone: new connections are accepted and reset as well. A short `for:` makes it a single
    blow that tears down what is open and spares what comes after.

    Witness: a connection that was open on the link before the fault reads "connection reset by peer".
    Undo: the toxic is removed.
    Fidelity on `local`: a real RST to both sides, idle connections included.
    Fidelity on `docker`: a real RST to the caller, idle connections included; the callee sees an orderly end. The Go
    Toxiproxy resets only what is new, so the kernel resets what is open (`ss -K`; where the host has no `ss`, or a
    kernel without CONFIG_INET_DIAG_DESTROY, the fault fails by that name).

        timeline:
          - at: 0s
            fault: link.reset
            on: gateway -> ledger
            for: 100ms
    """

    after: Annotated[
        Duration, Field(description="a connection lives this long before it is reset; at most 5m")
    ] = _AT_ONCE
    requires: ClassVar[frozenset[str]] = frozenset({"links"})
    targets: ClassVar[Literal["service", "link"]] = "link"
    undo_reach: ClassVar[Literal["kind", "alike"]] = "alike"

    def __post_init__(self) -> None:
        whole_ms("after", self.after)

    async def baseline(self, target: str, estate: Estate) -> Position:
        return await position_on(target, estate, asks=1)

    async def undo(self, target: str, estate: Estate) -> Undo:
        return undo_of(target, self._toxics())

    async def apply(self, target: str, estate: Estate) -> None:
        await lay(estate.links, target, self._toxics())

    async def witness(self, target: str, estate: Estate, baseline: Any) -> Witness:
        position: Position = baseline
        try:
            if position.line is None:
                return Witness(False, None, position.why)
            end = await position.line.ending(self.after.s + _WITHIN_S)
            if end.kind != "reset":
                return Witness(
                    False, None, f"a connection from before was {end.kind}, not reset: {end.detail}"
                )
            return Witness(
                True, end.at_ns, f"a connection from before, through {position.address}, was reset"
            )
        finally:
            position.close()

    def _toxics(self) -> tuple[Toxic, ...]:
        return toxics("reset_peer", "answers", {"timeout": whole_ms("after", self.after)})
