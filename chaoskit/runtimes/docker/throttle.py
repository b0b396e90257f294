"""How fast a service's processes may use one block device, set in its containers' control groups."""

from __future__ import annotations

import asyncio
from pathlib import Path

from chaoskit.errors import EnvironmentBroken
from chaoskit.runtimes.control_groups import ControlGroup
from chaoskit.runtimes.docker.processes import DockerProcesses

_V1 = ("blkio.throttle.read_bps_device", "blkio.throttle.write_bps_device")
_HOLD_S = 0.1


class Throttle:
    """Limits that hold for the containers that a restart policy starts in the meantime as well. Needs root."""

    def __init__(self, processes: DockerProcesses) -> None:
        self._processes = processes
        self._held: dict[tuple[str, str], int] = {}
        self._keeping: asyncio.Task[None] | None = None

    def folders(self, service: str) -> list[Path]:
        """The control groups in which the limits stand."""
        return [_place(group)[0] for group in self._processes.groups(service)]

    async def put(self, service: str, device: str, rate: int) -> None:
        """Bytes a second, each way. Raises EnvironmentBroken."""
        self._held[service, device] = rate
        if not self._write(service, device, rate):
            raise EnvironmentBroken(f"{service} has no container that runs: its disk cannot be slowed")
        if self._keeping is None:
            self._keeping = asyncio.create_task(self._keep(), name="slow disks of containers")

    async def lift(self, service: str, device: str) -> None:
        """No limit again; nothing where there was none."""
        if self._held.pop((service, device), None) is not None:
            self._write(service, device, None)
        if not self._held:
            self.close()

    def close(self) -> None:
        """Let go."""
        if self._keeping is not None:
            self._keeping.cancel()
            self._keeping = None

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(_HOLD_S)  # a restart by the engine's policy is no event here
            for (service, device), rate in list(self._held.items()):
                self._write(service, device, rate)

    def _write(self, service: str, device: str, rate: int | None) -> bool:
        """Whether any container took it."""
        taken = False
        for group in self._processes.groups(service):
            folder, version = _place(group)
            lines = _lines(version, device, rate)
            try:
                for name, line in lines.items():
                    # Setting a limit again begins its count anew: whoever waits would wait for ever.
                    if not _stands(folder / name, line):
                        (folder / name).write_text(line, encoding="ascii")
            except FileNotFoundError:
                if folder.exists():
                    raise EnvironmentBroken(
                        f"this kernel cannot slow a disk: {folder} has no {', '.join(lines)} (the controller "
                        "blkio or io)"
                    ) from None
                continue  # the container is just being restarted
            taken = True
        return taken


def _place(group: ControlGroup) -> tuple[Path, int]:
    return group.folder("blkio" if "blkio" in group.folders else "io")


def _lines(version: int, device: str, rate: int | None) -> dict[str, str]:
    """File name → what is written to it; 0 in version 1, `max` in version 2 means none."""
    if version == 1:
        return dict.fromkeys(_V1, f"{device} {rate or 0}")
    return {"io.max": f"{device} rbps={rate or 'max'} wbps={rate or 'max'}"}


def _stands(file: Path, line: str) -> bool:
    """Whether the file says that already; version 2 tells more than it was told."""
    device, *wanted = line.split()
    told = (words.split() for words in file.read_text(encoding="ascii").splitlines())
    return any(words[:1] == [device] and set(wanted) <= set(words[1:]) for words in told)
