"""link.cut: a link is down, its connections are closed and new ones refused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from chaoskit.engines.dialect import Position, position_on, refused_by
from chaoskit.model.estate import Estate
from chaoskit.model.lease import LinkUndo, Undo
from chaoskit.model.member import Witness
from chaoskit.registry import register

_WITHIN_S = 2.0


@register("faults", "link.cut")
@dataclass(frozen=True)
class LinkCut:
    """The line between a caller and a callee is down: open connections are closed, new ones are refused.

    Nothing that was under way on it is delivered any more. For a line that goes silent instead, as when a packet
    filter drops everything, take `link.timeout`.

    Witness: at the address where the caller connects, a connection from before the fault has ended and a new one is
    refused.
    Undo: the link is enabled again, unless the callee was fenced or is itself down.
    Fidelity on `local`: (and `docker`) a real TCP close and refusal by the proxy on the caller's way. On `docker` the
    witness asks the same listener from this host, through the proxy's own address.

        timeline:
          - at: 2s
            fault: link.cut
            on: ledger-db-standby -> ledger-db
            for: 10s
    """

    requires: ClassVar[frozenset[str]] = frozenset({"links"})
    targets: ClassVar[Literal["service", "link"]] = "link"
    undo_reach: ClassVar[Literal["kind", "alike"]] = "kind"

    async def baseline(self, target: str, estate: Estate) -> Position:
        return await position_on(target, estate, asks=1)

    async def undo(self, target: str, estate: Estate) -> Undo:
        return Undo(steps=(LinkUndo(link=target),))

    async def apply(self, target: str, estate: Estate) -> None:
        await estate.links.enable(target, False)

    async def witness(self, target: str, estate: Estate, baseline: Any) -> Witness:
        position: Position = baseline
        try:
            if position.line is None:
                return Witness(False, None, position.why)
            new = await refused_by(position.address, _WITHIN_S)
            if new.kind != "refused":
                return Witness(
                    False, None, f"a new connection to {position.address} is {new.kind}, not refused"
                )
            old = await position.line.ending(_WITHIN_S)
            if old.kind not in ("closed", "reset"):
                return Witness(False, None, f"new connections are refused, but one from before is {old.kind}")
            how = f"at {position.address} a connection from before was {old.kind}, a new one refused"
            return Witness(True, max(new.at_ns, old.at_ns), how)
        finally:
            position.close()
