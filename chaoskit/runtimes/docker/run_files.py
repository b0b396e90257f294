"""Makes what `volumes_plan` has planned: the run's volumes, copies of what services may write, secrets and configs."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from chaoskit.errors import EnvironmentBroken
from chaoskit.model.compose_project import Volume
from chaoskit.runtimes.docker.engine import Engine
from chaoskit.runtimes.docker.volumes_plan import VolumesPlan, Written


async def make(engine: Engine, plan: VolumesPlan, labels: Mapping[str, str]) -> None:
    """Everything of the plan, before the first container is made. Raises EnvironmentBroken with what cannot be."""
    volumes = (
        engine.do(f"make the volume {name}", partial(_volume, engine, name, volume, labels))
        for name, volume in plan.volumes.items()
    )
    await asyncio.gather(asyncio.to_thread(_on_disk, plan), *volumes)


def _volume(engine: Engine, name: str, volume: Volume, labels: Mapping[str, str]) -> None:
    engine.client.api.create_volume(
        name=name,
        driver=volume.driver or "local",
        driver_opts=dict(volume.driver_opts) or None,
        labels={**volume.labels, **labels},
    )


def _on_disk(plan: VolumesPlan) -> None:
    for source, copy in plan.copies.items():
        if os.path.lexists(source):
            _copy(Path(source), copy)
    for folder in plan.folders:
        folder.mkdir(parents=True, exist_ok=True)
    for file in plan.files:
        _write(file)


def _copy(source: Path, target: Path) -> None:
    """With owners, modes and times: a service may look at any of them."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, symlinks=True, copy_function=_copy_file)
            for folder, _, _ in os.walk(target):
                _give(Path(folder), source / Path(folder).relative_to(target))
        else:
            _copy_file(str(source), str(target))
    except (OSError, shutil.Error) as error:
        raise EnvironmentBroken(
            f"{source} is mounted to be written, so the run gets a copy of it, and it cannot be copied: {error}. "
            "Mount it read-only, or give the service a named volume"
        ) from error


def _copy_file(source: str, target: str) -> str:
    shutil.copy2(source, target, follow_symlinks=False)
    _give(Path(target), Path(source))
    return target


def _give(target: Path, like: Path) -> None:
    """To the owner that the original has; only root can."""
    if os.geteuid() == 0:
        found = like.lstat()
        os.lchown(target, found.st_uid, found.st_gid)


def _write(file: Written) -> None:
    try:
        file.path.parent.mkdir(parents=True, exist_ok=True)
        if file.source is not None:
            shutil.copyfile(file.source, file.path)
        else:
            file.path.write_text(file.content or "", encoding="utf-8")
        if (file.uid, file.gid) != (0, 0) and os.geteuid() == 0:
            os.chown(file.path, file.uid, file.gid)
        file.path.chmod(file.mode)
    except OSError as error:
        raise EnvironmentBroken(
            f"a secret or config cannot be made from {file.source or 'its text'}: {error}"
        ) from error
