"""A member's data made to follow the other one: rewound by pg_rewind, or made anew by pg_basebackup.

data ──copied aside──► data.before-N        rewind: in place, and what was there comes back if it fails
data.new-N ──► data, data ──► data.before-N  copy: the old data gives way only to a whole new one
"""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path

from psycopg.conninfo import make_conninfo

from chaoskit.clock import monotonic_ns
from chaoskit.engines.session import parameters
from chaoskit.errors import EnvironmentBroken
from chaoskit.model.followers import ControlFile, Copied, NotRewound
from chaoskit.model.plan import Plan
from chaoskit.model.system import Link
from chaoskit.runtimes import following
from chaoskit.runtimes.local import pg_install
from chaoskit.runtimes.local.lifecycle import LocalLifecycle
from chaoskit.runtimes.local.topology import Topology
from chaoskit.runtimes.supervision import Supervision


class LocalFollowers:
    """Capability `followers`."""

    def __init__(
        self, plan: Plan, topology: Topology, supervision: Supervision, lifecycle: LocalLifecycle
    ) -> None:
        self._plan = plan
        self._topology = topology
        self._supervision = supervision
        self._lifecycle = lifecycle
        self._clusters = lifecycle.clusters
        self._count = 0

    async def control(self, service: str) -> ControlFile:
        """As the protocol says."""
        text = await self._said("pg_controldata", "-D", str(self._data(service)), service=service)
        return following.control_file(text, service)

    async def rewind(self, service: str, source: str) -> Copied:
        """As the protocol says."""
        begun = monotonic_ns()
        data, kept = self._data(service), self._beside(service, "before")
        if not (data / "PG_VERSION").exists():
            raise NotRewound(f"{service} has no data directory left")
        await self._nothing_lives(service)
        await self._clusters.copy(data, kept, log=self._log(service))
        # What a killed postmaster left: nothing of it lives, and its pid may be anybody's by now.
        (data / "postmaster.pid").unlink(missing_ok=True)
        # The file is the source's own once it was rewound.
        await asyncio.to_thread(_append, data / "postgresql.auto.conf", following.KEEP_LOG)
        login = make_conninfo("", **self._superuser(service, source))
        begin = self._written(service)
        try:
            await self._clusters.tool(
                "pg_rewind",
                f"--target-pgdata={data}",
                f"--source-server={login}",
                "--no-sync",
                "--progress",
                log=self._log(service),
                within_s=None,
            )
        except BaseException as error:
            await asyncio.to_thread(_put_back, data, kept)
            if not isinstance(error, EnvironmentBroken):
                raise
            raise NotRewound(following.why_not_rewound(self._text(service, begin)) or str(error)) from error
        size = following.rewound_bytes(self._text(service, begin))
        return Copied(size, monotonic_ns() - begun)

    async def copy(self, service: str, source: str, rate: int | None) -> Copied:
        """As the protocol says."""
        begun = monotonic_ns()
        data, new = self._data(service), self._beside(service, "new")
        await self._nothing_lives(service)
        what = ("-D", str(new), "--wal-method=stream", "--checkpoint=fast", "--no-sync", "--no-manifest")
        slowly = () if rate is None else (f"--max-rate={rate // 1024}k",)
        try:
            await self._clusters.tool(
                "pg_basebackup",
                "-d",
                make_conninfo("", **self._stream(service, source)[0]),
                "--no-password",
                *what,
                *slowly,
                log=self._log(service),
                within_s=None,
            )
        except BaseException:
            await asyncio.to_thread(shutil.rmtree, new, ignore_errors=True)
            raise
        size = await asyncio.to_thread(_size, new)
        if data.exists():
            data.rename(self._beside(service, "before"))
        new.rename(data)
        return Copied(size, monotonic_ns() - begun)

    async def follow(self, service: str, source: str) -> str:
        """As the protocol says."""
        keys, over = self._stream(service, source)
        lines = following.settings(make_conninfo("", **keys))
        data = self._data(service)
        await asyncio.to_thread(_append, data / "postgresql.auto.conf", lines)
        await asyncio.to_thread(_append, data / "standby.signal", "")
        return over

    # -- inside ---------------------------------------------------------------------------------------

    def _superuser(self, service: str, source: str) -> dict[str, str]:
        role = following.role_of(service, self._plan.system)
        keys = parameters(self._topology.service(source), role, superuser=True)
        return {name: value for name, value in keys.items() if name != "client_encoding"}

    def _stream(self, service: str, source: str) -> tuple[dict[str, str], str]:
        """How the log is received from the source, and over what: the declared link, or past every proxy."""
        role = following.role_of(service, self._plan.system)
        told = self._lifecycle.told.get(role.standby or "", {}).get("PRIMARY_CONNINFO")
        keys, link = following.receiver(service, told, role), Link(caller=service, callee=source).name
        if service == role.standby:
            return keys, link
        address = self._topology.service(source)
        host, over = address.host, "a direct connection"
        if link in self._topology.link_hosts:
            host, over = self._topology.link_hosts[link], link
        return {**keys, "host": host, "port": str(address.port)}, over

    async def _nothing_lives(self, service: str) -> None:
        if await self._supervision.call("tree", name=service):
            raise EnvironmentBroken(f"{service} is running: its data is not touched")

    async def _said(self, program: str, *words: str, service: str) -> str:
        begin = self._written(service)
        await self._clusters.tool(program, *words, log=self._log(service))
        return self._text(service, begin)

    def _data(self, service: str) -> Path:
        return Path(self._supervision.record.scratch) / service / "data"

    def _beside(self, service: str, what: str) -> Path:
        self._count += 1
        return self._data(service).with_name(f"data.{what}-{self._count}")

    def _log(self, service: str) -> Path:
        return Path(self._supervision.record.folder) / "logs" / f"follow-{service}.log"

    def _written(self, service: str) -> int:
        log = self._log(service)
        return log.stat().st_size if log.exists() else 0

    def _text(self, service: str, begin: int) -> str:
        """What was logged from there on."""
        return self._log(service).read_bytes()[begin:].decode("utf-8", "replace")


def _put_back(data: Path, kept: Path) -> None:
    shutil.rmtree(data, ignore_errors=True)
    kept.rename(data)


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _append(path: Path, text: str) -> None:
    user = pg_install.runs_as()
    with open(path, "a", encoding="utf-8") as file:
        file.write(text)
        os.fchmod(file.fileno(), 0o600)
        if user is not None:
            os.fchown(file.fileno(), *user)
