"""What a plan's faults need before the start, made for the run and given to the services' containers."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from docker.types import Mount

from chaoskit.model.preparation import ClockPreparation, DiskPreparation, Preparation
from chaoskit.runtimes.docker.clocks import clock_environment, clock_mounts, library, prepare_clock
from chaoskit.runtimes.docker.disks import Disk, make_disk
from chaoskit.runtimes.docker.engine import Engine


class Preparations:
    """Disks and clocks of one run. A disk lives until `close` or this process's end, whichever is first."""

    def __init__(self) -> None:
        self.disks: list[Disk] = []
        self.clocks: dict[str, Path] = {}
        self._volumes: dict[tuple[str, str], str] = {}

    @classmethod
    async def make(
        cls,
        wanted: Sequence[Preparation],
        engine: Engine,
        prefix: str,
        labels: Mapping[str, str],
        folder: Path,
    ) -> Preparations:
        """`prefix` begins the volumes' names, `labels` are the run's. Raises EnvironmentBroken with the remedy."""
        self = cls()
        try:
            for number, one in enumerate(wanted):
                if isinstance(one, DiskPreparation):
                    await self._disk(one, engine, f"{prefix}-disk-{number}", labels)
                elif isinstance(one, ClockPreparation):
                    library()
                    self.clocks[one.service] = await asyncio.to_thread(prepare_clock, one, folder)
        except BaseException:
            self.close()
            raise
        return self

    async def _disk(self, one: DiskPreparation, engine: Engine, name: str, labels: Mapping[str, str]) -> None:
        disk = await asyncio.to_thread(make_disk, one)
        self.disks.append(disk)
        await engine.do(
            f"make the disk of {one.service}",
            lambda: engine.client.api.create_volume(
                name=name, driver="local", driver_opts=dict(disk.options), labels=dict(labels)
            ),
        )
        self._volumes[one.service, one.path] = name

    def apply(self, service: str, options: Mapping[str, Any]) -> dict[str, Any]:
        """The SDK's arguments for a container of the service, with what was prepared for it; others are the same."""
        made = dict(options)
        for (owner, path), volume in self._volumes.items():
            if owner == service:
                made = _without_mount(made, path)
                made["mounts"] = [*(made.get("mounts") or ()), Mount(path, volume, type="volume")]
        if service in self.clocks:
            made["mounts"] = [*(made.get("mounts") or ()), *clock_mounts(self.clocks[service])]
            made["environment"] = clock_environment(_environment(made.get("environment")))
        return made

    def close(self) -> None:
        """Let go of disks that nobody has taken over."""
        for disk in self.disks:
            disk.close()


def _environment(given: Any) -> dict[str, str]:
    if isinstance(given, Mapping):
        return {str(name): "" if value is None else str(value) for name, value in given.items()}
    return dict(str(line).partition("=")[::2] for line in given or ())


def _without_mount(options: dict[str, Any], path: str) -> dict[str, Any]:
    """Without whatever the Compose file puts at that path."""
    made = dict(options)
    volumes = made.get("volumes")
    if isinstance(volumes, Mapping):
        made["volumes"] = {key: one for key, one in volumes.items() if not _is_at(path, _bind(one))}
    elif volumes:
        made["volumes"] = [one for one in volumes if not _is_at(path, _target(str(one)))]
    if made.get("mounts"):
        made["mounts"] = [one for one in made["mounts"] if not _is_at(path, str(one.get("Target")))]
    if isinstance(made.get("tmpfs"), Mapping):
        made["tmpfs"] = {where: how for where, how in made["tmpfs"].items() if not _is_at(path, where)}
    return made


def _bind(one: Any) -> str:
    return str(one.get("bind")) if isinstance(one, Mapping) else _target(str(one))


def _target(text: str) -> str:
    """`source:target[:mode]`, or a target alone."""
    parts = text.split(":")
    return parts[1] if len(parts) > 1 else parts[0]


def _is_at(path: str, other: str) -> bool:
    return other.rstrip("/") == path.rstrip("/")
