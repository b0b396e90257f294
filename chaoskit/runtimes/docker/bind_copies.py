"""Lays down the files of a volumes plan: copies of writable binds with their owners, secrets and configs."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from chaoskit.errors import EnvironmentBroken
from chaoskit.runtimes.docker.volumes_plan import VolumesPlan, Written

BYTES_MAX = 2 << 30
ENTRIES_MAX = 200_000


def lay_down(plan: VolumesPlan) -> None:
    """Make every copy and file of the plan below its scratch folder; blocks, so call it in a thread.

    Raises EnvironmentBroken, naming the path, when something cannot be read, is too much to copy, or cannot be given
    its owner.
    """
    budget = _Budget(plan.scratch.resolve())
    for source, target in plan.copies.items():
        target.parent.mkdir(parents=True, exist_ok=True)
        if os.path.lexists(source):
            budget.root = source
            _told(source, partial(_copy, Path(source), target, budget))
    for folder in plan.folders:
        folder.mkdir(parents=True, exist_ok=True)
    for one in plan.files:
        _told(str(one.source or one.path), partial(_write, one))


@dataclass
class _Budget:
    """How much has been copied; what is the run's own is no part of a copy."""

    scratch: Path
    bytes: int = 0
    entries: int = 0
    root: str = field(default="")

    def spend(self, size: int) -> None:
        self.bytes += size
        self.entries += 1
        if self.bytes > BYTES_MAX or self.entries > ENTRIES_MAX:
            raise EnvironmentBroken(
                f"the writable bind mount {self.root} holds more than a run copies ({BYTES_MAX >> 30} GiB or "
                f"{ENTRIES_MAX} files). Mount it read-only (`:ro`), mount less of it, or make it a named volume"
            )


def _told(path: str, work: Callable[[], None]) -> None:
    try:
        work()
    except OSError as error:
        raise EnvironmentBroken(
            f"cannot copy {path} for the run: {error}. A run works on copies of what it may write"
        ) from error


def _copy(source: Path, target: Path, budget: _Budget) -> None:
    """Files, folders and links with owner, permissions and times; a socket is left out: nobody listens on a copy."""
    found = source.lstat()
    budget.spend(found.st_size if stat.S_ISREG(found.st_mode) else 0)
    if stat.S_ISLNK(found.st_mode):
        target.symlink_to(source.readlink())
    elif stat.S_ISDIR(found.st_mode):
        target.mkdir()
        for entry in os.scandir(source):
            path = Path(entry.path)
            if path.resolve() != budget.scratch or entry.is_symlink():
                _copy(path, target / entry.name, budget)
    elif stat.S_ISREG(found.st_mode):
        shutil.copyfile(source, target)
    elif stat.S_ISFIFO(found.st_mode):
        os.mkfifo(target)
    else:
        return
    _own(target, found.st_uid, found.st_gid)
    if not stat.S_ISLNK(found.st_mode):
        shutil.copystat(source, target)


def _write(one: Written) -> None:
    one.path.parent.mkdir(parents=True, exist_ok=True)
    if one.source is not None:
        shutil.copyfile(one.source, one.path)
    else:
        one.path.write_text(one.content or "", encoding="utf-8")
    _own(one.path, one.uid, one.gid)
    one.path.chmod(one.mode)


def _own(path: Path, uid: int, gid: int) -> None:
    """Only root gives files away; another user's copies are their own, as far as they are not asked to be more."""
    if os.geteuid() == 0:
        os.lchown(path, uid, gid)
    elif (uid, gid) not in ((0, 0), (os.geteuid(), os.getegid())):
        raise PermissionError(
            f"{path.name} belongs to {uid}:{gid}, and only root can give a copy to them; run as root"
        )
