"""What files a run's containers get: its own volumes, copies of writable binds, secrets and configs.

Compose file                      the run
named volume                 ─►   a volume of the run's own
bind, read-only              ─►   the host's path itself
bind, writable               ─►   a copy in the run's scratch folder, one for all services that share it
secret, config               ─►   the file itself, or one written in the scratch folder

So a run never touches data that existed before it; with `disposable: true` external volumes are used, and sockets,
devices and the system's own folders are bound as they stand.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from chaoskit.model.compose import FileUse, Mount
from chaoskit.model.compose_project import FileSource, Volume
from chaoskit.model.system import System
from chaoskit.spec.compose_host import untouchable


@dataclass(frozen=True)
class Placed:
    """A mount as the engine takes it: `source` is a host path, a volume's engine name, or None for an anonymous one."""

    mount: Mount
    source: str | None


@dataclass(frozen=True)
class Written:
    """A file to write for a secret or config: its text, or a host file to copy; owner and permissions."""

    path: Path
    content: str | None
    source: str | None
    uid: int
    gid: int
    mode: int


@dataclass(frozen=True)
class VolumesPlan:
    """`volumes`: engine name → what to create; `copies`: host path → where its copy goes, outermost paths only.

    `folders` are made empty: binds whose source does not exist.
    """

    scratch: Path
    volumes: Mapping[str, Volume] = field(default_factory=dict)
    external: tuple[str, ...] = ()
    """Volumes that exist already, by the engine's name."""
    copies: Mapping[str, Path] = field(default_factory=dict)
    folders: tuple[Path, ...] = ()
    files: tuple[Written, ...] = ()
    mounts: Mapping[str, tuple[Placed, ...]] = field(default_factory=dict)
    """Service → its mounts, secrets and configs included."""


def plan_volumes(system: System, prefix: str, scratch: Path) -> VolumesPlan:
    """Plan for a run whose objects' names begin with `prefix`; nothing is made yet, the host's paths are looked at.

    `scratch` is the run's own folder on this machine: it goes with the run.
    """
    copies, missing = _copies(system, scratch / "binds")
    files: dict[tuple[str, str, str], Written] = {}
    mounts: dict[str, tuple[Placed, ...]] = {}
    used: dict[str, Volume] = {}
    external: dict[str, None] = {}
    for name, service in system.services.items():
        placed = []
        for mount in service.compose.mounts:
            if mount.kind == "volume" and mount.source is not None:
                volume = system.compose_project.volumes.get(mount.source, Volume())
                engine_name = (volume.name or mount.source) if volume.external else f"{prefix}-{mount.source}"
                if volume.external:
                    external[engine_name] = None
                else:
                    used[engine_name] = volume
                placed.append(Placed(mount, engine_name))
            elif mount.kind == "bind" and mount.source is not None:
                placed.append(Placed(mount, _within(os.path.realpath(mount.source), copies) or mount.source))
            else:
                placed.append(Placed(mount, None))
        for section, uses in (("secrets", service.compose.secrets), ("configs", service.compose.configs)):
            declared: Mapping[str, FileSource] = getattr(system.compose_project, section)
            for use in uses:
                placed.append(_file(name, section, use, declared[use.source], scratch, files))
        mounts[name] = tuple(placed)
    return VolumesPlan(scratch, used, tuple(external), copies, missing, tuple(files.values()), mounts)


def _copies(system: System, folder: Path) -> tuple[dict[str, Path], tuple[Path, ...]]:
    """Outermost host path → its copy, and the copies that begin as empty folders.

    What a service may write is copied, and with it everything that shares files with it: a service that reads a
    folder which another one writes sees what is written.
    """
    binds = [
        (os.path.realpath(mount.source), mount)
        for service in system.services.values()
        for mount in service.compose.mounts
        if mount.kind == "bind" and mount.source is not None and untouchable(mount.source) is None
    ]
    # A SELinux label would be written to the host's own files, and a missing path made on the host.
    roots = {
        source
        for source, mount in binds
        if not mount.read_only or mount.selinux or not os.path.lexists(source)
    }
    while more := {
        source for source, _ in binds if source not in roots and any(_inside(root, source) for root in roots)
    }:
        roots |= more
    outermost = sorted(root for root in roots if not any(_inside(root, one) for one in roots if one != root))
    found = {
        root: folder / str(number) / (Path(root).name or "root") for number, root in enumerate(outermost)
    }
    missing = [Path(_within(root, found) or "") for root in sorted(roots) if not os.path.lexists(root)]
    return found, tuple(missing)


def _inside(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def _within(source: str, copies: Mapping[str, Path]) -> str | None:
    """Where a host path lies in the copies."""
    for root, copy in copies.items():
        if _inside(source, root):
            rest = source[len(root) :].lstrip("/")
            return str(copy / rest) if rest else str(copy)
    return None


def _file(
    service: str,
    section: str,
    use: FileUse,
    declared: FileSource,
    scratch: Path,
    files: dict[tuple[str, str, str], Written],
) -> Placed:
    mount = Mount(kind="bind", target=use.target, source=declared.file, read_only=True)
    as_it_stands = use.uid is None and use.gid is None and use.mode is None
    if declared.file is not None and as_it_stands:
        return Placed(mount, declared.file)
    path = scratch / section / service / str(len(files))
    files[service, section, use.target] = Written(
        path,
        declared.content,
        declared.file,
        int(use.uid or 0),
        int(use.gid or 0),
        0o444 if use.mode is None else use.mode,
    )
    return Placed(mount, str(path))
