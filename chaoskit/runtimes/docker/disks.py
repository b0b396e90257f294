"""Disks of the run's own: a loop device whose bytes are in memory, mounted by the engine as a volume.

memfd ──► /dev/loopN (ends by itself with its last user) ──► ext4 ──► the engine's volume ──► the service's path

Nothing of it has a name outside: when this process ends, however it does, and the containers with it, it is gone. The
memory it takes is what is written to it, at most its size; never the machine's own disk.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import stat
import struct
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from chaoskit.errors import EnvironmentBroken
from chaoskit.model.means import Written
from chaoskit.model.preparation import DiskPreparation
from chaoskit.runtimes.docker.processes import Container, DockerProcesses
from chaoskit.runtimes.docker.throttle import Throttle

# linux/loop.h
_GET_FREE = 0x4C82
_CONFIGURE = 0x4C0A
_AUTOCLEAR = 4
_INFO = "=QQQQQIIII64s64s32s2Q"
_TRIES = 20
_GONE_WITHIN_S = 2.0
_ROOT_REMEDY = "it needs root on this machine: run chaoskit as root"


@dataclass
class Disk:
    """One disk: held open for as long as it must live, whatever its containers do."""

    wanted: DiskPreparation
    device: str
    number: int
    fd: int
    made_ns: int
    """By the machine's wall clock, as files are dated."""

    @property
    def options(self) -> Mapping[str, str]:
        """What the engine's `local` volume driver mounts it by."""
        return {"type": "ext4", "device": self.device}

    def close(self) -> None:
        """Let go: it is gone when its containers are."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


def make_disk(wanted: DiskPreparation) -> Disk:
    """A new, empty disk. Blocking, well under a second. Raises EnvironmentBroken with the remedy."""
    _refuse(wanted)
    memory = os.memfd_create(f"chaoskit {wanted.service}:{wanted.path}", os.MFD_CLOEXEC)
    try:
        os.ftruncate(memory, wanted.size)
        device, fd = _attach(memory)
    except OSError as error:
        raise EnvironmentBroken(
            f"no loop device for the disk of {wanted.service}: {error.strerror}; does the kernel have `loop`?"
        ) from error
    finally:
        os.close(memory)
    try:
        # No space is kept back for root, and nothing lies in it: databases want their folder empty.
        _run("mkfs.ext4", "-q", "-m", "0", "-E", "lazy_itable_init=0,lazy_journal_init=0", device)
        _run("debugfs", "-w", "-R", "rmdir lost+found", device)
    except BaseException:
        os.close(fd)
        raise
    return Disk(wanted, device, os.fstat(fd).st_rdev, fd, time.time_ns())


def _refuse(wanted: DiskPreparation) -> None:
    where = f"the disk of {wanted.service} at {wanted.path}"
    if os.geteuid() != 0:
        raise EnvironmentBroken(f"{where} cannot be made: {_ROOT_REMEDY}")
    lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    if wanted.size > free // 2:
        raise EnvironmentBroken(
            f"{where} is to have {wanted.size} bytes, in memory, and of that {free} are free; ask for half at most"
        )


def _attach(memory: int) -> tuple[str, int]:
    """(device, its open file). The device lets go of the memory when the last that has it open or mounted ends."""
    control = os.open("/dev/loop-control", os.O_RDWR | os.O_CLOEXEC)
    try:
        for left in reversed(range(_TRIES)):
            device = f"/dev/loop{fcntl.ioctl(control, _GET_FREE)}"
            fd = os.open(device, os.O_RDWR | os.O_CLOEXEC)
            info = struct.pack(_INFO, 0, 0, 0, 0, 0, 0, 0, 0, _AUTOCLEAR, b"chaoskit", b"", b"", 0, 0)
            try:
                fcntl.ioctl(fd, _CONFIGURE, struct.pack("=II", memory, 0) + info + bytes(64))
            except OSError:  # somebody else was quicker
                os.close(fd)
                if not left:
                    raise
            else:
                return device, fd
        raise OSError("no free loop device")
    finally:
        os.close(control)


def _run(*argv: str) -> None:
    try:
        done = subprocess.run(argv, capture_output=True, timeout=30, check=False)
    except FileNotFoundError:
        raise EnvironmentBroken(f"`{argv[0]}` is missing here: install e2fsprogs") from None
    if done.returncode:
        raise EnvironmentBroken(f"{' '.join(argv)}: {done.stderr.decode(errors='replace').strip()}")


class DockerDisks:
    """Capability `disks`: the disks that `made` names, and no other."""

    def __init__(self, processes: DockerProcesses, disks: Sequence[Disk], throttle: Throttle) -> None:
        self._processes = processes
        self._disks = {(disk.wanted.service, disk.wanted.path): disk for disk in disks}
        self._fillers: dict[tuple[str, str], list[int]] = {}
        self._throttle = throttle

    async def fill(self, service: str, path: str, leave: int) -> None:
        """Take all space but `leave` bytes, by a file without a name: the service does not see it, and it is gone
        with this process at the latest."""
        self._disk(service, path)
        for root in self._roots(service, path):
            fd = os.open(root, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
            self._fillers.setdefault((service, path), []).append(fd)
            await asyncio.to_thread(_take_space, fd, leave)

    def empty(self, service: str, path: str) -> None:
        """Give the space back; nothing where none was taken."""
        for fd in self._fillers.pop((service, path), []):
            os.close(fd)

    async def slow(self, service: str, path: str, rate: int) -> None:
        """So many bytes a second, each way, for the processes of each container."""
        number = self._disk(service, path).number
        device = f"{os.major(number)}:{os.minor(number)}"
        await self._throttle.put(service, device, rate)

    async def quicken(self, service: str, path: str) -> None:
        """Its own speed again; nothing where it was never slowed."""
        number = self._disk(service, path).number
        await self._throttle.lift(service, f"{os.major(number)}:{os.minor(number)}")

    def used(self, service: str, path: str) -> bool:
        """Whether anything lies in the folder, or has come and gone there since the disk was made."""
        made_ns = self._disk(service, path).made_ns
        return any(
            os.listdir(root) or os.stat(root).st_mtime_ns > made_ns  # noqa: PTH116, PTH208
            for root in self._roots(service, path)
        )

    def free(self, service: str, path: str) -> int:
        """Bytes that are free, by the kernel; 0 while it is not mounted."""
        found = [os.statvfs(root) for root in self._roots(service, path)]
        return min((one.f_bavail * one.f_frsize for one in found), default=0)

    def size(self, service: str, path: str) -> int:
        """Bytes that are free or used, by the kernel; what is kept for root is neither. 0 while it is not mounted."""
        found = [os.statvfs(root) for root in self._roots(service, path)]
        return min(((one.f_blocks - one.f_bfree + one.f_bavail) * one.f_frsize for one in found), default=0)

    async def write(self, service: str, path: str, size: int, within_s: float) -> Written:
        """Write and sync a file without a name, from within the service's control group, where its limits hold."""
        roots = self._roots(service, path)
        if not roots:
            raise EnvironmentBroken(
                f"{service} has no container that runs, so nothing is mounted at its {path}"
            )
        join = [str(folder / "cgroup.procs") for folder in self._throttle.folders(service)[:1]]
        return await _write_within(roots[0], size, within_s, join)

    def close(self) -> None:
        """Let go of every disk: each is gone when its containers are."""
        for key in list(self._fillers):
            self.empty(*key)
        for disk in self._disks.values():
            disk.close()

    def _disk(self, service: str, path: str) -> Disk:
        disk = self._disks.get((service, path))
        if disk is None:
            raise EnvironmentBroken(
                f"the run has made no disk for {service} at {path}: nothing there may be touched"
            )
        return disk

    def _roots(self, service: str, path: str) -> list[str]:
        """The mounted folder as each running container sees it; only where our own device is mounted."""
        number = self._disk(service, path).number
        found = []
        for container in self._containers(service):
            root = f"/proc/{container.pid}/root{path}"
            try:
                here = os.stat(root)  # noqa: PTH116
            except OSError:
                continue
            if here.st_dev == number and stat.S_ISDIR(here.st_mode):
                found.append(root)
        return found

    def _containers(self, service: str) -> Sequence[Container]:
        return [one for one in self._processes.containers(service) if one.pid]


