"""identify: names what is most likely broken, from what probes see of every service and link, and from nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar

from pydantic import Field

from chaoskit import registry
from chaoskit.clock import elapsed_ms, monotonic_ns
from chaoskit.engines.dialect import Dialect
from chaoskit.engines.line import NoLine
from chaoskit.model.estate import Estate
from chaoskit.model.member import Look, Probe, ResponseContext, ResponseFailed
from chaoskit.model.system import Link, System
from chaoskit.quantity import Duration
from chaoskit.registry import register

_EVERY = Duration.parse("100ms")
_TIMEOUT = Duration.parse("400ms")
_SLOW = Duration.parse("250ms")


@dataclass(frozen=True)
class Seen:
    """What the looks at one service or link came to: bad when none was good; `how` is the last one's word."""

    bad: bool
    how: str


@register("responses", "identify")
@dataclass(frozen=True)
class Identify:
    """Looks at every service directly, in its own protocol, and through every declared link, and names a suspect.

    A service whose every look missed is out. A link is out when its callee answers directly, but through the link not
    at all or later than `slow`. The suspect is what is out and depends on nothing else that is: a ledger that says it
    has no database is not the suspect while the database itself gives no answer. Of several the one that most others
    depend on is named first; the rest is recorded beside it.

    Fidelity on `local`: (and `docker`) the same looks that detection takes; what the bank itself says is what its
    health paths say.

    Only probes are asked, never the injector; whether the suspect is right is judged afterwards (`suspect-is-right`),
    against the faults of the run. Where nothing is out, the response fails: nothing was identified.

        timeline:
          - when: {down: ledger, every: 100ms, misses: 3}
            respond: identify
          - {when: {done: identify}, respond: promote-standby}
    """

    looks: Annotated[int, Field(ge=1, le=50, description="looks at each service and link")] = 3
    every: Annotated[Duration, Field(description="period of the looks")] = _EVERY
    timeout: Annotated[Duration, Field(description="how long one look may take")] = _TIMEOUT
    slow: Annotated[
        Duration, Field(description="an answer through a link that takes longer is as good as none")
    ] = _SLOW
    requires: ClassVar[frozenset[str]] = frozenset({"links"})
    recovers: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not self.timeout.ns or self.slow > self.timeout:
            raise ValueError(f"slow {self.slow} is never seen within a timeout of {self.timeout}")

    async def run(self, on: Sequence[str], context: ResponseContext) -> None:
        estate, begun = context.estate, monotonic_ns()
        system = estate.plan.system
        names = [*system.services, *(link.name for link in system.links)]
        seen = dict(
            zip(names, await asyncio.gather(*(self._watch(name, estate) for name in names)), strict=True)
        )
        suspects = suspects_of(system, seen)
        after_ms = elapsed_ms(begun)
        if not suspects:
            raise ResponseFailed(f"nothing is out: all {len(names)} services and links answered")
        context.record(
            "suspect",
            suspect=suspects[0],
            others=suspects[1:],
            evidence=[f"{name}: {one.how}" for name, one in seen.items() if one.bad],
            looked_at=len(names),
            after_ms=after_ms,
        )

    async def _watch(self, name: str, estate: Estate) -> Seen:
        begun, looks = monotonic_ns(), list[Look]()
        for number in range(self.looks):
            await asyncio.sleep(max(0, begun + number * self.every.ns - monotonic_ns()) / 1e9)
            looks.append(await self._look(name, estate))
            if looks[-1].ok:
                break
        return Seen(not looks[-1].ok, looks[-1].detail)

    async def _look(self, name: str, estate: Estate) -> Look:
        try:
            async with asyncio.timeout(2 * self.timeout.s):
                if "->" in name:
                    return await self._through(name, estate)
                return await _probe(estate.plan.system, name).look(name, estate, self.timeout.s)
        except TimeoutError:
            return Look(False, f"no answer within {self.timeout}")
        except OSError as error:
            return Look(False, f"{type(error).__name__}: {error}")

    async def _through(self, link: str, estate: Estate) -> Look:
        dialect = Dialect.of(estate.plan.system, Link.parse(link).callee)
        address, asked = estate.links.address(link, dialect.port), monotonic_ns()
        try:
            line = await replace(dialect, port=None).open(address, self.timeout.s)
        except NoLine as failure:
            return Look(False, str(failure))
        line.close()
        took_ms = (monotonic_ns() - asked) / 1e6
        return Look(took_ms * 1e6 <= self.slow.ns, f"answered after {took_ms:.0f} ms")


def suspects_of(system: System, seen: Mapping[str, Seen]) -> list[str]:
    """What is out and depends on nothing else that is, the one that most depends on first."""
    out = {name for name, one in seen.items() if one.bad}
    links = [link for link in system.links if link.name in out and link.callee not in out]
    held_up = {link.caller for link in links}
    services = [
        name
        for name in system.services
        if name in out
        and name not in held_up
        and not any(
            link.callee in out for link in system.links if link.caller == name and link.callee != name
        )
    ]
    weight: dict[str, Any] = {name: len(_callers(system, name)) for name in services}
    weight |= {link.name: len(_callers(system, link.caller)) for link in links}
    return sorted(weight, key=lambda name: (name not in services, -weight[name], name))


def _callers(system: System, service: str) -> set[str]:
    """Everybody who depends on a service, directly or not."""
    found: set[str] = set()
    open_ = [service]
    while open_:
        callee = open_.pop()
        more = {link.caller for link in system.links if link.callee == callee} - found
        found |= more
        open_ += more
    return found


def _probe(system: System, service: str) -> Probe:
    fitting = [(one.fits(system, service), name) for name, one in _probes().items()]
    probe: Probe = _probes()[max(fitting)[1]]()
    return probe


def _probes() -> Mapping[str, type[Any]]:
    return registry.members("probes")
