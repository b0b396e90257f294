"""isolate: services are cut off from everything, their sessions ended, and what they have damaged is counted."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import Field

from chaoskit.clock import elapsed_ms, monotonic_ns
from chaoskit.engines.damage import in_words, marked_rows
from chaoskit.engines.dialect import refused_by
from chaoskit.engines.grip import links_of, log_ins, members_behind, members_of
from chaoskit.engines.postgresql import PostgreSQL
from chaoskit.engines.session import EngineError
from chaoskit.model.estate import Estate
from chaoskit.model.member import ResponseContext, ResponseFailed
from chaoskit.model.security import isolating, security
from chaoskit.model.system import System
from chaoskit.quantity import Duration
from chaoskit.registry import register

_REFUSED_S = 2.0
_QUIET = Duration.parse("300ms")
_WITHIN = Duration.parse("10s")


@register("responses", "isolate")
@dataclass(frozen=True)
class Isolate:
    """Takes down every link from and to the services named by `on:`, and shows that whoever sits there is cut off.

    1. Cut. Each link refuses, asked at the address where its caller connects.
    2. Hang up. Sessions that the services' log-ins still have in a database behind those links are ended there, as its
       superuser: what was sent before the cut would otherwise still be carried out.
    3. Count. The damage on each member of those databases is read until it has not grown for `quiet`. That is the
       blast radius; a standby that shows the same damage is no way out.

    The services are down for customers from here on: that counts. `reopen` connects them again.
    Fidelity on `local`: the links' proxies refuse. A process that knew another address of this machine could still
    use it, as it could not on a network of its own.
    Fidelity on `docker`: the links' proxies refuse. The service stays on its networks: what is reached past the links,
    by another container's own address, is not cut.

        timeline:
          - when: {down: auditor, every: 200ms, misses: 2}
            respond: isolate
            on: ledger
    """

    quiet: Annotated[Duration, Field(description="how long damage must not grow before it is final")] = _QUIET
    within: Annotated[Duration, Field(description="deadline for that")] = _WITHIN
    requires: ClassVar[frozenset[str]] = frozenset({"links", "positions"})

    def __post_init__(self) -> None:
        if self.quiet >= self.within:
            raise ValueError(f"quiet {self.quiet} cannot be seen within {self.within}; raise `within`")

    def check(self, on: Sequence[str], system: System) -> None:
        """Raises ValueError, while planning, for nobody to cut off, or one without a link."""
        if not on:
            raise ValueError("`isolate` needs `on:` with the services to cut off")
        if not links_of(on, system):
            raise ValueError(f"no link leads from or to {', '.join(on)}: nothing could be cut")

    async def run(self, on: Sequence[str], context: ResponseContext) -> None:
        estate, begun = context.estate, monotonic_ns()
        links = links_of(on, estate.plan.system)
        await asyncio.gather(
            *(
                estate.links.enable(link, False, isolating(one))
                for one in on
                for link in links_of([one], estate.plan.system)
            )
        )
        await asyncio.gather(*(_prove(link, estate) for link in links))
        cut_ms = elapsed_ms(begun)
        ended = 0
        for service in on:
            ended += await _hang_up(service, estate)
        damage = await self._until_quiet(on, estate)
        context.record(
            "isolated",
            services=list(on),
            links=links,
            sessions=ended,
            cut_ms=cut_ms,
            after_ms=elapsed_ms(begun),
            damage=damage,
            words={member: in_words(rows) for member, rows in damage.items()},
        )

    async def _until_quiet(self, on: Sequence[str], estate: Estate) -> dict[str, dict[str, int]]:
        members = dict(one for service in on for one in members_of(estate.plan.system, service))
        deadline = monotonic_ns() + self.within.ns
        last: dict[str, dict[str, int]] = {}
        since = monotonic_ns()
        while True:
            try:
                now = {name: await marked_rows(estate.direct(name), role) for name, role in members.items()}
            except EngineError as error:
                raise ResponseFailed(f"cut off, and the damage cannot be counted: {error}") from error
            if now != last:
                last, since = now, monotonic_ns()
            elif monotonic_ns() - since >= self.quiet.ns:
                return now
            if monotonic_ns() > deadline:
                worst = ", ".join(in_words(rows) for rows in now.values())
                raise ResponseFailed(f"damage was still growing {self.within} after the cut: {worst}")
            await asyncio.sleep(0.05)  # rows change without an event for those outside


async def _prove(link: str, estate: Estate) -> None:
    answer = await refused_by(estate.links.address(link), _REFUSED_S)
    if answer.kind != "refused":
        raise ResponseFailed(f"{link} was cut and is {answer.kind}: {answer.detail}")


async def _hang_up(service: str, estate: Estate) -> int:
    """End the sessions of the service's log-ins; how many there were."""
    users = sorted({one.user for one in log_ins(security(estate).positions.environment(service))})
    ended = 0
    for member, role in members_behind(estate.plan.system, service):
        try:
            ended += await PostgreSQL(estate.direct(member), role).hang_up(users)
        except EngineError as error:
            raise ResponseFailed(f"the sessions on {member} could not be ended: {error}") from error
    return ended