def _take_space(fd: int, leave: int) -> None:
    """Grow the file until all but `leave` bytes of its disk are taken, in ever smaller pieces."""
    size, piece = 0, 1 << 30
    while piece >= 512:
        space = os.fstatvfs(fd)
        free = space.f_bavail * space.f_frsize - leave
        if free < space.f_frsize:
            return
        try:
            os.posix_fallocate(fd, size, min(piece, free))
        except OSError:
            piece //= 2
        else:
            size = os.fstat(fd).st_size


_WRITER = """
import os, sys, time
root, size, group = sys.argv[1], int(sys.argv[2]), sys.argv[3]
if group:
    open(group, "w").write(str(os.getpid()))
fd = os.open(root, os.O_TMPFILE | os.O_RDWR, 0o600)
asked, done, kind = time.monotonic_ns(), 0, "written"
try:
    while done < size:
        done += os.write(fd, os.urandom(min(65536, size - done)))
    os.fsync(fd)
except OSError as error:
    if error.errno != 28:
        raise
    kind = "full"
print(kind, asked, time.monotonic_ns(), done)
"""


async def _write_within(root: str, size: int, within_s: float, join: Sequence[str]) -> Written:
    """By a process of its own, so that it counts as one of the service's, and can be ended."""
    argv = [sys.executable, "-I", "-S", "-c", _WRITER, root, str(size), join[0] if join else ""]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*argv, stdout=pipe, stderr=pipe)
    try:
        async with asyncio.timeout(within_s):
            out, err = await process.communicate()
    except (
        BaseException
    ):  # whoever gives up may fill the disk next: what this one holds would be free again afterwards
        if process.returncode is None:
            process.kill()
            with suppress(TimeoutError):
                async with asyncio.timeout(_GONE_WITHIN_S):  # longer where the disk itself is slow
                    await process.wait()
        raise
    if process.returncode:
        raise EnvironmentBroken(f"cannot write to {root}: {err.decode(errors='replace').strip()[-300:]}")
    kind, asked, at, done = out.split()
    return Written("full" if kind == b"full" else "written", int(asked), int(at), int(done))
