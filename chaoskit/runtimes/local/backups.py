"""Backups of the local runtime: a base backup and the log that PostgreSQL's own tools receive, in the run's own store.

primary ──pg_receivewal──► store/<name>/<generation>/wal      every byte, from before the base backup on
        ──pg_basebackup──► store/<name>/<generation>/base     with a manifest of SHA-256 sums
                                            │ lay
                                            ▼
                       the primary's empty data directory ──► recovery up to an LSN
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shlex
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from psycopg.conninfo import make_conninfo

from chaoskit.engines.session import parameters
from chaoskit.errors import EnvironmentBroken
from chaoskit.model.plan import Plan
from chaoskit.model.security import Kept
from chaoskit.model.system import Backup, DatabaseRole
from chaoskit.runtimes.local import pg_install
from chaoskit.runtimes.local.pg_cluster import PgClusters
from chaoskit.runtimes.local.topology import Topology
from chaoskit.runtimes.readiness import until
from chaoskit.runtimes.supervision import Supervision

JOB = "backup"
_SEGMENT = re.compile(r"[0-9A-F]{24}(\.partial)?")
_LONG_HEADER = struct.Struct(
    "<HHIQI4xQII"
)  # XLogLongPageHeaderData: the system identifier is its sixth field
_FIRST_S = 10.0
_GONE_S = 10.0


class LocalBackups:
    """Capability `backups`. The store lies below the run's scratch folder and is removed with it."""

    def __init__(
        self, plan: Plan, topology: Topology, supervision: Supervision, clusters: PgClusters, store: Path
    ) -> None:
        self._plan = plan
        self._topology = topology
        self._supervision = supervision
        self._clusters = clusters
        self.store = store
        self._generations: dict[str, int] = {}
        self._restored: dict[str, str] = {}
        self._aside = 0

    async def begin(self) -> None:
        """The first generation of every backup that the system names."""
        for name in self._plan.system.backups:
            await self.take(name)

    async def take(self, name: str) -> Kept:
        """As the protocol says."""
        await self._stop(name)
        generation = self._generations.get(name, 0) + 1
        folder = self._folder(name, generation)
        await asyncio.to_thread(self._make, folder / "wal")
        binaries = await self._clusters.binaries()
        login = ("-d", self._login(name), "--no-password")
        slot = (
            "-S",
            f"chaoskit_{JOB}_{generation}",
        )  # so that no checkpoint removes what was not received yet
        log = self._log(name)
        await self._clusters.tool("pg_receivewal", "--create-slot", "--if-not-exists", *slot, *login, log=log)
        await self._supervision.run(
            self._job(name, generation),
            JOB,
            (str(binaries / "bin" / "pg_receivewal"), "-D", str(folder / "wal"), "-s", "1", *slot, *login),
            env=self._clusters.env,
            cwd=folder,
            log=log,
            user=pg_install.runs_as(),
        )
        await self._until(name, lambda: any((folder / "wal").iterdir()), "nothing of the log was received")
        what = ("-D", str(folder / "base"), "-X", "none", "--checkpoint=fast", "--no-sync")
        await self._clusters.tool(
            "pg_basebackup", *what, "--manifest-checksums=SHA256", *login, log=self._log(name)
        )
        self._generations[name] = generation
        await self._until(name, lambda: not _log_gap(folder), "the log did not reach the base backup")
        return await self.look(name)

    async def look(self, name: str) -> Kept:
        """As the protocol says."""
        generation = self._generations.get(name, 0)
        folder = self._folder(name, generation)
        files, size, newest = await asyncio.to_thread(_measure, folder)
        age_s = max(0.0, time.time() - newest)
        why = await asyncio.to_thread(_log_gap, folder)
        if not why:
            try:
                await self._clusters.tool(
                    "pg_verifybackup", "-n", "-q", str(folder / "base"), log=self._log(name)
                )
            except EnvironmentBroken as broken:
                why = str(broken)
        return Kept(not why, why, files, size, age_s, generation)

    def restored(self, name: str) -> str | None:
        """As the protocol says."""
        return self._restored.get(name)

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

    def _backup(self, name: str) -> Backup:
        found = self._plan.system.backups.get(name)
        if found is None:
            known = ", ".join(self._plan.system.backups) or "none"
            raise EnvironmentBroken(f"system.yaml names no backup {name!r}; known: {known}")
        return found

    def _role(self, name: str) -> DatabaseRole:
        return self._plan.system.roles[self._backup(name).of]

    def _login(self, name: str) -> str:
        role = self._role(name)
        keys = parameters(self._topology.service(role.primary), role, superuser=True)
        keys = {key: value for key, value in keys.items() if key not in ("dbname", "client_encoding")}
        return make_conninfo("", **{**keys, "application_name": f"chaoskit-{JOB}"})

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
        lines = (
            f"restore_command = '{fetch.replace(chr(39), chr(39) * 2)}'",
            f"recovery_target_lsn = '{lsn}'",
            "recovery_target_timeline = 'current'",
            "recovery_target_action = 'promote'",
        )
        for name, text in (
            ("restored.conf", before),
            ("postgresql.auto.conf", before + "\n".join(lines) + "\n"),
            ("recovery.signal", ""),
        ):
            path = data / name
            path.write_text(text, encoding="utf-8")
            path.chmod(0o600)
            if user is not None:
                os.chown(path, *user)

    async def _until(self, name: str, there: Callable[[], bool], otherwise: str) -> None:
        """Other programs write the store, and tell nobody."""

        async def look() -> bool:
            return await asyncio.to_thread(there)

        try:
            await until(look, asyncio.Event(), _FIRST_S)
        except TimeoutError:
            raise EnvironmentBroken(
                f"backup {name}: {otherwise} within {_FIRST_S:g} s; see {self._log(name)}"
            ) from None

    async def _stop(self, name: str) -> None:
        generation = self._generations.get(name, 0)
        if generation:
            await self._supervision.call("kill", name=self._job(name, generation))


