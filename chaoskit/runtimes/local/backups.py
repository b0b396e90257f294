"""Backups of the local runtime: PostgreSQL's own tools as the supervisor's jobs, the store in the scratch folder.

primary ──pg_receivewal──► store/<name>/<generation>/wal
        ──pg_basebackup──► store/<name>/<generation>/base
                                            │ lay
                                            ▼
                       the primary's empty data directory ──► recovery up to an LSN
"""

from __future__ import annotations

import asyncio
import os
import shlex
from contextlib import suppress
from pathlib import Path

from chaoskit.errors import EnvironmentBroken
from chaoskit.model.plan import Plan
from chaoskit.runtimes.kept_backups import (
    JOB,
    LONG_HEADER,
    SEGMENT,
    KeptBackups,
    Stored,
    recovery_settings,
    slot,
)
from chaoskit.runtimes.local import pg_install
from chaoskit.runtimes.local.pg_cluster import PgClusters
from chaoskit.runtimes.local.topology import Topology
from chaoskit.runtimes.supervision import Supervision

_GONE_S = 10.0


class LocalBackups(KeptBackups):
    """Capability `backups`. The store lies below the run's scratch folder and is removed with it."""

    def __init__(
        self, plan: Plan, topology: Topology, supervision: Supervision, clusters: PgClusters, store: Path
    ) -> None:
        super().__init__(plan)
        self._topology = topology
        self._supervision = supervision
        self._clusters = clusters
        self.store = store
        self._aside = 0

    async def lay(self, name: str, lsn: str, at: str) -> None:
        """As the protocol says. Raises EnvironmentBroken while anything of the members lives."""
        role = self._role(name)
        members = [one for one in (role.primary, role.standby) if one is not None]
        for member in members:
            if await self._supervision.call("tree", name=member):
                # One that was killed may still be ending; one that lives is told of after the deadline.
                await self._supervision.call("gone", _GONE_S, name=member)
        await self._stop(name)
        for member in members:
            await asyncio.to_thread(self._set_aside, self._data(member))
        folder, data = self._folder(name, self._generations[name]), self._data(role.primary)
        await self._clusters.copy(folder / "base", data, log=self._log(name))
        await asyncio.to_thread(self._recover_to, data, folder / "wal", lsn)
        self._restored[name] = at

    async def settle(self, name: str) -> None:
        """As the protocol says."""
        data = self._data(self._role(name).primary)
        # A copy of this server would otherwise stop where this one stopped.
        await asyncio.to_thread((data / "restored.conf").replace, data / "postgresql.auto.conf")

    # -- inside ---------------------------------------------------------------------------------------

    async def _receive(self, name: str, generation: int) -> None:
        folder = self._folder(name, generation)
        await asyncio.to_thread(self._make, folder / "wal")
        binaries = await self._clusters.binaries()
        primary = self._topology.service(self._role(name).primary)
        words = ("-S", slot(generation), "-d", self._login(name, primary), "--no-password")
        log = self._log(name)
        await self._clusters.tool("pg_receivewal", "--create-slot", "--if-not-exists", *words, log=log)
        await self._supervision.run(
            self._job(name, generation),
            JOB,
            (str(binaries / "bin" / "pg_receivewal"), "-D", str(folder / "wal"), "-s", "1", *words),
            env=self._clusters.env,
            cwd=folder,
            log=log,
            user=pg_install.runs_as(),
        )

        async def received() -> bool:
            return await asyncio.to_thread(lambda: any((folder / "wal").iterdir()))

        await self._until(name, received, "nothing of the log was received")
        what = ("-D", str(folder / "base"), "-X", "none", "--checkpoint=fast", "--no-sync")
        await self._clusters.tool(
            "pg_basebackup", *what, "--manifest-checksums=SHA256", *words[2:], log=self._log(name)
        )

    async def _stored(self, name: str) -> Stored:
        return await asyncio.to_thread(_stored, self._folder(name, self._generations.get(name, 0)))

    async def _unverified(self, name: str) -> str:
        base = self._folder(name, self._generations.get(name, 0)) / "base"
        try:
            await self._clusters.tool("pg_verifybackup", "-n", "-q", str(base), log=self._log(name))
        except EnvironmentBroken as broken:
            return str(broken)
        return ""

    def _job(self, name: str, generation: int) -> str:
        return f"{JOB}:{name}#{generation}"

    def _log(self, name: str) -> Path:
        return Path(self._supervision.record.folder) / "logs" / f"{JOB}-{name}.log"

    def _folder(self, name: str, generation: int) -> Path:
        return self.store / name / str(generation)

    def _data(self, service: str) -> Path:
        return Path(self._supervision.record.scratch) / service / "data"

    def _make(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        user = pg_install.runs_as()
        if user is not None:
            for one in (folder, folder.parent):
                os.chown(one, *user)

    def _set_aside(self, data: Path) -> None:
        self._aside += 1
        if data.exists():
            data.rename(data.with_name(f"data.wrecked-{self._aside}"))

    def _recover_to(self, data: Path, wal: Path, lsn: str) -> None:
        user = pg_install.runs_as()
        settings = data / "postgresql.auto.conf"
        before = settings.read_text(encoding="utf-8")
        source = shlex.quote(str(wal))
        fetch = f'cp {source}/%f "%p" 2>/dev/null || cp {source}/%f.partial "%p" 2>/dev/null'
        for name, text in (
            ("restored.conf", before),
            ("postgresql.auto.conf", before + recovery_settings(fetch, lsn)),
            ("recovery.signal", ""),
        ):
            path = data / name
            path.write_text(text, encoding="utf-8")
            path.chmod(0o600)
            if user is not None:
                os.chown(path, *user)

    async def _stop(self, name: str) -> None:
        generation = self._generations.get(name, 0)
        if generation:
            await self._supervision.call("kill", name=self._job(name, generation))


def _stored(folder: Path) -> Stored:
    count, size, newest = 0, 0, 0.0
    log: dict[str, bytes] = {}
    for path in folder.rglob("*"):
        # The receiver finishes a piece by renaming it; an attacker renames too.
        with suppress(FileNotFoundError):
            if not path.is_file():
                continue
            stat = path.stat()
            count, size = count + 1, size + stat.st_size
            if path.parent == folder / "wal" and SEGMENT.fullmatch(path.name):
                newest = max(newest, stat.st_mtime)
                log[path.name] = _beginning(path)
    manifest = folder / "base" / "backup_manifest"
    return Stored(count, size, newest, manifest.read_bytes() if manifest.is_file() else b"", log)


def _beginning(piece: Path) -> bytes:
    try:
        with open(piece, "rb") as file:
            return file.read(LONG_HEADER.size)
    except FileNotFoundError:  # finished meanwhile, or gone
        finished = piece.with_name(piece.name.removesuffix(".partial"))
        return finished.read_bytes()[: LONG_HEADER.size] if finished.is_file() else b""
