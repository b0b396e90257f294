"""disk.full: a service's disk has no space left."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from chaoskit.clock import monotonic_ns
from chaoskit.model.estate import Estate
from chaoskit.model.lease import DiskUndo, Undo
from chaoskit.model.means import Written, means
from chaoskit.model.member import Witness
from chaoskit.model.preparation import DiskPreparation, Preparation
from chaoskit.model.system import System
from chaoskit.quantity import Size
from chaoskit.registry import register

_TRY = 65_536
_WITHIN_S = 5.0
_SMALLEST, _LARGEST = 16_000_000, 8_000_000_000
_NOTHING = Size.parse("0B")


@register("faults", "disk.full")
@dataclass(frozen=True)
class DiskFull:
    """The disk on which the folder `path` of a service lies is full: writes fail with "no space left on device".

    For this drill the folder lies, from the start, on a disk of its own with `size` bytes, in place of the Compose
    file's volume. It is filled by a file that the service does not see; space that the service frees itself it may
    use again. Never the machine's own disk.

    Witness: the kernel reports no more than `leave` free bytes, and a file that could be written before the fault
    finds no space. A service that has never put anything there is not hindered: the fault stays
    unwitnessed.
    Undo: the file that fills it is gone; it also goes with the conductor, should that die.
    Fidelity on `local`: refused: services of the machine have no disk of their own.
    Fidelity on `docker`: a real file system (ext4) on a device whose bytes lie in memory: as fast as none is.

        timeline:
          - at: 0s
            fault: disk.full
            on: ledger-db
            path: /var/lib/postgresql/data
            size: 256MB
            for: 10s
    """

    path: Annotated[str, Field(pattern=r"^/[^/].*[^/]$", description="folder in the container, from /")]
    size: Annotated[Size, Field(description="size of the disk that it lies on, from 16MB; it takes memory")]
    leave: Annotated[Size, Field(description="bytes that are left free")] = _NOTHING
    requires: ClassVar[frozenset[str]] = frozenset({"disks"})
    targets: ClassVar[Literal["service", "link"]] = "service"
    undo_reach: ClassVar[Literal["kind", "alike"]] = "kind"

    def __post_init__(self) -> None:
        if not _SMALLEST <= self.size.bytes <= _LARGEST:
            raise ValueError(f"size is {self.size}; a disk has from 16MB to 8GB here")
        if self.leave >= self.size:
            raise ValueError(f"leave {self.leave} is no less than the disk's size {self.size}")

    def prepare(self, target: str, system: System) -> tuple[Preparation, ...]:
        return (DiskPreparation(service=target, path=self.path, size=self.size.bytes),)

    async def baseline(self, target: str, estate: Estate) -> Written:
        return await means(estate).disks.write(target, self.path, self.leave.bytes + _TRY, _WITHIN_S)

    async def undo(self, target: str, estate: Estate) -> Undo:
        return Undo(steps=(DiskUndo(service=target, path=self.path, what="space"),))

    async def apply(self, target: str, estate: Estate) -> None:
        await means(estate).disks.fill(target, self.path, self.leave.bytes)

    async def witness(self, target: str, estate: Estate, baseline: Any) -> Witness:
        before: Written = baseline
        if not means(estate).disks.used(target, self.path):
            return Witness(False, None, f"{target} has never put anything at {self.path}: nothing hinders it")
        if before.kind != "written":
            return Witness(False, None, f"{self.path} of {target} was full before the fault")
        try:
            now = await means(estate).disks.write(target, self.path, self.leave.bytes + _TRY, _WITHIN_S)
        except TimeoutError:
            return Witness(False, None, f"a write to {self.path} took longer than {_WITHIN_S:g} s")
        free = means(estate).disks.free(target, self.path)
        if now.kind != "full":
            return Witness(False, None, f"{now.bytes} bytes could be written to {self.path}, {free} are free")
        how = f"{self.path} has {free} bytes free by the kernel, and a write found no space after {now.bytes}"
        return Witness(True, min(now.at_ns, monotonic_ns()), how)