def _measure(folder: Path) -> tuple[int, int, float]:
    """(files, bytes, when the log was last added to) of a generation; 0.0 when there is no log."""
    count, size, newest = 0, 0, 0.0
    for path in folder.rglob("*"):
        with suppress(
            FileNotFoundError
        ):  # the receiver finishes a piece by renaming it; an attacker renames too
            if not path.is_file():
                continue
            stat = path.stat()
            count, size = count + 1, size + stat.st_size
            if _SEGMENT.fullmatch(path.name):
                newest = max(newest, stat.st_mtime)
    return count, size, newest


def _log_gap(folder: Path) -> str:
    """What is wrong with the log, empty if nothing: it must begin no later than the backup, each piece follow the one
    before, and be a log of the same server."""
    try:
        manifest = json.loads((folder / "base" / "backup_manifest").read_bytes())
        begins = manifest["WAL-Ranges"][0]
        identifier = int(manifest["System-Identifier"])
    except (OSError, ValueError, KeyError, IndexError) as error:
        return f"the base backup's manifest cannot be read: {type(error).__name__}: {error}"
    pieces = sorted(path for path in (folder / "wal").glob("*") if _SEGMENT.fullmatch(path.name))
    if not pieces:
        return "there is no log beside the base backup"
    size = 0
    numbers = []
    for path in pieces:
        try:
            with open(path, "rb") as file:
                head = file.read(_LONG_HEADER.size)
        except FileNotFoundError:  # finished meanwhile, or gone
            finished = path.with_name(path.name.removesuffix(".partial"))
            head = finished.read_bytes()[: _LONG_HEADER.size] if finished.is_file() else b""
        if len(head) < _LONG_HEADER.size:
            return f"{path.name} is cut short"
        _, _, _, _, _, said, size, _ = _LONG_HEADER.unpack(head)
        if said != identifier or not size:
            return f"{path.name} is no log of this server"
        numbers.append(int(path.name[8:16], 16) * (2**32 // size) + int(path.name[16:24], 16))
    high, low = (int(part, 16) for part in begins["Start-LSN"].split("/"))
    first = ((high << 32) + low) // size
    if numbers[-1] < first:
        return f"the log ends with {pieces[-1].name}, before the base backup's {begins['Start-LSN']}"
    if numbers[0] > first:
        return f"the log begins with {pieces[0].name}, after the base backup's {begins['Start-LSN']}"
    if numbers != list(range(numbers[0], numbers[0] + len(numbers))):
        return "a piece of the log is missing between " + f"{pieces[0].name} and {pieces[-1].name}"
    return ""
