"""Containers that echo and a run's links between them, on an engine, with nothing else of a run."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import secrets
import socket
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from chaoskit.model.estate import Address
from chaoskit.model.lease import LinkUndo, ToxicUndo, Undo
from chaoskit.model.system import Link, LocalService, Service, System
from chaoskit.runtimes.docker import services
from chaoskit.runtimes.docker.engine import Engine
from chaoskit.runtimes.docker.hand import Hand
from chaoskit.runtimes.docker.link_layout import LinkLayout, lay_out
from chaoskit.runtimes.docker.links import DockerLinks
from chaoskit.runtimes.docker.processes import Container, DockerProcesses
from chaoskit.runtimes.docker.services import Attachment, Recipe, Replica
from chaoskit.runtimes.readiness import accepts

IMAGE = "bank:1.0"
_CLONE_NEWNET = 0x40000000
#: Answers each line with its own name, an HTTP request with zeros, and floods whoever asks for it.
ECHO = """
import socketserver, sys, threading
class Echo(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            if line == b"flood\\n":
                while True: self.wfile.write(bytes(65536))
            if line.startswith(b"GET "):
                while self.rfile.readline().strip(): pass
                self.wfile.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: 200\\r\\n\\r\\n" + bytes(200))
                continue
            self.wfile.write(sys.argv[1].encode() + b" " + line)
class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True
    request_queue_size = 1024  # of the default 5 a witness that knocks makes short work
servers = [Server(("0.0.0.0", int(port)), Echo) for port in sys.argv[2:]]
for each in servers[1:]: threading.Thread(target=each.serve_forever, daemon=True).start()
servers[0].serve_forever()
"""


def system(links: Sequence[str]) -> System:
    """A system of these links, and the services they name."""
    parsed = tuple(Link.parse(link) for link in links)
    names = dict.fromkeys(end for link in parsed for end in (link.caller, link.callee) if end != "customers")
    return System(
        system="bench",
        compose="compose.yaml",
        folder="/",
        services={name: Service(name=name, ports=(7000,)) for name in names},
        links=parsed,
        journeys={},
        local={name: LocalService(run="echo", ready="/") for name in names},  # all speak HTTP, for witnesses
    )


async def _give_up(service: str) -> None:
    """No restart policy is set here."""


@dataclass
class Bench:
    """A run's links, its services' containers by name; as much of an estate as the faults of links need."""

    engine: Engine
    hand: Hand
    links: DockerLinks
    layout: LinkLayout
    replicas: dict[str, Replica]
    labels: dict[str, str]
    prefix: str
    plan: Any
    run = "bench"
    capabilities = frozenset({"links", "processes"})

    @property
    def processes(self) -> DockerProcesses:
        """By host pid."""
        return DockerProcesses(
            self.hand, lambda name: [Container(self.replicas[name].id, self.replicas[name].pid)], _give_up
        )

    async def undo(self, undo: Undo) -> None:
        """As an estate does."""
        for step in undo.steps:
            if isinstance(step, LinkUndo):
                await self.links.enable(step.link, True)
            elif isinstance(step, ToxicUndo):
                await self.links.remove_toxic(step.link, step.toxic)

    def server(self) -> Replica:
        """The container of the first network's Toxiproxy."""
        found = next(iter(self.links._servers.values()))._server
        assert found is not None
        return found

    def connect(self, caller: str, to: Address, within_s: float = 5.0) -> socket.socket:
        """From inside a caller's network, as its own processes would."""
        return in_network(
            self.replicas[caller].pid, lambda: socket.create_connection((to.host, to.port), within_s)
        )

    def ask(self, link: str, what: bytes = b"hello\n") -> bytes:
        """One line over the link from its caller's network, and what answers."""
        caller = self.layout.links[link].link.caller
        to = self.links.seen_by_caller(link)
        if caller == "customers":
            at = self.links.address(link)
            open_line = socket.create_connection((at.host, at.port), 5)
        else:
            open_line = self.connect(caller, to)
        with open_line as line:
            line.sendall(what)
            return line.makefile("rb").readline()

    async def exec(self, service: str, *argv: str) -> bytes:
        """A command inside a service's container, with its own /etc/hosts."""
        container = self.engine.client.containers.get(self.replicas[service].id)
        done: Any = await asyncio.to_thread(container.exec_run, list(argv))
        return bytes(done.output)

    async def listens(self, service: str) -> None:
        one = self.replicas[service]
        await services.look(self.engine, one)
        address = Address(next(iter(one.addresses.values())), 7000)
        async with asyncio.timeout(20):
            while not await accepts(address):  # noqa: ASYNC110 - nothing announces it
                await asyncio.sleep(0.02)
        await self.links.listens(service)


def in_network(pid: int, work: Callable[[], socket.socket]) -> socket.socket:
    """Do something in the network of a process: a socket stays in the network that it was made in."""
    made: list[Any] = []

    def run() -> None:
        try:
            namespace = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
            try:
                assert ctypes.CDLL(None, use_errno=True).setns(namespace, _CLONE_NEWNET) == 0
                made.append(work())
            finally:
                os.close(namespace)
        except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
            made.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if isinstance(made[0], BaseException):
        raise made[0]
    found: socket.socket = made[0]
    return found


@contextlib.asynccontextmanager
async def bench(
    links: Sequence[str],
    networks_of: dict[str, tuple[str, ...]] | None = None,
    ports: tuple[int, ...] = (7000,),
    internal: bool = False,
    start: Sequence[str] | None = None,
) -> AsyncIterator[Bench]:
    """Everything started and open; gone afterwards. `start` names the services with a container, by default all."""
    engine, prefix = Engine(), f"chaoskit-test-{secrets.token_hex(4)}"
    labels = {"chaoskit.test": prefix}
    on = networks_of or {}
    made = system(links)
    wanted = [*dict.fromkeys(net for nets in on.values() for net in nets)] or ["default"]
    hand = Hand(engine, labels)
    try:
        for net in wanted:
            engine.client.networks.create(f"{prefix}-{net}", internal=internal, labels=labels)
        named = {name: tuple(f"{prefix}-{net}" for net in on.get(name, wanted[:1])) for name in made.services}
        layout = lay_out(made, named, {n: (n, f"{n}.alias") for n in named}, dict.fromkeys(named, ports))
        proxied = DockerLinks(engine, layout, prefix, labels, hand)
        replicas = {
            name: _replica(name, named[name], layout, prefix, labels, ports) for name in start or named
        }
        proxied.find = lambda name: [replicas[name]] if name in replicas else []
        here = Bench(engine, hand, proxied, layout, replicas, labels, prefix, SimpleNamespace(system=made))
        try:
            await asyncio.gather(
                proxied.start(), *(services.create_and_start(engine, one) for one in replicas.values())
            )
            await asyncio.gather(*(here.listens(name) for name in replicas))
            yield here
        finally:
            await proxied.stop()
    finally:
        await asyncio.to_thread(_remove, engine, prefix)
        engine.close()


def _replica(
    name: str,
    networks: tuple[str, ...],
    layout: LinkLayout,
    prefix: str,
    labels: dict[str, str],
    ports: tuple[int, ...],
) -> Replica:
    side = layout.callers.get(name)
    attachments = tuple(
        Attachment(net, (name,), side.link_local_ips if side and side.network == net else ())
        for net in networks
    )
    options = {
        "entrypoint": ["python3", "-u", "-c", ECHO, name, *map(str, ports)],
        "command": [],
        "extra_hosts": side.extra_hosts if side else {},
        "init": True,
        "user": "0",
    }
    return Replica(name, Recipe(f"{prefix}-{name}", IMAGE, labels, attachments, options))


def _remove(engine: Engine, prefix: str) -> None:
    filters: dict[str, Any] = {"label": f"chaoskit.test={prefix}"}
    for container in engine.client.containers.list(all=True, filters=filters):
        with contextlib.suppress(Exception):  # somebody else's test has killed it
            container.remove(force=True, v=True)
    for network in engine.client.networks.list(filters=filters):
        network.remove()


class Running:
    """A bench with a loop of its own, shared by the tests of a module: `do` runs work in it."""

    def __init__(self, links: Sequence[str], **more: Any) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._open = bench(links, **more)
        self.bench: Bench = self.do(self._open.__aenter__())

    def do(self, work: Coroutine[Any, Any, Any], within_s: float = 60.0) -> Any:
        """Its result."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(within_s)

    def close(self) -> None:
        """Remove everything."""
        try:
            self.do(self._open.__aexit__(None, None, None))
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()
