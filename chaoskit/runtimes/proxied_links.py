"""The capability `links` over Toxiproxy servers of any kind: facts change, a subclass brings proxies to them."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace

from chaoskit.errors import EnvironmentBroken
from chaoskit.model.estate import Address, LinkStanding, ProxyHeldUp, ProxyRestart, Toxic
from chaoskit.model.system import Link
from chaoskit.runtimes.link_state import LinkState, Mode, proxies_of

_REFUSED_S = 10.0


class ProxiedLinks(ABC):
    """Raises EnvironmentBroken when a proxy does not do what it is told, KeyError for no link."""

    def __init__(self, links: Iterable[Link], ports: Mapping[str, tuple[int, ...]]) -> None:
        """`ports` of each callee, the main one first."""
        self._states = {link.name: LinkState(link, proxies_of(link, ports[link.callee])) for link in links}
        self._ports = {
            link.name: tuple(ports[link.callee]) for link in (s.link for s in self._states.values())
        }
        self._created = asyncio.Event()

    @abstractmethod
    async def _bring(self, state: LinkState, taken_off: frozenset[str] = frozenset()) -> None:
        """Bring a link's proxies to its facts; `taken_off` are toxics that lay on it and no longer should."""

    @abstractmethod
    async def _clear(self, state: LinkState) -> LinkStanding:
        """Take off every toxic that its server has on the link, whoever laid it; read back what is left."""

    @abstractmethod
    def _listeners(self, link: str) -> tuple[Address, ...]:
        """Where the link can be reached from this host, by the callee's ports."""

    def address(self, link: str, port: int | None = None) -> Address:
        """Where this process reaches a port of the link's callee, the main one unless given: the listener that its
        caller connects to. Raises EnvironmentBroken for a port that the link does not have."""
        ports = self._ports[link]
        if port is not None and port not in ports:
            known = ", ".join(map(str, ports))
            raise EnvironmentBroken(f"{link}: has no port {port}; known: {known}. Name it under `expose:`")
        return self._listeners(link)[0 if port is None else ports.index(port)]

    def restarts(self) -> tuple[ProxyRestart, ...]:
        """How often a server had to be started anew, and when."""
        return ()

    def held_up(self) -> tuple[ProxyHeldUp, ...]:
        """When a server was held up, in the order in which it became known; none where nobody looks."""
        return ()

    async def bypassed(self) -> Mapping[str, int]:
        """Bytes that went past each link so far, where the runtime can tell."""
        return {}

    def inbound(self, service: str) -> tuple[str, ...]:
        """The links that lead to a service."""
        return tuple(name for name, state in self._states.items() if state.link.callee == service)

    async def enable(self, link: str, enabled: bool, by: str = "fault") -> None:
        """False cuts the link in the name of `by`; True takes only that cut back."""
        state = self._states[link]
        (state.cuts.discard if enabled else state.cuts.add)(by)
        state.draining = state.draining and state.faulted
        await self._settle(state)

    async def add_toxic(self, link: str, toxic: Toxic) -> None:
        """Put a toxic on every port of the link. Raises InvalidToxic for one that no server would survive."""
        state = self._states[link]
        lain = state.toxics.setdefault(toxic.name, toxic)
        if lain != toxic:
            raise EnvironmentBroken(f"another toxic {toxic.name!r} lies on {link}: choose another name")
        try:
            await self._settle(state)
        except ValueError:
            state.toxics.pop(toxic.name, None)
            raise

    async def remove_toxic(self, link: str, toxic: str) -> None:
        """Missing is fine."""
        state = self._states[link]
        state.toxics.pop(toxic, None)
        state.draining = state.draining and state.faulted
        await self._settle(state, frozenset({toxic}))

    async def clear(self, link: str) -> LinkStanding:
        """Take every cut and toxic off, whoever laid them. A fence, and a callee that does not listen, stay."""
        state = self._states[link]
        lay = (*(["a cut"] if state.cut else []), *state.toxics)
        state.cuts.clear()
        state.draining = False
        gone = frozenset(state.toxics)
        state.toxics.clear()
        await self._settle(state, gone)
        async with state.lock:
            standing = await self._clear(state)
        return replace(standing, found=tuple(dict.fromkeys([*lay, *standing.found])))

    async def mirror(self, service: str, mode: Mode) -> tuple[str, ...]:
        """Make the inbound links of a dead (or, silent: dying) service look dead; those with a fault are
        left to drain.
        """
        inbound = [self._states[name] for name in self.inbound(service)]
        for state in inbound:
            state.mirror, state.draining = mode, state.faulted
        taken = [state for state in inbound if not state.draining]
        await asyncio.gather(*(self._settle(state) for state in taken))
        return tuple(state.link.name for state in taken)

    async def fence(self, service: str) -> tuple[str, ...]:
        """Take every inbound link down for good, and prove each refuses."""
        states = [self._states[name] for name in self.inbound(service)]
        for state in states:
            state.fenced = True
        await asyncio.gather(*(self._settle(state) for state in states))
        for state in states:
            for address in self._listeners(state.link.name):
                await _prove_refused(address)
        return tuple(state.link.name for state in states)

    async def readmit(self, service: str) -> None:
        """Take the fence back; whatever else holds a link down goes on doing so."""
        states = [self._states[name] for name in self.inbound(service)]
        for state in states:
            state.fenced = False
        await asyncio.gather(*(self._settle(state) for state in states))

    def fenced(self, service: str) -> bool:
        """Whether the service's inbound links are down for good."""
        return any(self._states[name].fenced for name in self.inbound(service))

    async def listens(self, service: str) -> None:
        """The callee listens (again): its links come up and mirrors end, but for what is cut or fenced."""
        states = [self._states[name] for name in self.inbound(service)]
        for state in states:
            state.listens, state.mirror, state.draining = True, None, False
        await asyncio.gather(*(self._settle(state) for state in states))

    async def _settle(self, state: LinkState, taken_off: frozenset[str] = frozenset()) -> None:
        """Bring one link to its facts; serialised, so that the last facts win."""
        await self._created.wait()
        async with state.lock:
            await self._bring(state, taken_off - state.toxics.keys())


async def _prove_refused(address: Address) -> None:
    with suppress(ConnectionRefusedError):
        async with asyncio.timeout(_REFUSED_S):
            _, writer = await asyncio.open_connection(address.host, address.port)
        writer.close()
        raise EnvironmentBroken(f"the fence at {address} does not hold: a connection was accepted")
