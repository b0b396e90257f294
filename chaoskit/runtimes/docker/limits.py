"""What a service's containers may use of processor and memory, set in their control groups, versions 1 and 2.

The engine's own record of a container stays what it was: the limits are ours, held as long as the fault lasts and put
again on a container that its restart policy has started meanwhile, and gone with the container.
"""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from chaoskit.errors import EnvironmentBroken
from chaoskit.model.means import CpuTime, Memory, OomKill
from chaoskit.runtimes.control_groups import ControlGroup
from chaoskit.runtimes.docker.hand import Hand
from chaoskit.runtimes.docker.kernel_log import KernelLog
from chaoskit.runtimes.docker.processes import DockerProcesses

Resource = Literal["cpu", "memory"]
_PERIOD_US = 100_000
_HOLD_S = 0.05
_HOG_BYTES = 32 << 20
_HOG_S = 3
_NO_LIMIT = 1 << 60  # version 1 writes "none" as the largest multiple of a page
# In the control group, never to be chosen by the kernel: what it takes has to come from the service.
_HOG = """
echo $$ > "$0/cgroup.procs" && echo -1000 > /proc/$$/oom_score_adj && head -c $1 /dev/zero | tail -c $1 >/dev/null
"""


class DockerLimits:
    """Capability `limits`."""

    def __init__(self, hand: Hand, processes: DockerProcesses) -> None:
        self._hand = hand
        self._processes = processes
        self._held: dict[tuple[str, Resource], int] = {}
        self._before: dict[Path, str] = {}
        self._keeping: asyncio.Task[None] | None = None
        self._log = KernelLog()

    async def limit_cpu(self, service: str, cores: float) -> None:
        """At most so many cores for each container. Raises EnvironmentBroken when the kernel refuses."""
        self._groups(service)
        await self._hold(service, "cpu", round(cores * _PERIOD_US))

    async def limit_memory(self, service: str, size: int) -> None:
        """At most so many bytes for each container, swap included; what cannot be reclaimed is killed for."""
        self._groups(service)
        await self._hold(service, "memory", size)

    async def lift(self, service: str, resource: Resource) -> None:
        """Give back what the containers had; nothing where nothing was taken."""
        self._held.pop((service, resource), None)
        for group in self._processes.groups(service):
            for path in reversed(list(_files(group, resource, 0))):
                before = self._before.get(path)
                if before is not None and path.exists():
                    await self._write(path, before)
        if not self._held and self._keeping is not None:
            self._keeping.cancel()
            self._keeping = None

    def cpu_time(self, service: str) -> CpuTime:
        """Of all containers together."""
        periods = throttled = used = 0
        for group in self._processes.groups(service):
            folder, version = group.folder("cpu")
            facts = _facts(folder / "cpu.stat")
            periods += facts.get("nr_throttled", 0)
            throttled += facts.get("throttled_time", 0) or 1000 * facts.get("throttled_usec", 0)
            if version == 2:
                used += 1000 * facts.get("usage_usec", 0)
            else:
                used += _number(group.folder("cpuacct")[0] / "cpuacct.usage") or 0
        return CpuTime(periods, throttled, used)

    def memory(self, service: str) -> Memory:
        """Of all containers together."""
        used = at_limit = 0
        limits: list[int] = []
        for group in self._processes.groups(service):
            folder, version = group.folder("memory")
            if version == 1:
                used += _number(folder / "memory.usage_in_bytes") or 0
                at_limit += _number(folder / "memory.failcnt") or 0
                limit = _number(folder / "memory.limit_in_bytes")
            else:
                used += _number(folder / "memory.current") or 0
                at_limit += _facts(folder / "memory.events").get("max", 0)
                limit = _number(folder / "memory.max")
            if limit is not None and limit < _NO_LIMIT:
                limits.append(limit)
        return Memory(used, sum(limits) if limits else None, at_limit)

    async def oom_kills(self) -> tuple[OomKill, ...]:
        """Those since this run began, in the order of the kernel's log."""
        if os.geteuid() != 0:
            found = await self._hand.run(["dmesg", "--raw"])
            self._log.feed(bytes(found.stdout).decode(errors="replace"))
        else:
            self._log.read()
        return tuple(
            OomKill(service, kill.process, kill.pid, kill.at_ns)
            for kill in self._log.kills
            if (service := self._processes.service_of(kill.group)) is not None
        )

    def close(self) -> None:
        """Let go. Containers that still live keep their limits."""
        if self._keeping is not None:
            self._keeping.cancel()
        self._log.close()

    def _groups(self, service: str) -> tuple[ControlGroup, ...]:
        groups = self._processes.groups(service)
        if not groups:
            raise EnvironmentBroken(f"{service} has no container that runs: nothing can be taken from it")
        return groups

    async def _hold(self, service: str, resource: Resource, value: int) -> None:
        self._held[service, resource] = value
        await self._put(service, resource, value)
        if self._keeping is None:
            self._keeping = asyncio.create_task(self._keep(), name="limits of containers")

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(_HOLD_S)  # neither a restart nor freed memory is told of by an event
            for (service, resource), value in list(self._held.items()):
                await self._put(service, resource, value)

    async def _put(self, service: str, resource: Resource, value: int) -> None:
        for group in self._processes.groups(service):
            for path, text in _files(group, resource, value).items():
                try:
                    now = path.read_text(encoding="ascii").strip()
                except OSError:  # this kernel has no such file, or the container is just being restarted
                    continue
                self._before.setdefault(path, now)
                # The one with swap may not lie below the one without.
                if now != text and not await self._set(path, text):
                    break

    async def _set(self, path: Path, text: str) -> bool:
        """Whether the file took it, or there is none any more."""
        try:
            await self._write(path, text)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENODEV):  # the container ended meanwhile
                return True
            if error.errno != errno.EBUSY:
                raise EnvironmentBroken(f"{path} does not take {text}: {error.strerror}") from error
            # Version 1 refuses a limit below what cannot be reclaimed, where version 2 kills for it.
            await self._press(path)
            return False
        return True

    async def _press(self, limit: Path) -> None:
        """Make the kernel kill: the limit is put where the service is, and a little memory is taken besides."""
        try:
            used = int((limit.parent / "memory.usage_in_bytes").read_text(encoding="ascii"))
            await self._write(limit, str(used))
        except OSError:  # busy or gone: the next round is soon
            return
        argv = ["timeout", "-s", "KILL", str(_HOG_S), "sh", "-c", _HOG, str(limit.parent), str(_HOG_BYTES)]
        await self._hand.run(argv)

    async def _write(self, path: Path, text: str) -> None:
        if os.geteuid() == 0:
            await asyncio.to_thread(path.write_text, text, encoding="ascii")
            return
        done = await self._hand.run(["sh", "-c", 'printf %s "$1" > "$0"', str(path), text])
        if done.returncode:
            busy = b"busy" in bytes(done.stderr).lower()
            raise OSError(errno.EBUSY if busy else errno.ENOENT, bytes(done.stderr).decode(errors="replace"))


def _files(group: ControlGroup, resource: Resource, value: int) -> Mapping[Path, str]:
    """The files of a limit and what is written to them, in the order in which it is lowered."""
    folder, version = group.folder(resource)
    if resource == "cpu":
        if version == 1:
            return {folder / "cpu.cfs_period_us": str(_PERIOD_US), folder / "cpu.cfs_quota_us": str(value)}
        return {folder / "cpu.max": f"{value} {_PERIOD_US}"}
    if version == 1:
        size = str(value // 4096 * 4096)
        return {folder / "memory.limit_in_bytes": size, folder / "memory.memsw.limit_in_bytes": size}
    return {folder / "memory.swap.max": "0", folder / "memory.max": str(value // 4096 * 4096)}


def _number(path: Path) -> int | None:
    """The number a file holds; None for `max` and for a file that is not there."""
    try:
        text = path.read_text(encoding="ascii").strip()
    except OSError:
        return None
    return int(text) if text.isdecimal() else None


def _facts(path: Path) -> dict[str, int]:
    """A file of `name number` lines; empty if it is not there."""
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except OSError:
        return {}
    return {words[0]: int(words[1]) for line in lines if len(words := line.split()) == 2}
