"""Links of a docker estate: one real Toxiproxy for each network that has callers, and the kernel's counters beside it.

caller's container ──► 169.254.x.y : callee's port ──► [toxics] ──► callee's address : port
this process ────────► proxy's own address : a port of the link's ──┘ (the same listener)
"""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from chaoskit.errors import EnvironmentBroken
from chaoskit.model.estate import Address, LinkBytes, LinkStanding, ProxyHeldUp, ProxyRestart, Toxic
from chaoskit.model.system import CUSTOMERS
from chaoskit.runtimes import process_table
from chaoskit.runtimes.docker import packet_counts, teardown
from chaoskit.runtimes.docker.bridge_ways import BridgeWays
from chaoskit.runtimes.docker.engine import Engine
from chaoskit.runtimes.docker.hand import Hand
from chaoskit.runtimes.docker.link_layout import LinkLayout, PlacedLink
from chaoskit.runtimes.docker.packet_counts import Bypass
from chaoskit.runtimes.docker.services import Attachment
from chaoskit.runtimes.docker.toxiproxy_server import ToxiproxyServer
from chaoskit.runtimes.link_state import LinkState, bring, clear
from chaoskit.runtimes.proxied_links import ProxiedLinks
from chaoskit.toxiproxy.client import Toxiproxy
from chaoskit.toxiproxy.states import ProxySpec

_BEFORE_FIN_S = 0.05


class Placed(Protocol):
    """A service's container: host pid (0 while it does not run), addresses by the engine's network name."""

    @property
    def pid(self) -> int: ...

    @property
    def addresses(self) -> Mapping[str, str]: ...


