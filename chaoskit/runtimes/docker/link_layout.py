"""Where every link of a run lies: a link-local address of its own, on one network of its caller.

    caller (169.254.64.1, on one network) ──► 169.254.0.1 : the callee's own port ──► proxy ──► callee

The caller finds the callee's names in its /etc/hosts, under the link's address: names and ports stay what they were.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from chaoskit.errors import InputError
from chaoskit.model.system import CUSTOMERS, Link, System

_A_BLOCK = 250
_CALLERS_FROM = 64  # third byte; links below, callers above
_BLOCKS_TAKEN = {169, 170}  # cloud metadata (169.254.169.254), task credentials (169.254.170.2)
_LINKS_MAX = _CALLERS_FROM * _A_BLOCK
_HOST_PORT = 20_000
_API_PORT = 8474


@dataclass(frozen=True)
class CallerSide:
    """What a caller's containers need: on `network`, and only there, a link-local address each; names of its callees.

    `link_local_ips` has one for each replica, `link_local_ip` is the first's.
    """

    network: str
    link_local_ip: str
    extra_hosts: dict[str, str]
    link_local_ips: tuple[str, ...] = ()


@dataclass(frozen=True)
class PlacedLink:
    """One link: on the proxy of `network`, listening on `address` : each of `ports`, the main one first.

    `upstream_network` is where the proxy meets the callee; `host_ports` are the ports of the proxy's own address, in
    the order of `ports`, through which the host reaches the same listeners.
    """

    link: Link
    network: str
    address: str
    ports: tuple[int, ...]
    upstream_network: str
    host_ports: tuple[int, ...]


@dataclass(frozen=True)
class LinkLayout:
    """Links by name, callers by service; `proxies` says which networks each network's proxy is on, its own first."""

    links: Mapping[str, PlacedLink]
    callers: Mapping[str, CallerSide]
    proxies: Mapping[str, tuple[str, ...]]

    def on(self, network: str) -> tuple[PlacedLink, ...]:
        """The links of a network's proxy."""
        return tuple(placed for placed in self.links.values() if placed.network == network)


def lay_out(
    system: System,
    networks_of: Mapping[str, tuple[str, ...]],
    names_of: Mapping[str, tuple[str, ...]],
    ports_of: Mapping[str, tuple[int, ...]],
    replicas_of: Mapping[str, int] | None = None,
) -> LinkLayout:
    """Lay out every link of the system; the same arguments give the same addresses.

    `networks_of` has each service's networks, none for one that shares another's (`network_mode`). Raises InputError
    that names the links which cannot be.
    """
    if refusals := [why for link in system.links for why in _refusals(link, networks_of, ports_of)]:
        raise InputError(*refusals)
    if len(system.links) > _LINKS_MAX:
        raise InputError(f"{len(system.links)} links; at most {_LINKS_MAX} fit into the link-local addresses")
    network_of = {
        caller: _network(caller, system, networks_of)
        for caller in dict.fromkeys(link.caller for link in system.links)
        if caller != CUSTOMERS
    }
    links = _place(system, networks_of, ports_of, network_of)
    return LinkLayout(
        links, _callers(links, network_of, names_of, replicas_of or {}), _proxies(links.values())
    )


def _refusals(
    link: Link, networks_of: Mapping[str, tuple[str, ...]], ports_of: Mapping[str, tuple[int, ...]]
) -> list[str]:
    found = []
    for end, service in (("caller", link.caller), ("callee", link.callee)):
        if service != CUSTOMERS and not networks_of.get(service):
            found.append(
                f"no link {link.name!r} is possible here: {service}, its {end}, has no network of its own "
                "(network_mode host, none, service: or container:). Give it `networks`, or take the link out"
            )
    if not ports_of.get(link.callee):
        found.append(
            f"no link {link.name!r} is possible here: no port of {link.callee} is known. Give it `expose` in the "
            "Compose file, or EXPOSE in its image"
        )
    return found


def _network(caller: str, system: System, networks_of: Mapping[str, tuple[str, ...]]) -> str:
    """The one that the caller shares with most of its callees; of those the first."""
    callees = [link.callee for link in system.links if link.caller == caller]
    shared = Counter(network for callee in callees for network in networks_of[callee])
    return max(networks_of[caller], key=lambda network: shared[network])


def _place(
    system: System,
    networks_of: Mapping[str, tuple[str, ...]],
    ports_of: Mapping[str, tuple[int, ...]],
    network_of: Mapping[str, str],
) -> dict[str, PlacedLink]:
    placed: dict[str, PlacedLink] = {}
    taken: set[tuple[str, int]] = set()
    number = 0
    for index, link in enumerate(system.links):
        meets = networks_of[link.callee]
        network = network_of.get(link.caller, meets[0])
        host_ports = []
        for port in ports_of[link.callee]:
            # Customers keep the port they know where that is possible; what else reaches the proxy need not.
            own = link.caller == CUSTOMERS and (network, port) not in taken and port != _API_PORT
            host_ports.append(port if own and port < _HOST_PORT else _HOST_PORT + number)
            number += 1
            taken.add((network, host_ports[-1]))
        placed[link.name] = PlacedLink(
            link=link,
            network=network,
            address=_address(index),
            ports=ports_of[link.callee],
            upstream_network=network if network in meets else meets[0],
            host_ports=tuple(host_ports),
        )
    return placed


def _callers(
    links: Mapping[str, PlacedLink],
    network_of: Mapping[str, str],
    names_of: Mapping[str, tuple[str, ...]],
    replicas_of: Mapping[str, int],
) -> dict[str, CallerSide]:
    callers: dict[str, CallerSide] = {}
    number = 0
    for caller, network in network_of.items():
        count = max(1, replicas_of.get(caller, 1))
        own = tuple(_address(_LINKS_MAX + number + replica) for replica in range(count))
        number += count
        hosts = {
            name: placed.address
            for placed in links.values()
            if placed.link.caller == caller
            for name in (placed.link.callee, *names_of.get(placed.link.callee, ()))
        }
        callers[caller] = CallerSide(network, own[0], hosts, own)
    return callers


def _proxies(links: Iterable[PlacedLink]) -> dict[str, tuple[str, ...]]:
    found: dict[str, dict[str, None]] = {}
    for placed in links:
        found.setdefault(placed.network, {placed.network: None})[placed.upstream_network] = None
    return {network: tuple(several) for network, several in found.items()}


def _address(number: int) -> str:
    block, host = divmod(number, _A_BLOCK)
    blocks = [third for third in range(1, 255) if third not in _BLOCKS_TAKEN]
    return f"169.254.{blocks[block]}.{host + 1}"
