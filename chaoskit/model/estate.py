"""An estate: what a runtime has provisioned, as small capability protocols that faults and responses use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

if TYPE_CHECKING:  # load and prober, which need an address, are waited for at every start
    from chaoskit.model.lease import ProcessRef, ProcessState, Undo
    from chaoskit.model.plan import Plan


@dataclass(frozen=True)
class Address:
    """A TCP endpoint."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True)
class LinkBytes:
    """Bytes a link has carried since its proxy started; `direct`: what its caller sent to the callee past it."""

    upstream: int
    downstream: int
    direct: int = 0


@dataclass(frozen=True)
class LinkStanding:
    """What the proxies of a link say of themselves: whether all let their caller in, and what lies on any of them.

    `found` is what lay there before they were cleared.
    """

    enabled: bool
    toxics: tuple[str, ...]
    found: tuple[str, ...] = ()


@dataclass(frozen=True)
class ProxyRestart:
    """A proxy was hung or dead, and was started anew with everything that lay on its links.

    From `lo` at the earliest until `hi` at the latest (CLOCK_MONOTONIC ns) `links` may have carried nothing, or their
    faults may not have worked: what crosses that window says nothing about the system.
    """

    network: str
    lo: int
    hi: int
    links: tuple[str, ...]
    why: str


@dataclass(frozen=True)
class ProxyHeldUp:
    """A proxy was stopped, or had no processor: from `lo` to `hi` (CLOCK_MONOTONIC ns) its links carried nothing.

    `hi` None: it had not gone on yet when this was told; how long it was in the end is told once more.
    """

    lo: int
    hi: int | None
    links: tuple[str, ...]
    why: str


@dataclass(frozen=True)
class Toxic:
    """A toxic as Toxiproxy names it; attributes are integers in Toxiproxy's units (ms, KB/s, bytes)."""

    name: str
    type: str
    stream: Literal["upstream", "downstream"]
    attributes: Mapping[str, int]
    toxicity: float = 1.0


@dataclass(frozen=True)
class Exit:
    """A service process that ended without having been asked to."""

    service: str
    at_ns: int
    status: str
    log_tail: tuple[str, ...]


class Processes(Protocol):
    """Capability `processes`: whole trees of a service, by kernel identity."""

    async def tree(self, service: str) -> tuple[ProcessRef, ...]:
        """Every live process of the service, children that called setsid() included."""
        ...

    async def kill(self, service: str, *, revive: bool = True) -> tuple[ProcessRef, ...]:
        """Stop all, then SIGKILL all; returns those killed.

        A restart policy acts as after a crash; with `revive` False none does, until the service is started again.
        """
        ...

    async def freeze(self, service: str) -> tuple[ProcessRef, ...]:
        """SIGSTOP all, again until no new child appears; returns those stopped."""
        ...

    def state(self, process: ProcessRef) -> ProcessState:
        """Read from the kernel by the calling process itself, not through the runtime's agent; a zombie is gone.

        One that is dying executes no more of its own code; what it held (memory, sockets) is still being let go of.
        """
        ...


class Lifecycle(Protocol):
    """Capability `lifecycle`: start and stop a service as its runtime does."""

    async def start(self, service: str) -> None:
        """Start it and wait until it is ready; raises EnvironmentBroken at its start limit."""
        ...

    async def stop(self, service: str) -> None:
        """A clean stop (SIGTERM, grace, SIGKILL); asked for, so not a crash."""
        ...


class Links(Protocol):
    """Capability `links`: the proxied connections between services."""

    def address(self, link: str, port: int | None = None) -> Address:
        """Where this process reaches the very listener that the link's caller connects to."""
        ...

    async def enable(self, link: str, enabled: bool, by: str = "fault") -> None:
        """Cut the link, or take that cut back: only the one that was made in the same name."""
        ...

    async def add_toxic(self, link: str, toxic: Toxic) -> None: ...

    async def remove_toxic(self, link: str, toxic: str) -> None: ...

    async def mirror(self, service: str, mode: Literal["refused", "silent"]) -> tuple[str, ...]:
        """Make a dead service's inbound links look dead (ARCHITECTURE 6); links on which a fault lies are left to
        drain. They come back by themselves when the callee listens again. Returns the links taken down."""
        ...

    async def fence(self, service: str) -> tuple[str, ...]:
        """Take every inbound link down for good: neither mirror nor undo brings it back. Returns them."""
        ...

    async def readmit(self, service: str) -> None:
        """Take its fence back: it has been shown to follow another member, and writes nothing of its own any more."""
        ...

    async def traffic(self) -> Mapping[str, LinkBytes]: ...

    async def bypassed(self) -> Mapping[str, int]:
        """Bytes that callers have sent to their callees past each declared link since `traffic` was first asked."""
        ...

    async def clear(self, link: str) -> LinkStanding:
        """Take every toxic and every cut off a link, whoever laid them; what its proxies say then. Fences stay."""
        ...

    def restarts(self) -> tuple[ProxyRestart, ...]:
        """Proxies that had to be started anew so far."""
        ...

    def held_up(self) -> tuple[ProxyHeldUp, ...]:
        """When proxies were held up, so far; where one that is gets replaced, `restarts` tells instead."""
        ...


@runtime_checkable
class Estate(Protocol):
    """What a runtime has provisioned. `capabilities` names the protocols it offers."""

    @property
    def plan(self) -> Plan: ...

    @property
    def run(self) -> str: ...

    @property
    def folder(self) -> Path: ...

    @property
    def capabilities(self) -> frozenset[str]: ...

    @property
    def processes(self) -> Processes: ...

    @property
    def lifecycle(self) -> Lifecycle: ...

    @property
    def links(self) -> Links: ...

    def direct(self, service: str) -> Address:
        """The service itself, past every proxy: for detection, witnesses and books only.

        Raises ServiceDown where a service that is down has no address of its own any more.
        """
        ...

    async def undo(self, undo: Undo) -> None:
        """Interpret undo data; safe to repeat. Fenced services stay fenced."""
        ...

    async def spawn(self, name: str, argv: tuple[str, ...], stdin: bytes = b"") -> Helper:
        """A measurer's process (load, prober) at normal priority, ended with the run whatever happens."""
        ...

    async def exits(self) -> tuple[Exit, ...]:
        """Service processes that have ended unasked so far."""
        ...

    def log_path(self, service: str) -> Path: ...

    async def close(self) -> None:
        """End everything of the run and prove that it is gone."""
        ...


class Helper(Protocol):
    """A spawned measurer."""

    pid: int

    async def terminate(self, within_s: float) -> int | None:
        """SIGTERM, wait, return the exit status; None if it had to be killed."""
        ...

    async def exited(self) -> int | None:
        """Its exit status if it has ended, else None."""
        ...


class Runtime(Protocol):
    """A way to provision a system."""

    name: str
    capabilities: frozenset[str]
    wires_by_environment: bool

    def fidelity(self, plan: Plan) -> Any: ...

    async def provision(self, plan: Plan, run: str, folder: Path) -> Estate:
        """Start every service and link; raises EnvironmentBroken with the log's tail when one does not come up."""
        ...
