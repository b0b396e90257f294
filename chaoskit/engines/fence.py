"""Proves that the old primary of a database can acknowledge nothing more, before another one is promoted.

no process of it is left, and nobody answers at its own address      → dead
each link to it refuses, and what was open through it has ended  → unreachable, whether it runs, hangs or wakes
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from chaoskit.engines.dialect import Dialect, refused_by
from chaoskit.engines.line import NoLine, RawLine
from chaoskit.errors import EnvironmentBroken, ServiceDown
from chaoskit.model.estate import Estate

_WITHIN_S = 2.0
_ANSWER_S = 0.3


@dataclass(frozen=True)
class Fence:
    """How a service was shown to be unable to acknowledge anything."""

    how: str


class NotFenced(Exception):
    """It could not be shown; the message says what speaks against it."""


async def prove_dead(service: str, estate: Estate) -> Fence | None:
    """The fence that death is, or None while anything of the service lives or answers at its own address."""
    if await estate.processes.tree(service):
        return None
    # The runtime's word alone is no proof: the service's own address must agree.
    try:
        line = await Dialect.of(estate.plan.system, service).open(estate.direct(service), _ANSWER_S)
    except ServiceDown:
        return Fence(f"{service} has no process left, and no address")
    except NoLine as failure:
        return Fence(f"{service} has no process left and its address is {failure.answer.kind}")
    line.close()
    return None


async def fence_links(service: str, estate: Estate) -> Fence:
    """Take every link to the service down for good and prove it from the callers' side. Raises NotFenced.

    A connection of our own is opened through each link first: seeing it end shows that the others have ended too.
    """
    links = [link.name for link in estate.plan.system.links if link.callee == service]
    if not links:
        raise NotFenced(f"{service} is alive and no link leads to it that could be taken down")
    watched = await asyncio.gather(*(_watch(link, estate) for link in links))
    try:
        try:
            down = await estate.links.fence(service)
        except EnvironmentBroken as error:
            raise NotFenced(f"the links to {service} could not be taken down: {error}") from error
        missing = sorted(set(links) - set(down))
        if missing:
            raise NotFenced(f"the runtime did not take down {', '.join(missing)}")
        await asyncio.gather(*(_prove(link, line, estate) for link, line in zip(links, watched, strict=True)))
    finally:
        for line in watched:
            if line is not None:
                line.close()
    ended = sum(line is not None for line in watched)
    return Fence(f"{len(links)} links to {service} refuse, {ended} connections through them have ended")


async def _watch(link: str, estate: Estate) -> RawLine | None:
    try:
        return await RawLine.open(estate.links.address(link), _WITHIN_S)
    except NoLine:
        return None  # already down: nothing can be open through it


async def _prove(link: str, line: RawLine | None, estate: Estate) -> None:
    address = estate.links.address(link)
    answer = await refused_by(address, _WITHIN_S)
    if answer.kind != "refused":
        raise NotFenced(f"{link} is {answer.kind} at {address}: {answer.detail}")
    if line is not None:
        end = await line.ending(_WITHIN_S)
        if end.kind not in ("closed", "reset"):
            raise NotFenced(f"a connection through {link} outlived the fence")
