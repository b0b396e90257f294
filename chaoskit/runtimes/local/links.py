"""Links of a local estate: what each one should be, and the embedded Toxiproxy brought to it.

    caller ──► link's own address : callee's port ──► [toxics] ──► callee's own address : port

Whether a link lets anybody in follows from four independent facts: its callee listens, no fault has cut it, no mirror
holds it down, nobody has fenced its callee. Undoing one of them therefore never overrides another.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal, TypeVar

from chaoskit.errors import EnvironmentBroken
from chaoskit.model.estate import Address, LinkBytes, Toxic
from chaoskit.model.system import Link
from chaoskit.runtimes.local.topology import Topology
from chaoskit.toxiproxy.client import Toxiproxy
from chaoskit.toxiproxy.errors import InvalidToxic, ServerUnreachable, ToxiproxyError
from chaoskit.toxiproxy.states import ProxySpec

_CHANGE_S = 10.0
_NEVER_MS = 2**31 - 1
_SILENCE = (
    # Bytes are dropped, and the end of a connection whose callee has died is held back: to its caller
    # it just hangs.
    ("chaoskit-silent-{stream}", "timeout", {"timeout": 0}),
    ("chaoskit-open-{stream}", "slow_close", {"delay": _NEVER_MS}),
)
_STREAMS = ("upstream", "downstream")
_Value = TypeVar("_Value")
Mode = Literal["refused", "silent"]


@dataclass
class _State:
    """One link: its proxies (one for each port of the callee) and the facts that decide over it."""

    link: Link
    proxies: dict[str, int]
    listens: bool = False
    cut: bool = False
    mirror: Mode | None = None
    draining: bool = False
    fenced: bool = False
    toxics: set[str] = field(default_factory=set)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def open(self) -> bool:
        return self.listens and not self.cut and self.mirrored != "refused" and not self.fenced

    @property
    def mirrored(self) -> Mode | None:
        """The mirror that shows: not yet on a link that had a fault when its callee died, and drains."""
        return None if self.draining else self.mirror

    @property
    def faulted(self) -> bool:
        """A fault lies on it."""
        return self.cut or bool(self.toxics)


class LocalLinks:
    """Capability `links`. Raises EnvironmentBroken when the proxy does not do what it is told, KeyError for
    no link.
    """

    def __init__(self, links: Iterable[Link], topology: Topology) -> None:
        self._topology = topology
        self._states = {
            link.name: _State(link, _proxies(link, topology.ports[link.callee])) for link in links
        }
        self._client = Toxiproxy(topology.control.host, topology.control.port)
        self._created = asyncio.Event()
        self._silent: set[str] = set()
        self._tarpits: dict[str, list[socket.socket]] = {}

    async def answers(self) -> bool:
        """Whether the proxy's API answers."""
        try:
            await asyncio.to_thread(self._client.version)
        except ServerUnreachable:
            return False
        return True

    async def create(self) -> None:
        """Make every proxy, closed until its callee listens."""
        specs = [
            ProxySpec(
                name=proxy,
                listen=f"{self._topology.link_hosts[state.link.name]}:{port}",
                upstream=f"{self._topology.hosts[state.link.callee]}:{port}",
                enabled=False,
            )
            for state in self._states.values()
            for proxy, port in state.proxies.items()
        ]
        await self._do(lambda: self._client.populate(specs))
        self._created.set()

    def address(self, link: str) -> Address:
        """Where the caller connects."""
        state = self._states[link]
        return Address(self._topology.link_hosts[link], self._topology.ports[state.link.callee][0])

    def inbound(self, service: str) -> tuple[str, ...]:
        """The links that lead to a service."""
        return tuple(name for name, state in self._states.items() if state.link.callee == service)

    async def enable(self, link: str, enabled: bool) -> None:
        """False cuts the link; True takes only that cut back."""
        state = self._states[link]
        state.cut = not enabled
        state.draining = state.draining and state.faulted
        await self._settle(state)

    async def add_toxic(self, link: str, toxic: Toxic) -> None:
        """Put a toxic on every port of the link."""
        state = self._states[link]
        state.toxics.add(toxic.name)
        async with state.lock:
            for proxy in state.proxies:
                await self._do(
                    lambda proxy=proxy: self._client.add_toxic(  # type: ignore[misc]
                        proxy, toxic.type, toxic.stream, toxic.attributes, toxic.toxicity, toxic.name
                    )
                )

    async def remove_toxic(self, link: str, toxic: str) -> None:
        """Missing is fine."""
        state = self._states[link]
        async with state.lock:
            for proxy in state.proxies:
                await self._do(lambda proxy=proxy: self._client.remove_toxic(proxy, toxic))  # type: ignore[misc]
        state.toxics.discard(toxic)
        if state.draining and not state.faulted:
            state.draining = False
            await self._settle(state)

    async def mirror(self, service: str, mode: Mode) -> tuple[str, ...]:
        """Make the inbound links of a dead (or, silent: dying) service look dead; those with a fault are
        left to drain.
        """
        inbound = [self._states[name] for name in self.inbound(service)]
        if mode == "silent":
            self._silent.add(service)
        for state in inbound:
            state.mirror, state.draining = mode, state.faulted
        taken = [state for state in inbound if not state.draining]
        await asyncio.gather(*(self._settle(state) for state in taken))
        if mode == "silent":
            self.gone(service)
        return tuple(state.link.name for state in taken)

    async def fence(self, service: str) -> tuple[str, ...]:
        """Take every inbound link down for good, and prove each refuses."""
        states = [self._states[name] for name in self.inbound(service)]
        for state in states:
            state.fenced = True
        await asyncio.gather(*(self._settle(state) for state in states))
        for state in states:
            for port in state.proxies.values():
                await self._prove_refused(Address(self._topology.link_hosts[state.link.name], port))
        return tuple(state.link.name for state in states)

    def fenced(self, service: str) -> bool:
        """Whether the service's inbound links are down for good."""
        return any(self._states[name].fenced for name in self.inbound(service))

    async def traffic(self) -> dict[str, LinkBytes]:
        """Bytes by link since the proxy started."""
        moved = await self._do(self._client.traffic)
        sums = {}
        for name, state in self._states.items():
            seen = [moved[proxy] for proxy in state.proxies if proxy in moved]
            sums[name] = LinkBytes(
                sum(each.upstream_bytes for each in seen), sum(each.downstream_bytes for each in seen)
            )
        return sums

    # -- what the estate tells the links ------------------------------------------------------------

    async def listens(self, service: str) -> None:
        """The callee listens (again): its links come up and mirrors end, but for what is cut or fenced."""
        states = [self._states[name] for name in self.inbound(service)]
        for state in states:
            state.listens, state.mirror, state.draining = True, None, False
        await asyncio.gather(*(self._settle(state) for state in states))

    def starting(self, service: str) -> None:
        """The callee is about to start: its own address must be free."""
        self._silent.discard(service)
        for tarpit in self._tarpits.pop(service, ()):
            tarpit.close()

    def gone(self, service: str) -> None:
        """Nothing of the callee is left. If its host was lost, its own address must not refuse either: what connects
        there is accepted by the kernel and never answered."""
        if service not in self._silent or service in self._tarpits:
            return
        host, ports = self._topology.hosts[service], self._topology.ports[service]
        tarpits = []
        for port in ports:
            tarpit = socket.socket()
            tarpit.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                tarpit.bind((host, port))
                tarpit.listen(4096)
            except OSError:  # it still lives, and keeps its port: we are told again when it is gone
                tarpit.close()
                continue
            tarpits.append(tarpit)
        if tarpits:
            self._tarpits[service] = tarpits

    def close(self) -> None:
        """Give up the addresses that this process itself holds."""
        for service in tuple(self._tarpits):
            self.starting(service)

    # -- the proxy ------------------------------------------------------------------------------------

    async def _settle(self, state: _State) -> None:
        """Bring the link's proxies to what the facts say, read back; serialised, so that the last facts
        win.
        """
        await self._created.wait()
        async with state.lock:
            for proxy in state.proxies:
                await self._do(lambda proxy=proxy, state=state: self._apply(proxy, state))  # type: ignore[misc]

    def _apply(self, proxy: str, state: _State) -> None:
        silent = state.mirrored == "silent" and not state.fenced
        has = {toxic.name for toxic in self._client.proxy(proxy).toxics}
        for stream in _STREAMS:
            for template, type_, attributes in _SILENCE:
                name = template.format(stream=stream)
                if silent and name not in has:
                    self._client.add_toxic(proxy, type_, stream, attributes, name=name)
                elif not silent and name in has:
                    self._client.remove_toxic(proxy, name)
        self._client.set_enabled(proxy, state.open)

    async def _do(self, action: Callable[[], _Value]) -> _Value:
        """A blocking call, off the event loop, with a deadline."""
        try:
            async with asyncio.timeout(_CHANGE_S):
                return await asyncio.to_thread(action)
        except TimeoutError:
            raise EnvironmentBroken(f"the proxy of the links did not answer within {_CHANGE_S:g} s") from None
        except InvalidToxic:
            raise
        except ToxiproxyError as error:
            raise EnvironmentBroken(f"the proxy of the links: {error}") from error

    async def _prove_refused(self, address: Address) -> None:
        with suppress(ConnectionRefusedError):
            async with asyncio.timeout(_CHANGE_S):
                _, writer = await asyncio.open_connection(address.host, address.port)
            writer.close()
            raise EnvironmentBroken(f"the fence at {address} does not hold: a connection was accepted")


def _proxies(link: Link, ports: tuple[int, ...]) -> dict[str, int]:
    """The proxy of the main port carries the link's name, as drills write it."""
    return {link.name if port == ports[0] else f"{link.name} #{port}": port for port in ports}