class DockerLinks(ProxiedLinks):
    """Capability `links`. `find` names a service's containers as the engine last said; it must not block."""

    def __init__(
        self,
        engine: Engine,
        layout: LinkLayout,
        run: str,
        labels: Mapping[str, str],
        hand: Hand,
        find: Callable[[str], Sequence[Placed]] = lambda _: (),
    ) -> None:
        super().__init__(
            [placed.link for placed in layout.links.values()],
            {placed.link.callee: placed.ports for placed in layout.links.values()},
        )
        for state in self._states.values():
            state.silence = ()  # made by the packet filter here
        self.find = find
        self.run = run
        self._resets: set[asyncio.Task[None]] = set()
        self._ways = BridgeWays(engine, hand)
        self._filtering = asyncio.Lock()
        self._looking = asyncio.Lock()
        self._watching = False
        self._silent: dict[str, tuple[PlacedLink, ...]] = {}
        self._layout = layout
        self._hand = hand
        self._restarts: list[ProxyRestart] = []
        self._held_up: list[ProxyHeldUp] = []
        self._bypassed: Counter[int] = Counter()
        self._filters: dict[int, tuple[tuple[Bypass, ...], Counter[tuple[str, int]]]] = {}
        self._numbers = {name: number for number, name in enumerate(layout.links)}
        self._servers = {
            network: self._server(engine, network, number, labels)
            for number, network in enumerate(layout.proxies)
        }

    def _server(
        self, engine: Engine, network: str, number: int, labels: Mapping[str, str]
    ) -> ToxiproxyServer:
        own = tuple(placed.address for placed in self._layout.on(network))
        others = tuple(Attachment(other) for other in self._layout.proxies[network][1:])
        return ToxiproxyServer(
            engine,
            f"chaoskit-{secrets.token_hex(4)}-proxy-{number}",
            labels,
            (Attachment(network, link_local=own), *others),
            lambda client: self._fill(client, network),
            lambda lo, hi, why: self._restarts.append(
                ProxyRestart(network, lo, hi, tuple(one.link.name for one in self._layout.on(network)), why)
            ),
            lambda lo, hi, why: self._held_up.append(
                ProxyHeldUp(lo, hi, tuple(one.link.name for one in self._layout.on(network)), why)
            ),
        )

    async def start(self) -> None:
        """Start every network's proxy, all its links closed until their callees listen. The networks exist.

        Raises EngineRefused, EnvironmentBroken.
        """
        await asyncio.gather(
            self._ways.open(self._servers),
            *(self._start(network, server) for network, server in self._servers.items()),
        )
        self._created.set()

    async def _start(self, network: str, server: ToxiproxyServer) -> None:
        await server.start_holder()
        numbered = [(self._numbers[one.link.name], one) for one in self._layout.on(network)]
        rules = teardown.chain() + packet_counts.ways_in(server.host, numbered)
        await asyncio.gather(
            packet_counts.lay(self._hand, server.pid, rules, f"the proxy of {network}"), server.start()
        )

    async def stop(self) -> None:
        """Look after the proxies no longer; the containers go with the run."""
        for task in self._resets:
            task.cancel()
        await asyncio.gather(*(server.stop() for server in self._servers.values()))
        await self._ways.close()
        await self._hand.close()

    def gone(self, service: str) -> None:
        """Nothing of the callee is left. Its own address falls silent by itself, as its network has gone with it."""

    async def listens(self, service: str) -> None:
        """As everywhere; the callee may have another address than before."""
        for name in self.inbound(service):
            self._states[name].upstreams = self._upstreams(self._layout.links[name])
        await super().listens(service)

    def restarts(self) -> tuple[ProxyRestart, ...]:
        return tuple(self._restarts)

    def held_up(self) -> tuple[ProxyHeldUp, ...]:
        return tuple(self._held_up)

    @property
    def broken(self) -> str | None:
        """Why links are gone for good, if so."""
        return next((server.lost for server in self._servers.values() if server.lost), None)

    def seen_by_caller(self, link: str) -> Address:
        """Where the caller's own containers connect: a link-local address that only they and the proxy have."""
        placed = self._layout.links[link]
        return Address(placed.address, placed.ports[0])

    def api(self, link: str) -> Address:
        """The Toxiproxy server of a link, for users' own scripts; the proxy is called like the link."""
        return Address(self._servers[self._layout.links[link].network].host, 8474)

    async def traffic(self) -> dict[str, LinkBytes]:
        """Bytes of packets with data, by link, as the kernel counted them, headers included."""
        counted: Counter[tuple[str, int]] = Counter()
        for network, server in self._servers.items():
            counted += await packet_counts.read(self._hand, server.pid, f"the proxy of {network}")
        past = await self.bypassed()
        return {
            name: LinkBytes(counted["up", number], counted["down", number], past[name])
            for name, number in self._numbers.items()
        }

    async def bypassed(self) -> dict[str, int]:
        """Bytes that went past each link since this or `traffic` was first asked, restarts included."""
        self._watching = True
        await self._look_for_bypasses()
        return {name: self._bypassed[number] for name, number in self._numbers.items()}

    async def moved(self) -> None:
        """A service has a new container, with a network and addresses of its own: what goes past is counted there."""
        if self._watching:
            await self._look_for_bypasses()

    # -- the proxies ----------------------------------------------------------------------------------

    def _listeners(self, link: str) -> tuple[Address, ...]:
        placed = self._layout.links[link]
        return tuple(Address(self._servers[placed.network].host, port) for port in placed.host_ports)

    def _fill(self, client: Toxiproxy, network: str) -> None:
        states = [self._states[placed.link.name] for placed in self._layout.on(network)]
        client.populate(
            ProxySpec(
                proxy,
                f"{self._layout.links[state.link.name].address}:{port}",
                self._upstream(state, port),
                False,
            )
            for state in states
            for proxy, port in state.proxies.items()
        )
        for state in states:
            if state.open or state.wanted:
                bring(client, state)

    def _upstream(self, state: LinkState, port: int) -> str:
        placed = self._layout.links[state.link.name]
        # The engine's name server knows `name.network`: of several networks the one that is meant.
        named = f"{placed.link.callee}.{placed.upstream_network}:{port}"
        return (state.upstreams or {}).get(port, named)

    def _upstreams(self, placed: PlacedLink) -> dict[int, str] | None:
        """By address where the callee has one container: a name that is gone can take seconds to be found missing.

        Of several, the engine's name server chooses, as it does for callers without a proxy.
        """
        found = self.find(placed.link.callee)
        addresses = [one.addresses.get(placed.upstream_network) for one in found]
        if len(addresses) != 1 or not addresses[0]:
            return None
        return {port: f"{addresses[0]}:{port}" for port in placed.ports}

    async def add_toxic(self, link: str, toxic: Toxic) -> None:
        """As everywhere; connections that are open see `reset_peer` as well."""
        if toxic.type == "reset_peer":
            after_s = max(0.0, toxic.attributes.get("timeout", 0) / 1000 - _BEFORE_FIN_S)
            task = asyncio.create_task(self._reset_after(link, toxic, after_s))
            self._resets.add(task)
            task.add_done_callback(self._resets.discard)
            if not after_s:  # it must be the first: the toxic itself lets them end with a FIN
                await task
        await super().add_toxic(link, toxic)

    async def _reset_after(self, link: str, toxic: Toxic, after_s: float) -> None:
        await asyncio.sleep(after_s)
        placed = self._layout.links[link]
        if not after_s or toxic.name in self._states[link].toxics:
            await teardown.reset_open(self._hand, self._servers[placed.network].pid, placed)

    async def _bring(self, state: LinkState, taken_off: frozenset[str] = frozenset()) -> None:
        placed = self._layout.links[state.link.name]
        server = self._servers[placed.network]
        dials = state.in_the_way
        end_dials = teardown.end_dials(self._hand, server.pid, dials) if dials else None
        await self._fall_silent(placed.network, server)
        await server.change(lambda client: bring(client, state, taken_off), end_dials)

    async def _clear(self, state: LinkState) -> LinkStanding:
        server = self._servers[self._layout.links[state.link.name].network]
        return await server.change(lambda client: clear(client, state))

    async def _fall_silent(self, network: str, server: ToxiproxyServer) -> None:
        """Make the links whose callee's host is lost silent, and the others heard again."""
        async with self._filtering:
            lost = tuple(
                placed
                for placed in self._layout.on(network)
                if (state := self._states[placed.link.name]).mirrored == "silent" and not state.fenced
            )
            if lost != self._silent.get(network, ()):
                rules = teardown.silence(lost)
                await packet_counts.lay(self._hand, server.pid, rules, f"the proxy of {network}")
                self._silent[network] = lost

    # -- the ways past them ---------------------------------------------------------------------------

    async def _look_for_bypasses(self) -> None:
        """Read what went past the links since the last look, and look from now on where nobody has."""
        async with self._looking:
            await self._look_everywhere()

    async def _look_everywhere(self) -> None:
        wanted: dict[int, list[Bypass]] = {}
        for name, placed in self._layout.links.items():
            if placed.link.caller == CUSTOMERS:
                continue
            callers = tuple(
                ip for one in self.find(placed.link.caller) if one.pid for ip in one.addresses.values()
            )
            for callee in self.find(placed.link.callee):
                if callee.pid and callers:
                    bypass = Bypass(self._numbers[name], callers, placed.ports)
                    wanted.setdefault(callee.pid, []).append(bypass)
        for pid in self._filters.keys() - wanted.keys():
            del self._filters[pid]
        await asyncio.gather(*(self._look_in(pid, tuple(bypasses)) for pid, bypasses in wanted.items()))

    async def _look_in(self, pid: int, bypasses: tuple[Bypass, ...]) -> None:
        whose = "a callee"
        laid, before = self._filters.get(pid, (None, Counter()))
        try:
            if laid is not None:
                now = await packet_counts.read(self._hand, pid, whose)
                for (_, number), size in (now - before).items():
                    self._bypassed[number] += size
                self._filters[pid] = (bypasses, now)
            if laid != bypasses:
                await packet_counts.lay(
                    self._hand, pid, packet_counts.bypass_rules(bypasses, laid is None), whose
                )
                self._filters[pid] = (bypasses, Counter())
        except EnvironmentBroken:
            if process_table.look(pid) is not None:  # else it has just ended, and its network with it
                raise
