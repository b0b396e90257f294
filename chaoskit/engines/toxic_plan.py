"""Toxics for both directions of a link under names that an undo can know before they exist."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from typing import Literal

from chaoskit.model.estate import Estate, Links, Toxic
from chaoskit.model.lease import PartitionUndo, ToxicUndo, Undo
from chaoskit.model.system import System
from chaoskit.quantity import Duration

Direction = Literal["both", "requests", "answers"]
Stream = Literal["upstream", "downstream"]
_STREAMS: dict[Direction, tuple[Stream, ...]] = {
    "both": ("upstream", "downstream"),
    "requests": ("upstream",),
    "answers": ("downstream",),
}


def toxics(
    type_: str, direction: Direction, attributes: Mapping[str, int], of: str = ""
) -> tuple[Toxic, ...]:
    """One toxic a direction. Its name tells its parameters, so that two faults of one kind can lie on one link, and
    whose it is (`of`), where faults of different kinds lay the same."""
    tag = "-".join(str(value) for value in attributes.values())
    return tuple(
        Toxic(f"chaoskit-{of}{type_}-{tag}-{stream}", type_, stream, attributes)
        for stream in _STREAMS[direction]
    )


def undo_of(link: str, planned: tuple[Toxic, ...]) -> Undo:
    """Take them off again."""
    return Undo(steps=tuple(ToxicUndo(link=link, toxic=toxic.name) for toxic in planned))


async def lay(links: Links, link: str, planned: tuple[Toxic, ...]) -> None:
    """Put them on, both directions in the same instant."""
    await asyncio.gather(*(links.add_toxic(link, toxic) for toxic in planned))


def whole_ms(name: str, duration: Duration, at_least_ms: int = 0, at_most_ms: int = 300_000) -> int:
    """A duration as Toxiproxy takes it. ValueError when it is no whole number of ms within the bounds."""
    ms, rest = divmod(duration.ns, 1_000_000)
    if rest or not at_least_ms <= ms <= at_most_ms:
        raise ValueError(
            f"{name} is {duration}; write whole milliseconds from {at_least_ms}ms to {at_most_ms}ms"
        )
    return ms


_FOR_EVER_MS = 2**31 - 1
# Bytes are dropped, and the end of a connection whose owner has died is held back: to the other side it just hangs.
SILENCE = (
    *toxics("timeout", "both", {"timeout": 0}, "lost-"),
    *toxics("slow_close", "both", {"delay": _FOR_EVER_MS}, "lost-"),
)


def outbound(service: str, system: System) -> tuple[str, ...]:
    """The links that lead from a service."""
    return tuple(link.name for link in system.links if link.caller == service)


def lost_network(service: str) -> PartitionUndo:
    """What gives a service that lost its host its own network back, where the runtime can take it away."""
    return PartitionUndo(service=service, name=chain("host.loss", service))


def chain(*parts: str) -> str:
    """A name for a packet filter's chain (28 characters at most) that an undo can know before it exists."""
    return "chaoskit-" + hashlib.blake2s("\0".join(parts).encode(), digest_size=8).hexdigest()


async def give_network_back(service: str, estate: Estate) -> None:
    """A service that lost its host is about to start on another one: the links that lead from it carry again.

    What hung on them ends here. Harmless where they were never silent, and again when the fault is undone.
    """
    links = outbound(service, estate.plan.system)
    if "networks" in estate.capabilities:
        await estate.undo(Undo(steps=(lost_network(service),)))
    await asyncio.gather(
        *(estate.links.remove_toxic(link, toxic.name) for link in links for toxic in SILENCE)
    )
