"""How long the reference bank takes until it is ready: on the local runtime, and by hand from the same programs.

by hand: initdb, primary, roles, base backup, standby, ledger, gateway, accounts; each once the one before answers.
local:   the same, plus an address and a proxy for each link and a supervisor that outlives nobody; what was initialised
         once is copied afterwards.
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import psycopg
from tabulate import tabulate

from chaoskit import pipeline
from chaoskit.runtimes.local import pg_install
from chaoskit.spec.alone import load_alone
from chaoskit.testing.estate import RunningEstate

ROOT = Path(__file__).parents[1]
BANK = ROOT / "fixtures" / "bank"
NET = "127.77.7"
PRIMARY, STANDBY, LEDGER, GATEWAY = (f"{NET}.{n}" for n in (1, 2, 3, 4))
READY_S_MAX = 3.0
_FLAGS = ("fsync=off", "unix_socket_directories=", "max_connections=60", "shared_buffers=64MB")
_HBA = "host all all 127.0.0.0/8 trust\nhost replication all 127.0.0.0/8 trust\n"


def until(look: Callable[[], object], what: str, within_s: float = 60.0) -> None:
    """Wait until `look` neither raises nor returns False."""
    limit = time.monotonic() + within_s
    while True:
        try:
            if look() is not False:
                return
        except (OSError, psycopg.Error) as error:
            if time.monotonic() > limit:
                raise TimeoutError(f"{what} within {within_s:g} s: {error}") from error
        if time.monotonic() > limit:
            raise TimeoutError(f"{what} within {within_s:g} s")
        time.sleep(0.01)


class ByHand:
    """The bank from its programs, without any of the framework's estate; `with ByHand(folder) as bank`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        installed = pg_install.installed()
        if installed is None:
            raise RuntimeError("PostgreSQL has yet to be copied for `nobody`: run a drill first")
        self._bin = installed / "bin"
        self._user = pg_install.runs_as()
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End every process that still lives."""
        for process in self.processes.values():
            process.send_signal(signal.SIGINT)
        for process in self.processes.values():
            process.wait(timeout=30)

    def connect(self, host: str) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(
            host=host, port=5432, user="postgres", dbname="postgres", autocommit=True, connect_timeout=2
        )

    def _start(self) -> None:
        primary, standby = self._place("primary"), self._place("standby")
        self._run("initdb", "-D", primary, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "-N")
        (primary / "pg_hba.conf").write_text(_HBA)
        self._server("primary", primary, PRIMARY)
        with self.connect(PRIMARY) as base:
            base.execute("CREATE DATABASE ledger")
        with psycopg.connect(host=PRIMARY, user="postgres", dbname="ledger", autocommit=True) as base:
            base.execute((BANK / "initdb" / "10-roles.sql").read_bytes())
        conninfo = f"host={PRIMARY} port=5432 user=replicator application_name=ledger_db_standby"
        self._run("pg_basebackup", "-d", conninfo, "-D", standby, "-R", "-c", "fast", "-N", "--no-manifest")
        self._server("standby", standby, STANDBY)
        with self.connect(PRIMARY) as base:
            base.execute("ALTER SYSTEM SET synchronous_standby_names = 'ledger_db_standby'")
            base.execute("SELECT pg_reload_conf()")
        hosts = f"{PRIMARY}:5432,{STANDBY}:5432"
        url = f"postgresql://bank@{hosts}/ledger?target_session_attrs=read-write"
        self._service("ledger", LEDGER, 8081, DATABASE_URL=url)
        self._service("gateway", GATEWAY, 8080, LEDGER_URL=f"http://{LEDGER}:8081")
        with psycopg.connect(host=PRIMARY, user="postgres", dbname="ledger", autocommit=True) as base:
            accounts = [f"ACC-{n:05d}" for n in range(1, 401)]
            base.execute((BANK / "population.sql").read_bytes(), {"account": accounts, "seed": 11})

    def _place(self, name: str) -> Path:
        path = self.folder / name
        path.mkdir(mode=0o700)
        if self._user:
            os.chown(path, *self._user)
        return path

    def _as(self) -> dict[str, int]:
        return {"user": self._user[0], "group": self._user[1]} if self._user else {}

    def _run(self, program: str, *words: str | Path) -> None:
        argv = [str(self._bin / program), *map(str, words)]
        subprocess.run(
            argv, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/", **self._as()
        )

    def _server(self, name: str, data: Path, host: str) -> None:
        flags = [word for flag in (*_FLAGS, f"listen_addresses={host}") for word in ("-c", flag)]
        log = (self.folder / f"{name}.log").open("ab")
        self.processes[name] = subprocess.Popen(
            [str(self._bin / "postgres"), "-D", str(data), *flags],
            stdout=log,
            stderr=log,
            cwd="/",
            **self._as(),
        )
        until(lambda: self.connect(host).close(), f"{name} answers")

    def _service(self, name: str, host: str, port: int, **env: str) -> None:
        log = (self.folder / f"{name}.log").open("ab")
        self.processes[name] = subprocess.Popen(
            [sys.executable, "-m", f"bank.{name}"],
            env={**os.environ, "LISTEN_HOST": host, "LISTEN_PORT": str(port), **env},
            cwd=BANK,
            stdout=log,
            stderr=log,
        )
        until(lambda: urllib.request.urlopen(f"http://{host}:{port}/health", timeout=2).close(), name)


@contextmanager
def folder() -> Iterator[Path]:
    """A scratch folder that PostgreSQL's user may enter."""
    with tempfile.TemporaryDirectory(prefix="by-hand-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def by_hand() -> float:
    """Seconds until the bank started by hand is ready."""
    with folder() as place:
        begun = time.monotonic()
        with ByHand(place):
            return time.monotonic() - begun


def local() -> float:
    """Seconds until the estate is ready, of a process in which chaoskit is loaded."""
    with folder() as place:
        estate = RunningEstate(load_alone(BANK / "system.yaml"), pipeline.runtime("local"), place / "reports")
        try:
            begun = time.monotonic()
            estate.direct("gateway")
            return time.monotonic() - begun
        finally:
            estate.close()


def spread(values: list[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f} – {max(values):.2f})"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    local()  # the first start on a machine initialises a cluster, which later ones copy
    found = [(local(), by_hand()) for _ in range(asked.rounds)]
    ready, hand = [one[0] for one in found], [one[1] for one in found]
    ratios = [a / b for a, b in found]
    met = statistics.median(ready) <= READY_S_MAX
    rows = [
        ["local runtime, s", spread(ready), f"≤ {READY_S_MAX:g}", "met" if met else "MISSED"],
        ["by hand, s", spread(hand), "", ""],
        ["local / by hand", spread(ratios), "", ""],
    ]
    print(tabulate(rows, headers=["the bank is ready after: median (least – most)", "", "target", ""]))
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
