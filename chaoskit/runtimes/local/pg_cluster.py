"""Makes a PostgreSQL service's data directory.

A primary's comes from a cached, freshly initialised cluster, a standby's from a base backup over the link.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path

from chaoskit.errors import EnvironmentBroken
from chaoskit.runtimes.local import pg_install
from chaoskit.runtimes.local.pg_settings import PgSettings, host_rules, initdb_argv, setup_argv
from chaoskit.runtimes.readiness import postmaster_ready, until, with_tail
from chaoskit.runtimes.supervision import Supervision

_COMMAND_S = 60.0
_FOR_EVER_S = 7 * 86400.0
_SOCKET_PATH_BYTES_MAX = 107
_CLUSTERS_MAX = 8
_UNUSED_AFTER_S = 86400.0


class PgClusters:
    """Data directories of one run. Everything runs under the run's supervisor, as the user PostgreSQL
    needs.
    """

    def __init__(self, supervision: Supervision, env: Mapping[str, str]) -> None:
        self._supervision = supervision
        self.env = env
        self._cache = pg_install.cache_folder()
        self._partial = Path(supervision.record.partial)
        self._user = pg_install.runs_as()
        self._count = 0
        self._installing = asyncio.Lock()

    async def binaries(self) -> Path:
        """The installation, copied first where `nobody` could not reach it. Several runs may copy at once."""
        async with self._installing:
            found = pg_install.installed()
            if found is not None:
                return found
            log = self._log("postgresql-setup")
            partial = self._new_partial()
            await self._run(("cp", "-a", *map(str, pg_install.copy_sources()), str(partial)), log, user=None)
            await self._run(("chmod", "-R", "a+rX", str(partial)), log, user=None)
            await asyncio.to_thread(_publish, partial, pg_install.copy_folder())
            found = pg_install.installed()
            if found is None:
                raise EnvironmentBroken(f"PostgreSQL could not be copied to {pg_install.copy_folder()}")
            return found

    async def primary(self, settings: PgSettings, home: Path) -> Path:
        """`home`/data, a clean cluster with the service's users, database and scripts."""
        binaries = await self.binaries()
        data = home / "data"
        cached = self._cache / f"cluster-{settings.digest[:24]}"
        log = self._log(settings.service)
        if not cached.is_dir():
            await self._initialise(binaries, settings, home, data, log)
            partial = self._new_partial() / "data"
            await self._run(("cp", "-a", str(data), str(partial)), log, user=None)
            await asyncio.to_thread(_publish, partial, cached)
            self._prune()
            return data
        os.utime(cached)
        await self._run(("cp", "-a", str(cached), str(data)), log, user=None)
        return data

    async def standby(self, settings: PgSettings, home: Path) -> Path:
        """`home`/data, a copy of the primary made over PRIMARY_CONNINFO, ready to follow it."""
        binaries = await self.binaries()
        data = home / "data"
        if settings.conninfo is None:
            raise EnvironmentBroken(
                f"{settings.service} is a standby and has no PRIMARY_CONNINFO; give one in the Compose file"
            )
        log = self._log(settings.service)
        backup = (str(binaries / "bin" / "pg_basebackup"), "-d", settings.conninfo, "-D", str(data))
        options = ("--wal-method=stream", "--checkpoint=fast", "--no-sync", "--no-manifest")
        await self._run((*backup, *options), log, user=self._user)
        follow = settings.conninfo.replace("'", "''")
        # A base backup inherits whom the primary waits for, if that is in a file: promoted, it would wait for ever.
        own = f"primary_conninfo = '{follow}'\nsynchronous_standby_names = ''\n"
        _write(data / "postgresql.auto.conf", own, self._user, append=True)
        _write(data / "standby.signal", "", self._user)
        return data

    async def tool(self, program: str, *words: str, log: Path, within_s: float | None = _COMMAND_S) -> None:
        """Run one of PostgreSQL's own programs to its end. Raises EnvironmentBroken, with its last words, unless it
        exits 0 within that time; None: for as long as the caller waits, who ends it by giving up."""
        binaries = await self.binaries()
        await self._run((str(binaries / "bin" / program), *words), log, user=self._user, within_s=within_s)

    async def copy(self, source: Path, target: Path, log: Path) -> None:
        """A whole folder, owners and modes kept; it takes what it takes, and ends when the caller gives up."""
        await self._run(("cp", "-a", str(source), str(target)), log, user=None, within_s=None)

    async def _initialise(
        self, binaries: Path, settings: PgSettings, home: Path, data: Path, log: Path
    ) -> None:
        """initdb, then users, database and scripts through a server that only a private Unix socket reaches."""
        if len(os.fsencode(home / ".s.PGSQL.5432")) > _SOCKET_PATH_BYTES_MAX:
            raise EnvironmentBroken(f"{home} is too long for a Unix socket; set TMPDIR to a short path")
        secret = home / "password"
        _write(secret, settings.password + "\n", self._user)
        await self._run(initdb_argv(binaries, data, settings, secret), log, user=self._user)
        secret.unlink()
        _write(data / "pg_hba.conf", host_rules(settings), self._user)
        server = await self._start_private(binaries, settings, home, data, log)
        psql = (str(binaries / "bin" / "psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", "-")
        login = (*psql, "-h", str(home), "-U", settings.user, "-w", "-d")
        if settings.database != "postgres":
            quoted = '"' + settings.database.replace('"', '""') + '"'
            await self._sql((*login, "postgres"), f"CREATE DATABASE {quoted};", "the database", log)
        for script, text in settings.scripts:
            await self._sql((*login, settings.database), text, script, log)
        await self._supervision.call(
            "stop", name=server, number=int(signal.SIGINT), grace_s=_COMMAND_S / 2, within_s=_COMMAND_S
        )

    async def _start_private(
        self, binaries: Path, settings: PgSettings, home: Path, data: Path, log: Path
    ) -> str:
        """The name of the server's job, once it is ready."""
        name = self._next("setup")
        argv = setup_argv(binaries, data, settings, home)
        process = await self._supervision.run(
            name, "command", argv, env=self.env, cwd=home, log=log, user=self._user
        )
        ended = asyncio.Event()
        watch = asyncio.create_task(self._supervision.call("ended", 2 * _COMMAND_S, name=name))
        watch.add_done_callback(lambda _: ended.set())

        async def ready() -> bool:
            return postmaster_ready(data, process.pid)

        try:
            if not await until(ready, ended, _COMMAND_S):
                raise EnvironmentBroken(with_tail(f"{settings.service} cannot be initialised: it ended", log))
        except TimeoutError:
            raise EnvironmentBroken(
                with_tail(f"{settings.service} could not be initialised within {_COMMAND_S:g} s", log)
            ) from None
        finally:
            watch.cancel()
        return name

    async def _sql(self, psql: tuple[str, ...], text: str, what: str, log: Path) -> None:
        await self._run(psql, log, user=self._user, stdin=text.encode(), what=what)

    async def _run(
        self,
        argv: tuple[str, ...],
        log: Path,
        *,
        user: tuple[int, int] | None,
        stdin: bytes = b"",
        what: str = "",
        within_s: float | None = _COMMAND_S,
    ) -> None:
        """Run to its end; EnvironmentBroken with the log's tail unless it exits 0 in time. None: no own limit."""
        name = self._next(Path(argv[0]).name)
        folder = Path(self._supervision.record.scratch)
        program = f"{Path(argv[0]).name} {what}".rstrip()
        try:
            async with asyncio.timeout(within_s):
                # Within: whoever gives up before the answer has asked for a program all the same, and it is started.
                await self._supervision.run(
                    name, "command", argv, env=self.env, cwd=folder, log=log, stdin=stdin, user=user
                )
                facts = await self._supervision.call("ended", _FOR_EVER_S, name=name)
        except TimeoutError:
            await self._end(name)
            raise EnvironmentBroken(
                with_tail(f"{program} was still running after {within_s:g} s, and was ended", log)
            ) from None
        except asyncio.CancelledError:  # whoever gave up may put back what it was writing to
            await self._end(name)
            raise
        if facts["status"] != 0:
            raise EnvironmentBroken(with_tail(f"{program} failed ({facts['status']})", log))

    async def _end(self, name: str) -> None:
        """Kill a command, and wait until nothing of it is left."""
        await self._supervision.call("kill", name=name)
        await self._supervision.call("gone", name=name)

    def _next(self, what: str) -> str:
        self._count += 1
        return f"{what}#{self._count}"

    def _log(self, service: str) -> Path:
        return Path(self._supervision.record.folder) / "logs" / f"{service}.log"

    def _new_partial(self) -> Path:
        """A folder of its own, in the cache so that it can be renamed there; the janitor knows its name."""
        self._count += 1
        partial = self._partial / str(self._count)
        try:
            self._cache.mkdir(parents=True, exist_ok=True)
            if self._user is not None:
                self._cache.chmod(0o755)
            partial.mkdir(parents=True)
        except OSError as error:
            raise EnvironmentBroken(
                f"cannot write the cache folder {self._cache}: {error.strerror}; set CHAOSKIT_CACHE_DIR"
            ) from error
        return partial

    def _prune(self) -> None:
        """Forget clusters nobody has used for a day, beyond the last few."""
        clusters = sorted(self._cache.glob("cluster-*"), key=lambda path: -path.stat().st_mtime)
        for path in clusters[_CLUSTERS_MAX:]:
            if time.time() - path.stat().st_mtime > _UNUSED_AFTER_S:
                path.rename(self._partial / path.name)  # the janitor removes it with the rest


def _publish(partial: Path, target: Path) -> None:
    """Rename into place; if another run was first, its copy is as good. Synced: a torn copy would break
    every later run.
    """
    os.sync()
    try:
        partial.rename(target)
    except OSError:
        if not target.is_dir():
            raise


def _write(path: Path, text: str, user: tuple[int, int] | None, *, append: bool = False) -> None:
    with open(path, "a" if append else "w", encoding="utf-8") as file:
        file.write(text)
        os.fchmod(file.fileno(), 0o600)
        if user is not None:
            os.fchown(file.fileno(), *user)
