"""attack.flood: more requests than a service has declared to take, from outside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from pydantic import Field

from chaoskit.engines import outside
from chaoskit.model.estate import Estate
from chaoskit.model.preparation import Preparation
from chaoskit.model.system import System
from chaoskit.quantity import Duration
from chaoskit.registry import register

_NAME = "attack.flood"
_SEEN = 20
_LASTS = Duration.parse("4s")


@register("faults", _NAME)
@dataclass(frozen=True)
class AttackFlood(outside.FromOutside):
    """A program outside sends a service more requests than the service has declared to take, over its customers' link.

    It exhausts limits, not the machine: at most 500 a second, 32 at a time, 10,000 in all and for a minute; more is
    refused while planning. It says in `X-Forwarded-For` that it comes from `sources` addresses of 198.51.100.0/24, as
    an edge in front of the service would, and it reaches no address but that of the link.

    Witness: what the service itself counts by source, read directly at `watch`, as `{"sources": {address: {"asked":
    n}}}`: 20 more from the attack's addresses. A service that does not say it leaves the fault unwitnessed.
    Undo: the program is ended, and dies with the run in any case, also when chaoskit itself is killed.
    Fidelity on `local`: (and `docker`) real requests from one process of this machine; the addresses are what it says.

        timeline:
          - at: 1s
            fault: attack.flood
            on: gateway
            path: /log-in
            json: {}
            rate: 300
            lasts: 4s
    """

    path: Annotated[outside.RequestPath, Field(description="what is asked for")]
    json: Annotated[
        dict[str, Any] | None, Field(description="body; with one the request is a POST, otherwise a GET")
    ] = None
    rate: Annotated[int, Field(description="requests a second, up to 500")] = 300
    lasts: Annotated[Duration, Field(description="for how long, up to 60s")] = _LASTS
    sources: Annotated[int, Field(description="addresses it says it comes from, up to 200")] = 1
    watch: Annotated[
        outside.RequestPath, Field(description="path at which the service says what it counts")
    ] = "/watch"
    name: ClassVar[str] = _NAME
    seen: ClassVar[int] = _SEEN

    def __post_init__(self) -> None:
        outside.bounded(rate=self.rate, count=self._count, seconds=self.lasts.s, comes_from=self.sources)
        if self._count < _SEEN:
            raise ValueError(f"{self._count} requests are no flood; at least {_SEEN}")

    def prepare(self, target: str, system: System) -> tuple[Preparation, ...]:
        """Nothing; refuses, while planning, a target that customers do not reach."""
        outside.customers_link(target, system)
        return ()

    async def apply(self, target: str, estate: Estate) -> None:
        orders = {
            "rate": self.rate,
            "within_s": self.lasts.s,
            "count": self._count,
            "method": "GET" if self.json is None else "POST",
            "path": self.path,
            "attempts": outside.spread(_NAME, [({}, self.json)] * self.sources, self.sources),
        }
        await outside.begin(_NAME, target, estate, orders)

    @property
    def _count(self) -> int:
        return int(self.rate * self.lasts.s)
