"""network.partition: a service and others no longer hear of each other, whatever they speak."""

from __future__ import annotations

import asyncio
import fcntl
import socket
import struct
import termios
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from chaoskit.clock import monotonic_ns
from chaoskit.engines.toxic_plan import chain
from chaoskit.model.estate import Estate
from chaoskit.model.lease import PartitionUndo, Undo
from chaoskit.model.means import Route, means
from chaoskit.model.member import Witness
from chaoskit.model.preparation import Preparation
from chaoskit.model.system import System
from chaoskit.registry import register

_CONNECT_S = 1.0
_SILENCE_S = 0.3
_ESTABLISHED = 1


@dataclass(frozen=True)
class _Way:
    """What a route was like before the fault: a connection that was open, or merely an answer."""

    route: Route
    before: str
    line: socket.socket | None = None


@dataclass(frozen=True)
class _Before:
    ways: tuple[_Way, ...]

    def close(self) -> None:
        for way in self.ways:
            if way.line is not None:
                way.line.close()


@register("faults", "network.partition")
@dataclass(frozen=True)
class NetworkPartition:
    """Every packet between a service and the services `from`, or all others where none are named, is dropped without a
    word: on links, on open connections, and on whatever else they have between them that no link declares.

    Nobody is refused and nothing is closed: each side must notice by its own time limits, and each may go on believing
    that the other is dead. Both sides live; a primary goes on serving whoever still reaches it. Parted from everyone,
    a service is not reached by chaoskit's own looks either, as by nobody else's.
    On a site, each of its services is parted by itself, from the others of the site as well: to part two sites, name
    the services of the other one in `from`.

    Witness: in both directions, a fresh attempt to connect, made in the sender's own network, is met with silence where
    it was answered before; and on connections that were open before the fault, what is sent is not acknowledged.
    Undo: the packet filter's chain of this fault is taken out, and no other rule. Open connections live on, if nobody
    has given them up meanwhile.
    Fidelity on `local`: refused: services of the machine share one network; cut links with `link.timeout` instead.
    Fidelity on `docker`: the kernel's packet filter in the containers' own network namespaces.

        timeline:
          - at: 0s
            fault: network.partition
            on: ledger-db
            from: [ledger-db-standby]
            for: 10s
    """

    from_: Annotated[
        tuple[str, ...], Field(description="services it is parted from; by default from everyone")
    ] = ()
    requires: ClassVar[frozenset[str]] = frozenset({"networks"})
    targets: ClassVar[Literal["service", "link"]] = "service"
    undo_reach: ClassVar[Literal["kind", "alike"]] = "alike"

    def prepare(self, target: str, system: System) -> tuple[Preparation, ...]:
        """Nothing; who cannot be parted is refused."""
        for other in self.from_:
            if other not in system.services:
                raise ValueError(
                    f"`from` names {other}, which is no service; known: {', '.join(system.services)}"
                )
            if other == target:
                raise ValueError(f"{target} cannot be parted from itself")
        return ()

    async def baseline(self, target: str, estate: Estate) -> _Before:
        routes = await means(estate).networks.routes(target, self.from_)
        return _Before(tuple(await asyncio.gather(*(self._way(route, estate) for route in routes))))

    async def _way(self, route: Route, estate: Estate) -> _Way:
        try:
            return _Way(route, "open", await means(estate).networks.connect(route, _CONNECT_S))
        except PermissionError:
            return _Way(route, "open")
        except OSError as error:
            return _Way(route, _word(error))

    async def undo(self, target: str, estate: Estate) -> Undo:
        return Undo(steps=(PartitionUndo(service=target, others=self.from_, name=self._name(target)),))

    async def apply(self, target: str, estate: Estate) -> None:
        await means(estate).networks.part(target, self.from_, self._name(target))

    def _name(self, target: str) -> str:
        return chain("network.partition", target, *sorted(self.from_))

    async def witness(self, target: str, estate: Estate, baseline: Any) -> Witness:
        before: _Before = baseline
        try:
            return await self._look(before.ways, estate)
        finally:
            before.close()

    async def _look(self, ways: Sequence[_Way], estate: Estate) -> Witness:
        known = [way for way in ways if way.before in ("open", "refused")]
        if len({way.route.origin for way in known}) < 2:
            told = "; ".join(f"{way.route.words}: {way.before}" for way in ways)
            return Witness(False, None, f"there was no way in both directions before the fault ({told})")
        asked = [way.line for way in known if way.line is not None and _send(way.line)]
        fresh = await asyncio.gather(*(self._attempt(way, estate) for way in known))
        seen_ns = monotonic_ns()
        for way, answer in zip(known, fresh, strict=True):
            if answer != "silent":
                return Witness(
                    False, None, f"{way.route.words} ({way.route.to}), a new connection is {answer}"
                )
        heard = [line for line in asked if not _unacknowledged(line)]
        if heard:
            return Witness(False, None, f"{len(heard)} connections from before are still acknowledged")
        told = ", ".join(way.route.words for way in known)
        opened = (
            f"nothing is acknowledged on {len(asked)} connections from before"
            if asked
            else "no connection was open before"
        )
        how = f"new connections are met with silence {told}; {opened}"
        seen = bool(asked) or _nobody_could(known)
        return Witness(seen, seen_ns if seen else None, how)

    async def _attempt(self, way: _Way, estate: Estate) -> str:
        try:
            line = await means(estate).networks.connect(way.route, _SILENCE_S)
        except PermissionError:
            return "answered"
        except OSError as error:
            return _word(error)
        line.close()
        return "answered"


def _nobody_could(ways: Sequence[_Way]) -> bool:
    """Whether connections were there but could not be held: without root nobody enters a container's network."""
    return any(way.before == "open" and way.line is None for way in ways)


def _word(error: OSError) -> str:
    if isinstance(error, TimeoutError):
        return "silent"
    if isinstance(error, ConnectionRefusedError):
        return "refused"
    return f"unreachable ({error.strerror or error})"


def _send(line: socket.socket) -> bool:
    """Send one byte on a connection that is still open both ways; no protocol makes anything of it yet."""
    try:
        if line.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] != _ESTABLISHED:
            return False
        line.send(b"\0")
    except OSError:
        return False
    return True


def _unacknowledged(line: socket.socket) -> bool:
    """Whether the kernel still holds what was sent (tcp(7), SIOCOUTQ): the other side has not acknowledged it."""
    held: tuple[int] = struct.unpack("i", fcntl.ioctl(line, termios.TIOCOUTQ, bytes(4)))
    return held[0] > 0
