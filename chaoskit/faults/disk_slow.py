"""disk.slow: a service's disk carries only so many bytes a second."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from chaoskit.model.estate import Estate
from chaoskit.model.lease import DiskUndo, Undo
from chaoskit.model.means import Written, means
from chaoskit.model.member import Witness
from chaoskit.model.preparation import DiskPreparation, Preparation
from chaoskit.model.system import System
from chaoskit.quantity import Size
from chaoskit.registry import register

_SMALLEST, _LARGEST = 16_000_000, 8_000_000_000
_SLOWEST = 4_096
_WITHIN_S = 20.0
_PROBE_S = 0.5
_PROBE_MIN, _PROBE_MAX = 8_192, 8_000_000
_SHARE = 0.8


@register("faults", "disk.slow")
@dataclass(frozen=True)
class DiskSlow:
    """The disk on which the folder `path` of a service lies carries at most `rate` a second, each way.

    For this drill the folder lies, from the start, on a disk of its own with `size` bytes, in place of the Compose
    file's volume. Whatever waits for the disk waits its turn: a commit, a checkpoint, a sync. Reads that the
    kernel's cache answers stay as quick as they were. Never the machine's own disk.

    Witness: a file, written and synced as one of the service's processes would, takes at least 80 % of the time that
    the rate allows it and at least twice its time before the fault. A service that has never put anything there is not
    hindered: the fault stays unwitnessed.
    Undo: the disk's own speed.
    Fidelity on `local`: refused: services of the machine have no disk of their own.
    Fidelity on `docker`: a real file system (ext4) on a device whose bytes lie in memory, held back by the kernel for
    the service's own processes; on control groups of version 1, what the kernel writes for them later is not.

        timeline:
          - at: 0s
            fault: disk.slow
            on: ledger-db
            path: /var/lib/postgresql/data
            size: 512MB
            rate: 64KB
            for: 10s
    """

    path: Annotated[str, Field(pattern=r"^/[^/].*[^/]$", description="folder in the container, from /")]
    size: Annotated[Size, Field(description="size of the disk that it lies on, from 16MB; it takes memory")]
    rate: Annotated[Size, Field(description="bytes a second, reading and again writing; from 4KiB")]
    requires: ClassVar[frozenset[str]] = frozenset({"disks"})
    targets: ClassVar[Literal["service", "link"]] = "service"
    undo_reach: ClassVar[Literal["kind", "alike"]] = "kind"

    def __post_init__(self) -> None:
        if not _SMALLEST <= self.size.bytes <= _LARGEST:
            raise ValueError(f"size is {self.size}; a disk has from 16MB to 8GB here")
        if self.rate.bytes < _SLOWEST:
            raise ValueError(f"rate is {self.rate}; a disk carries whole blocks, from 4KiB a second")

    def prepare(self, target: str, system: System) -> tuple[Preparation, ...]:
        return (DiskPreparation(service=target, path=self.path, size=self.size.bytes),)

    async def baseline(self, target: str, estate: Estate) -> Written:
        return await means(estate).disks.write(target, self.path, self._probe(), _WITHIN_S)

    async def undo(self, target: str, estate: Estate) -> Undo:
        return Undo(steps=(DiskUndo(service=target, path=self.path, what="speed"),))

    async def apply(self, target: str, estate: Estate) -> None:
        await means(estate).disks.slow(target, self.path, self.rate.bytes)

    async def witness(self, target: str, estate: Estate, baseline: Any) -> Witness:
        before: Written = baseline
        if not means(estate).disks.used(target, self.path):
            return Witness(False, None, f"{target} has never put anything at {self.path}: nothing hinders it")
        if before.kind != "written":
            return Witness(False, None, f"{self.path} of {target} was full before the fault")
        try:
            now = await means(estate).disks.write(target, self.path, self._probe(), _WITHIN_S)
        except TimeoutError:
            return Witness(False, None, f"a write to {self.path} did not end within {_WITHIN_S:g} s")
        times = (
            f"{now.bytes} bytes were written and synced in {now.took_ns / 1e9:.3f} s, "
            f"in {before.took_ns / 1e9:.3f} s before"
        )
        fair_ns = now.bytes * 1e9 / self.rate.bytes
        if now.kind != "written" or now.took_ns < max(_SHARE * fair_ns, 2 * before.took_ns):
            return Witness(False, None, f"{times}: no limit of {self.rate} a second can be told from that")
        return Witness(True, now.at_ns, times)

    def _probe(self) -> int:
        return int(min(_PROBE_MAX, max(_PROBE_MIN, self.rate.bytes * _PROBE_S)))
