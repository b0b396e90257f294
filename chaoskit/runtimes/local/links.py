"""Links of a local estate: the embedded Toxiproxy on addresses of its own, and holes where a host was lost.

caller ──► link's own address : callee's port ──► [toxics] ──► callee's own address : port
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from chaoskit.clock import monotonic_ns
from chaoskit.errors import EnvironmentBroken
from chaoskit.model.estate import Address, LinkBytes, LinkStanding, ProxyHeldUp
from chaoskit.model.system import Link
from chaoskit.runtimes.link_state import LinkState, Mode, bring, clear
from chaoskit.runtimes.local.proxy_pulse import ProxyPulse
from chaoskit.runtimes.local.topology import Topology
from chaoskit.runtimes.proxied_links import ProxiedLinks
from chaoskit.toxiproxy.client import Toxiproxy
from chaoskit.toxiproxy.errors import InvalidToxic, ServerUnreachable, ToxiproxyError
from chaoskit.toxiproxy.states import ProxySpec

_CHANGE_S = 10.0
_Value = TypeVar("_Value")


class LocalLinks(ProxiedLinks):
    """Capability `links`. Raises EnvironmentBroken when the proxy does not do what it is told, KeyError for
    no link.
    """

    def __init__(self, links: Iterable[Link], topology: Topology, pulse: Path) -> None:
        """`pulse` is the file in which the proxy notes when it was held up."""
        super().__init__(links, topology.ports)
        self.pulse = ProxyPulse(pulse)
        self._topology = topology
        self._client = Toxiproxy(topology.control.host, topology.control.port)
        self._silent: set[str] = set()
        self._tarpits: dict[str, list[socket.socket]] = {}

    def held_up(self) -> tuple[ProxyHeldUp, ...]:
        """One proxy carries every link."""
        return tuple(
            ProxyHeldUp(lo, hi, tuple(self._states), why) for lo, hi, why in self.pulse.read(monotonic_ns())
        )

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

    async def mirror(self, service: str, mode: Mode) -> tuple[str, ...]:
        """As everywhere; silent, the service's own address does not refuse either."""
        if mode == "silent":
            self._silent.add(service)
        taken = await super().mirror(service, mode)
        if mode == "silent":
            self.gone(service)
        return taken

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

    async def _bring(self, state: LinkState, taken_off: frozenset[str] = frozenset()) -> None:
        await self._do(lambda: bring(self._client, state, taken_off))

    async def _clear(self, state: LinkState) -> LinkStanding:
        return await self._do(lambda: clear(self._client, state))

    def _listeners(self, link: str) -> tuple[Address, ...]:
        host = self._topology.link_hosts[link]
        return tuple(Address(host, port) for port in self._states[link].proxies.values())

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
