"""What a runtime with containers can do to a service besides its processes and links: limits, disks, networks, clocks.

Each protocol is a capability of its name; a fault that requires one is refused while planning where it is not offered.
Everything that is done is undone by the steps of `model.lease`; what the conductor leaves behind dies with the run.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import Literal, Protocol, cast

from chaoskit.model.estate import Address, Estate


@dataclass(frozen=True)
class CpuTime:
    """The kernel's count for a service's containers since they started."""

    throttled_periods: int
    throttled_ns: int
    used_ns: int


@dataclass(frozen=True)
class Memory:
    """What a service's containers hold now, bytes; `limit` is None where there is none.

    `at_limit` counts how often an allocation met the limit.
    """

    used: int
    limit: int | None
    at_limit: int


@dataclass(frozen=True)
class OomKill:
    """A process that the kernel killed because its container had no memory left; `at_ns` is CLOCK_MONOTONIC."""

    service: str
    process: str
    pid: int
    at_ns: int

    def __str__(self) -> str:
        return f"{self.process} (pid {self.pid})"


class Limits(Protocol):
    """Capability `limits`: what the kernel lets a service have of processor and memory, by its control group.

    They hold for the containers that a restart policy starts in the meantime as well.
    """

    async def limit_cpu(self, service: str, cores: float) -> None:
        """At most so many cores together, from 0.01 on."""
        ...

    async def limit_memory(self, service: str, size: int) -> None:
        """At most so many bytes. The kernel reclaims what it can, and kills where that is not enough."""
        ...

    def cpu_time(self, service: str) -> CpuTime:
        """Read from the kernel by the calling process itself."""
        ...

    def memory(self, service: str) -> Memory:
        """Read from the kernel by the calling process itself."""
        ...

    async def oom_kills(self) -> tuple[OomKill, ...]:
        """Those of the run so far, by the kernel's own log."""
        ...


@dataclass(frozen=True)
class Written:
    """What came of writing to a disk: everything, or no space; CLOCK_MONOTONIC ns."""

    kind: Literal["written", "full"]
    asked_ns: int
    at_ns: int
    bytes: int

    @property
    def took_ns(self) -> int:
        return self.at_ns - self.asked_ns


class Disks(Protocol):
    """Capability `disks`: disks that the run made for a service (`DiskPreparation`), and no other."""

    async def fill(self, service: str, path: str, leave: int) -> None:
        """Take all space but `leave` bytes, by a file that the service does not see."""
        ...

    async def slow(self, service: str, path: str, rate: int) -> None:
        """So many bytes a second, each way, for what the service's processes do."""
        ...

    def used(self, service: str, path: str) -> bool:
        """Whether anything lies on it, or has come and gone since it was made."""
        ...

    def free(self, service: str, path: str) -> int:
        """Bytes that are free, by the kernel."""
        ...

    def size(self, service: str, path: str) -> int:
        """Bytes that a service could ever use of it, by the kernel; 0 while it is not mounted."""
        ...

    async def write(self, service: str, path: str, size: int, within_s: float) -> Written:
        """Write and sync a file that nobody sees, as one of the service's processes would; TimeoutError after the
        deadline."""
        ...


@dataclass(frozen=True)
class Route:
    """A way over which one side reaches the other: from within a service's network, or from outside (None)."""

    origin: str | None
    to: Address
    words: str


class Networks(Protocol):
    """Capability `networks`: a service's own network stack, with whatever traffic there is in it."""

    async def part(self, service: str, others: tuple[str, ...], name: str) -> None:
        """Drop every packet between the service and the others, or all but its own loopback's if there are none."""
        ...

    async def routes(self, service: str, others: tuple[str, ...]) -> tuple[Route, ...]:
        """Ways in both directions that a partition closes."""
        ...

    async def connect(self, route: Route, within_s: float) -> socket.socket:
        """A connection that is made inside the origin's network. Raises TimeoutError when nobody answers,
        ConnectionRefusedError when somebody refuses, another OSError for the rest."""
        ...


class Clocks(Protocol):
    """Capability `clocks`: the wall clock as one service sees it (`ClockPreparation`)."""

    async def skew(self, service: str, offset_ns: int) -> None:
        """From now on the service's clock is so far ahead of the machine's (behind if negative)."""
        ...

    async def read(self, service: str) -> tuple[int, str]:
        """(offset against the machine's clock, ns; whose word it is), by a program run beside the service's own,
        under the same preload. Raises EnvironmentBroken when it cannot be read."""
        ...


class Means(Estate, Protocol):
    """An estate that offers `limits`, `disks`, `networks` and `clocks`, or some of them."""

    @property
    def limits(self) -> Limits: ...

    @property
    def disks(self) -> Disks: ...

    @property
    def networks(self) -> Networks: ...

    @property
    def clocks(self) -> Clocks: ...


def means(estate: Estate) -> Means:
    """The estate, for a member whose `requires` was checked while planning."""
    return cast(Means, estate)
