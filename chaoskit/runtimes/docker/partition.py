"""Parts services from one another by the packet filter of their own networks: silent, open connections included.

everyone  service's namespace:  INPUT, OUTPUT ──► chain: lo passes, all else is dropped
others    service's namespace:  dropped from and to the others' addresses, and to its links that lead to them
          each other's:         the same the other way round; the proxies between them carry other links on

The chain has the partition's own name, so that taking it out takes out nothing else.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import socket
import threading
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from chaoskit.errors import EnvironmentBroken
from chaoskit.model.estate import Address
from chaoskit.model.means import Route
from chaoskit.runtimes.docker.hand import Hand
from chaoskit.runtimes.docker.processes import Containers

_NEW_NETWORK = 0x40000000  # CLONE_NEWNET
_HOOKS = ("INPUT", "OUTPUT")
_KNOCK = 'exec 3<>"/dev/tcp/$0/$1"'


@dataclass(frozen=True)
class Surroundings:
    """What the runtime knows of the networks: each callable asks what is true now, after restarts too.

    `addresses`: a service's own, on all networks. `link`: where a caller connects to reach a callee over its declared
    link, None if there is none. `direct`: the service itself, past every proxy. `callees`: those it has links to.
    """

    addresses: Callable[[str], Sequence[str]]
    link: Callable[[str, str], Address | None]
    direct: Callable[[str], Address]
    callees: Callable[[str], Sequence[str]]
    callers: Callable[[str], Sequence[str]]


class DockerNetworks:
    """Capability `networks`."""

    def __init__(self, hand: Hand, containers: Containers, surroundings: Surroundings) -> None:
        self._hand = hand
        self._containers = containers
        self._around = surroundings
        self._parted: dict[str, tuple[str, tuple[str, ...]]] = {}

    async def part(self, service: str, others: tuple[str, ...], name: str) -> None:
        """Drop every packet between the service and the others, or all but its loopback's if there are none.

        Raises EnvironmentBroken when a packet filter cannot be changed.
        """
        self._parted[name] = (service, others)
        await self._each(service, others, lambda one, far: self._lay(one, far, name))

    async def join(self, service: str, others: tuple[str, ...], name: str) -> None:
        """Take the chains of that name out; nothing where there are none."""
        self._parted.pop(name, None)
        await self._each(service, others, lambda one, _: self._take_out(one, name))

    async def started(self, service: str) -> None:
        """The service has new containers, with a network stack of their own: what it is parted from holds on."""
        for name, (one, others) in list(self._parted.items()):
            if service == one or service in others:
                await self.part(one, others, name)

    async def routes(self, service: str, others: tuple[str, ...]) -> tuple[Route, ...]:
        """From outside and from within for a partition from everyone; from each side of each pair else."""
        around = self._around
        if not others:
            inside = [(callee, around.link(service, callee)) for callee in around.callees(service)]
            near = [caller for caller in around.callers(service) if caller in self._running(caller)]
            out = next(((name, to) for name, to in inside if to is not None), None)
            out = out or next(((name, around.direct(name)) for name in near), None)
            routes = [Route(None, around.direct(service), f"from outside to {service}")]
            return (*routes, *([Route(service, out[1], f"from {service} to {out[0]}")] if out else ()))
        found = []
        for other in others:
            for origin, target in ((other, service), (service, other)):
                to = around.link(origin, target) or around.direct(target)
                found.append(Route(origin, to, f"from {origin} to {target}"))
        return tuple(found)

    async def connect(self, route: Route, within_s: float) -> socket.socket:
        """A connection made inside the origin's network, to be closed by the caller.

        Raises TimeoutError, ConnectionRefusedError or another OSError, as the network answers. Entering a network
        takes root: without it only the answer can be had, so that a connection that opens raises PermissionError.
        """
        if route.origin is None:
            return await asyncio.to_thread(_connect, None, route.to, within_s)
        pid = self._pid(route.origin)
        if os.geteuid() == 0:
            return await asyncio.to_thread(_in_own_thread, pid, route.to, within_s)
        argv = ["timeout", f"{within_s:g}", "bash", "-c", _KNOCK, route.to.host, str(route.to.port)]
        done = await self._hand.in_network(pid, argv)
        if done.returncode == 124:
            raise TimeoutError
        if done.returncode:
            raise ConnectionRefusedError
        raise PermissionError

    def _running(self, service: str) -> Sequence[str]:
        return (service,) if any(one.pid for one in self._containers(service)) else ()

    def _pid(self, service: str) -> int:
        for container in self._containers(service):
            if container.pid:
                return container.pid
        raise EnvironmentBroken(f"{service} has no container that runs, so it has no network")

    async def _each(
        self,
        service: str,
        others: tuple[str, ...],
        do: Callable[[str, Sequence[str]], Awaitable[None]],
    ) -> None:
        await asyncio.gather(do(service, others), *(do(other, (service,)) for other in others))

    def _far_addresses(self, service: str, far: Sequence[str]) -> list[str]:
        found: list[str] = []
        for other in far:
            found += self._around.addresses(other)
            link = self._around.link(service, other)
            found += [link.host] if link is not None else []
        return list(dict.fromkeys(found))

    async def _lay(self, service: str, far: Sequence[str], name: str) -> None:
        addresses = self._far_addresses(service, far)
        by_version = {4: [a for a in addresses if ip_address(a).version == 4]}
        by_version[6] = [a for a in addresses if ip_address(a).version == 6]
        for container in self._containers(service):
            if not container.pid:
                continue
            for version, program in ((4, "iptables"), (6, "ip6tables")):
                if far and not by_version[version]:
                    continue
                rules = _rules(name, by_version[version] if far else None)
                argv = [f"{program}-restore", "--noflush", "--wait", "5"]
                done = await self._hand.in_network(container.pid, argv, rules.encode())
                # A kernel without IPv6 has no such traffic either.
                if done.returncode and version == 4:
                    words = bytes(done.stderr).decode(errors="replace").strip()
                    raise EnvironmentBroken(f"the packet filter of {service} cannot be changed: {words}")

    async def _take_out(self, service: str, name: str) -> None:
        script = "".join(
            f"if {program} -w 5 -n -L {name} >/dev/null 2>&1; then "
            + "".join(
                f"while {program} -w 5 -D {hook} -j {name} 2>/dev/null; do :; done; " for hook in _HOOKS
            )
            + f"{program} -w 5 -F {name} && {program} -w 5 -X {name} || exit 1; fi; "
            for program in ("iptables", "ip6tables")
        )
        for container in self._containers(service):
            if not container.pid:
                continue  # its rules went with its network
            done = await self._hand.in_network(container.pid, ["sh", "-c", script])
            if done.returncode and self._pid_lives(container.pid):
                words = bytes(done.stderr).decode(errors="replace").strip()
                raise EnvironmentBroken(f"{service} cannot be joined to its network again: {words}")

    @staticmethod
    def _pid_lives(pid: int) -> bool:
        return os.path.exists(f"/proc/{pid}")  # noqa: PTH110


def _rules(name: str, addresses: Sequence[str] | None) -> str:
    """For iptables-restore, in one transaction: the chain, flushed, and before all else in both directions."""
    lines = ["*filter", f":{name} - [0:0]", *(f"-I {hook} 1 -j {name}" for hook in _HOOKS)]
    if addresses is None:
        lines += [f"-A {name} -i lo -j RETURN", f"-A {name} -o lo -j RETURN", f"-A {name} -j DROP"]
    for address in addresses or ():
        lines += [f"-A {name} -s {address} -j DROP", f"-A {name} -d {address} -j DROP"]
    return "\n".join([*lines, "COMMIT", ""])


def _connect(namespace: int | None, to: Address, within_s: float) -> socket.socket:
    if namespace is not None and ctypes.CDLL(None, use_errno=True).setns(namespace, _NEW_NETWORK):
        number = ctypes.get_errno()
        raise EnvironmentBroken(f"the network of a container cannot be entered: {os.strerror(number)}")
    return socket.create_connection((to.host, to.port), within_s)


def _in_own_thread(pid: int, to: Address, within_s: float) -> socket.socket:
    """A thread that enters a network stays there: it is used once. The socket stays in that network as well."""
    came: list[socket.socket | Exception] = []
    namespace = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)

    def enter() -> None:
        try:
            came.append(_connect(namespace, to, within_s))
        except (OSError, EnvironmentBroken) as error:
            came.append(error)

    try:
        thread = threading.Thread(target=enter, name="in a container's network")
        thread.start()
        thread.join()
    finally:
        os.close(namespace)
    if isinstance(came[0], Exception):
        raise came[0]
    return came[0]
