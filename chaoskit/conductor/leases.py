"""Leases on disk: what must be undone is fsynced before a fault is applied, in the user's state directory.

<state>/runs/<run>/leases/<id>.json     one model.lease.Lease each, replaced atomically when its state changes

held ──► undone        the undo was run
  └────► superseded    a fence outranks it: it is never undone, by nobody
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from chaoskit.errors import EnvironmentBroken
from chaoskit.model.lease import Lease

LEASES = "leases"


class LeaseBook:
    """The leases of one run; `folder` is the run's folder in the state directory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / LEASES
        self._leases: dict[str, Lease] = {}
        self._writing = asyncio.Lock()

    @property
    def all(self) -> tuple[Lease, ...]:
        """Every lease in the order it was taken."""
        return tuple(self._leases.values())

    @property
    def held(self) -> tuple[Lease, ...]:
        """Those whose undo is still owed."""
        return tuple(lease for lease in self._leases.values() if lease.state == "held")

    def get(self, lease: str) -> Lease:
        """The lease as it stands now."""
        return self._leases[lease]

    async def hold(self, leases: Sequence[Lease]) -> None:
        """Return once all of them are on disk; raises EnvironmentBroken if that cannot be."""
        for lease in leases:
            if lease.id in self._leases:
                raise ValueError(f"lease {lease.id} is taken")
        async with self._writing:
            await asyncio.to_thread(self._write, leases)
        self._leases |= {lease.id: lease for lease in leases}

    async def undone(self, lease: str) -> Lease:
        """Note that the undo was run. It may have run before, and after a fence as well."""
        return await self._become(lease, "undone")

    async def supersede(self, service: str) -> tuple[Lease, ...]:
        """Note that no held lease on `service` may be undone any more; returns those it concerns."""
        concerned = [lease for lease in self.held if service in lease.services]
        superseded = [lease.model_copy(update={"state": "superseded"}) for lease in concerned]
        # In memory first: from this instant on nobody here may undo them, whatever the disk takes.
        self._leases |= {lease.id: lease for lease in superseded}
        await self._flush([lease.id for lease in superseded])
        return tuple(superseded)

    async def _become(self, lease: str, state: str) -> Lease:
        changed = self._leases[lease].model_copy(update={"state": state})
        self._leases[lease] = changed
        await self._flush([lease])
        return changed

    async def _flush(self, leases: Sequence[str]) -> None:
        async with self._writing:
            await asyncio.to_thread(self._write, [self._leases[lease] for lease in leases])

    def _write(self, leases: Iterable[Lease]) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            for lease in leases:
                _replace(self.folder / f"{lease.id}.json", lease.model_dump_json().encode())
            _sync_folder(self.folder)
        except OSError as error:
            raise EnvironmentBroken(
                f"cannot write leases in {self.folder}: {error.strerror}; "
                "set CHAOSKIT_STATE_DIR to a place that can be written"
            ) from error


def read(folder: Path) -> tuple[Lease, ...]:
    """The leases a run left in its state folder, by id; a file that was never completed is not there."""
    return tuple(
        Lease.model_validate_json(path.read_bytes()) for path in sorted((folder / LEASES).glob("*.json"))
    )


def _replace(path: Path, content: bytes) -> None:
    partial = path.with_suffix(".partial")
    file = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    try:
        os.write(file, content)
        os.fsync(file)
    finally:
        os.close(file)
    partial.replace(path)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
