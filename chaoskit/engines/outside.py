"""What attacks from outside have in common: their orders, their bounds, and the attacked service's own counts.

fault ── orders ──► the attacker's process ── customers -> service ──► the service
  └── witness: what the service itself counts by source (`watch`), read past every proxy
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field
from typing_extensions import TypedDict

from chaoskit.clock import monotonic_ns
from chaoskit.engines.filling import filled
from chaoskit.engines.http_exchange import document
from chaoskit.model.estate import Address, Estate
from chaoskit.model.lease import IntruderUndo, NothingToUndo, Undo
from chaoskit.model.member import Witness
from chaoskit.model.outsiders import SOURCES_MAX, network_of, outsiders, sources
from chaoskit.model.system import CUSTOMERS, Link, System

RequestPath = Annotated[str, Field(pattern="^/[!-~]*$")]
"""A path on the service itself: nothing in it ends the line of the request and begins another."""


class Then(TypedDict):
    """What a session that was got is used for, once: a POST."""

    path: Annotated[RequestPath, Field(description="where it goes")]
    json: Annotated[
        dict[str, Any], Field(description="body; `{key}`, and what the log-in's answer names, are filled in")
    ]


RATE_MAX = 500
COUNT_MAX = 10_000
SECONDS_MAX = 60
_LOOK_S = 0.05
_ASK_S = 1.0
_WITHIN_S = 10.0


def bounded(*, rate: int, count: int, seconds: float, comes_from: int) -> None:
    """Raises ValueError for an attack that is larger than any drill needs, while planning."""
    for word, value, most in (
        ("rate", rate, RATE_MAX),
        ("requests", count, COUNT_MAX),
        ("seconds", seconds, SECONDS_MAX),
        ("sources", comes_from, SOURCES_MAX),
    ):
        if not 1 <= value <= most:
            raise ValueError(f"{value:g} {word}: an attack has from 1 to {most}, so that it stays a drill")


def named(body: Any, *words: str) -> None:
    """Raises ValueError, while planning, for a body that has no place for what the attack is about."""
    for word in words:
        if filled(body, {word: ""}) == body:
            raise ValueError(f"`json` names `{{{word}}}` nowhere, so that it would never be tried: {body}")


def customers_link(target: str, system: System) -> str:
    """The link that customers have to the target. Raises ValueError where they have none, while planning."""
    link = Link(caller=CUSTOMERS, callee=target)
    if link not in system.links:
        raise ValueError(f"customers have no link to {target}: add `- {CUSTOMERS} -> {target}` to `links:`")
    return link.name


def pool(name: str, count: int, system: System) -> list[str]:
    """The last members of a pool of the population. Raises ValueError, while planning."""
    pools = system.population.pools if system.population is not None else {}
    if name not in pools:
        raise ValueError(f"no pool is called {name!r}; known: {', '.join(pools) or 'none'}")
    if count > pools[name].count:
        raise ValueError(f"the pool {name} has {pools[name].count} members, not {count}")
    last = pools[name].count
    return [pools[name].format.format(n=number) for number in range(last - count + 1, last + 1)]


class FromOutside:
    """What every attack from outside does alike: who witnesses it, and how it is ended."""

    name: ClassVar[str]
    seen: ClassVar[int]
    """How many requests the service must have counted."""
    stays: ClassVar[str | None] = None
    """What of it outlasts its end, as the lease says it."""
    watch: RequestPath
    requires: ClassVar[frozenset[str]] = frozenset({"outsiders", "links"})
    targets: ClassVar[Literal["service", "link"]] = "service"

    async def baseline(self, target: str, estate: Estate) -> dict[str, int] | None:
        return await counted(estate.direct(target), self.watch, target, network_of(self.name))

    async def undo(self, target: str, estate: Estate) -> Undo:
        stays = () if self.stays is None else (NothingToUndo(why=self.stays, dies=False),)
        return Undo(steps=(IntruderUndo(name=job(self.name, target)), *stays))

    async def witness(self, target: str, estate: Estate, baseline: Any) -> Witness:
        return await witness(target, estate, self.watch, baseline, (network_of(self.name), self.seen))


def job(fault: str, target: str) -> str:
    """The name of the attacker's process, and of its log."""
    return f"{fault.removeprefix('attack.')}-{target}"


async def begin(fault: str, target: str, estate: Estate, orders: Mapping[str, Any]) -> None:
    """Start the attacker; he goes where the target's customers go, and nowhere else."""
    address = estate.links.address(customers_link(target, estate.plan.system))
    whole = {"host": address.host, "port": address.port, "name": target, **orders}
    argv = (sys.executable, "-m", "chaoskit.intruder.outside")
    await outsiders(estate).begin(job(fault, target), argv, json.dumps(whole).encode())


async def counted(address: Address, path: str, host: str, network: str) -> dict[str, int] | None:
    """What the service has counted from each address of an attack's network; None when it does not say."""
    shown = await document(address, path, host, _ASK_S)
    found = shown.get("sources") if isinstance(shown, dict) else None
    if not isinstance(found, dict):
        return None
    return {
        source: counts["asked"]
        for source, counts in found.items()
        if source.startswith(network) and isinstance(counts, dict) and isinstance(counts.get("asked"), int)
    }


async def witness(
    target: str, estate: Estate, watch: str, before: Mapping[str, int] | None, of: tuple[str, int]
) -> Witness:
    """Whether the service itself has counted so many more requests from the addresses of the attack's network."""
    network, wanted = of
    if before is None:
        return Witness(
            False, None, f"{target} did not say at {watch} what it counts by source, before the attack"
        )
    deadline = monotonic_ns() + int(_WITHIN_S * 1e9)
    more = 0
    while monotonic_ns() < deadline:
        now = await counted(estate.direct(target), watch, target, network)
        if now is not None:
            more = sum(now.values()) - sum(before.values())
            if more >= wanted:
                how = f"{target} itself has counted {more} requests from {network}0/24"
                return Witness(True, monotonic_ns(), how)
        await asyncio.sleep(_LOOK_S)  # nobody tells when a service has counted one more
    return Witness(False, None, f"{target} has counted {more} requests, not {wanted}, after {_WITHIN_S:g} s")


def spread(attack: str, bodies: Sequence[tuple[Mapping[str, str], Any]], count: int) -> list[Any]:
    """Attempts in their order, one source after the other."""
    of = sources(attack, count)
    return [[of[number % count], dict(known), body] for number, (known, body) in enumerate(bodies)]
