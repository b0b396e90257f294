"""A case for every fault there is, and one system that has a target for each of them, for every runtime.

customers ──► one web service for each fault that hits a service        flood, stuffed, … ──► web     faults on links
raided ──► db ◄── db-standby      rows, delays                          web ──► books-standby ──► books     drifts
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chaoskit import pipeline, registry
from chaoskit.engines.standby_drift import KINDS
from chaoskit.model.plan import Plan
from chaoskit.spec import load

HERE = Path(__file__).parent
DISK = "/srv/data"
JSON = {"customer": "{user}", "password": "{guess}"}
PASSWORD = "keep-drill-only"


@dataclass(frozen=True)
class Case:
    """A fault as a drill would write it. `again`: what makes its target fit for a second time: SQL, or `restart`."""

    fault: str
    target: str
    params: Mapping[str, Any]
    again: str = ""

    @property
    def id(self) -> str:
        return "-".join(
            [self.fault, *(str(self.params[key]) for key in ("kind", "setting") if key in self.params)]
        )


REFILL = "DELETE FROM item; INSERT INTO item SELECT n::text FROM generate_series(0, 3000) AS n"
GUESSES = [f"{number}" for number in range(60)]
CASES: dict[str, list[Case]] = {
    one[0].fault: one
    for one in (
        [Case("attack.credential-stuffing", "stuffed", {
            "path": "/log-in", "json": JSON, "pool": "account", "guesses": GUESSES, "sources": 40,
        })],
        [Case("attack.flood", "flood", {"path": "/log-in", "json": {}, "rate": 20, "lasts": "60s"})],
        [Case("attack.injection", "injected", {
            "path": "/log-in", "json": {"customer": "{user}", "password": "{payload}"}, "pool": "account",
            "payloads": [f"' OR {number}={number} --" for number in range(200)], "rate": 4,
        })],
        [Case("attack.ransomware", "raided", {"rows": 5, "every": "200ms"}, REFILL)],
        [Case("attack.rogue-admin", "db", {"table": "ledger", "column": "amount", "by": 70})],
        [Case("clock.skew", "skewed", {"ahead": "25h"})],
        [Case("disk.full", "full", {"path": DISK, "size": "16MiB"})],
        [Case("disk.slow", "slow", {"path": DISK, "size": "16MiB", "rate": "64KB"})],
        [Case("host.loss", "lost", {}, "restart")],
        [Case("link.bandwidth", "injected -> web", {"rate": "20KB"})],
        [Case("link.cut", "flood -> web", {})],
        [Case("link.latency", "stuffed -> web", {"latency": "400ms"})],
        [Case("link.reset", "released -> web", {})],
        [Case("link.timeout", "raided -> web", {})],
        [
            Case("mistake.wrong-command", "db", {"truncate": "gone"}, "INSERT INTO gone VALUES (1), (2)"),
            # One that hurts nobody: all others are held at once.
            Case("mistake.wrong-command", "db", {"setting": "idle_in_transaction_session_timeout", "value": "5min"}),
        ],
        [Case("network.partition", "parted", {})],
        [Case("process.freeze", "frozen", {})],
        [Case("process.kill", "killed", {}, "restart")],
        [Case("resource.cpu", "busy", {"cpus": 0.05})],
        [Case("resource.memory", "memory", {"limit": "4MB"})],
        [Case("service.stop", "stopped", {}, "restart")],
        [Case("standby.drift", "books-standby", {"kind": kind}) for kind in KINDS],
        [Case("standby.receive-lag", "db-standby", {"lag": "600ms"})],
        [Case("standby.replay-lag", "db-standby", {})],
        [Case("upgrade.roll-out", "next", {"strategy": "all"})],
    )
}  # fmt: skip
CONTAINERS_ONLY = ("busy", "full", "memory", "parted", "skewed", "slow")
WEBS = ("flood", "frozen", "injected", "killed", "lost", "raided", "released", "stopped", "stuffed", "web")
CALLERS = ("flood", "injected", "parted", "raided", "released", "stuffed")
SQL = f"""
CREATE ROLE keeper LOGIN PASSWORD '{PASSWORD}';
CREATE ROLE replicator LOGIN REPLICATION PASSWORD 'replicator-test-only';
CREATE TABLE item (id text PRIMARY KEY);
INSERT INTO item SELECT n::text FROM generate_series(0, 3000) AS n;
ALTER TABLE item OWNER TO keeper;
CREATE TABLE ledger AS SELECT n AS id, 100::bigint AS amount FROM generate_series(1, 5) AS n;
CREATE TABLE gone AS SELECT generate_series(1, 5) AS n;
CREATE TABLE hot AS SELECT 0 AS n;
"""
SETTINGS = ("fsync=off", "shared_buffers=16MB", "autovacuum=off", "wal_receiver_timeout=5s")


def cases(offered: frozenset[str], runtime: str) -> list[Case]:
    """One for every registered fault that a runtime with these capabilities offers; LookupError for one without."""
    found: list[Case] = []
    for name, member in registry.members("faults").items():
        if member.requires <= offered:  # type: ignore[attr-defined]
            if name not in CASES:
                raise LookupError(
                    f"{name} is offered on {runtime} and is held to no contract: give it a case in CASES"
                )
            found += CASES[name]
    return found


def chain(case: Case) -> str:
    """What only one fault is tried on at a time: a pair, or a service."""
    return {"raided": "db", "db-standby": "db"}.get(case.target, case.target)


def plan(folder: Path, runtime: str, offered: frozenset[str]) -> Plan:
    """The plan of a drill that has every case in its timeline, and is never run."""
    webs = [*WEBS, *(CONTAINERS_ONLY if runtime == "docker" else ())]
    for name, text in {
        "roles/roles.sql": SQL,
        "site/ready": "ready " * 20,
        "site/about": '{"release": "1"}',
        "next/about": '{"release": "2"}',
        "site/watched_web.py": (HERE / "watched_web.py").read_text(encoding="utf-8"),
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    documents = {
        "compose": {"services": {**{name: _web(name) for name in webs}, **_pair("db"), **_pair("books")}},
        "system": _system(webs, runtime),
        "drill": {
            "drill": "every-fault",
            "title": "Never run",
            "system": "system.yaml",
            "load": {"look": "10/s"},
            "timeline": [
                {"at": "0s", "id": f"s{number}", "fault": case.fault, "on": case.target, **case.params}
                for number, case in enumerate(cases(offered, runtime))
            ],
            "objectives": {"look": {"rto": "1m"}},
        },
    }
    for name, document in documents.items():
        (folder / f"{name}.yaml").write_text(json.dumps(document), encoding="utf-8")
    return pipeline.make_plan(load(folder / "drill.yaml", registry), runtime)


def _web(name: str) -> dict[str, Any]:
    serve = "exec python3 -u /srv/site/watched_web.py 0.0.0.0 8000"
    used = f"touch {DISK}/used; " if name in ("full", "slow") else ""
    return {
        "image": "bank:1.0",
        "command": ["sh", "-c", used + serve],
        "volumes": ["./site:/srv/site:ro"],
        "expose": ["8000"],
        "stop_grace_period": "1s",
        **({"restart": "always"} if name == "memory" else {}),
        "environment": _knows(name),
        **({"depends_on": ["db"]} if name == "raided" else {}),
        **({"working_dir": "/srv/site"} if name not in ("released", "full", "slow") else {}),
        **({"user": "0:0"} if name in ("full", "slow") else {}),
    }


def _knows(name: str) -> dict[str, str]:
    """Whom a service is told of: its links have to be named somewhere."""
    if name == "web":
        return {"STANDBY": "books-standby:5432"}
    found = {"WEB": "web:8000"} if name in CALLERS else {}
    url = f"postgresql://keeper:{PASSWORD}@db:5432/shop"
    return {**found, "DATABASE_URL": url} if name == "raided" else found


def _pair(name: str) -> dict[str, Any]:
    primary = {
        "image": "bank-postgres:18",
        "command": ["postgres", *(word for one in SETTINGS for word in ("-c", one))],
        "environment": {"POSTGRES_PASSWORD": "super-test-only", "POSTGRES_DB": "shop"},
        "volumes": ["./roles:/docker-entrypoint-initdb.d:ro"],
        "healthcheck": {
            "test": ["CMD", "pg_isready", "--quiet", "--host=127.0.0.1", "--username=postgres"],
            "interval": "200ms",
            "retries": 600,
        },
        "expose": ["5432"],
        "stop_grace_period": "5s",
    }
    login = "port=5432 user=replicator password=replicator-test-only application_name=standby"
    standby = {
        **primary,
        "environment": {**primary["environment"], "PRIMARY_CONNINFO": f"host={name} {login}"},  # type: ignore[dict-item]
        "depends_on": {name: {"condition": "service_healthy"}},
    }
    return {name: primary, f"{name}-standby": standby}


def _system(webs: list[str], runtime: str) -> dict[str, Any]:
    role = {
        "engine": "postgresql",
        "database": "shop",
        "user": "keeper",
        "password": PASSWORD,
        "superuser": "postgres",
        "superuser-password": "super-test-only",
    }
    pairs = ("db", "books")
    run = "python -S watched_web.py {address} 8000"
    local: dict[str, Any] = {
        name: {"run": run, "path": "site", "directory": "site", "ready": "/watch"} for name in webs
    }
    for name in pairs:
        local |= {name: {"postgresql": "primary"}, f"{name}-standby": {"postgresql": "standby"}}
    release = {"version": "2", "says": {"path": "/about"}, "services": ["released"], "files": "next"}
    return {
        "system": "every",
        "compose": "compose.yaml",
        "roles": {name: {**role, "primary": name, "standby": f"{name}-standby"} for name in pairs},
        "links": [
            *(f"customers -> {name}" for name in webs),
            *(f"{name} -> web" for name in CALLERS if name in webs),
            "raided -> db",
            "web -> books-standby",
            *(f"{name}-standby -> {name}" for name in pairs),
        ],
        "speaks": dict.fromkeys(webs, "http:8000/ready"),
        "population": {"pools": {"account": {"count": 20, "format": "ACC-{n:02d}"}}},
        "journeys": {"look": {"get": "web/ready", "good": {"status": 200, "within": "1s"}}},
        "releases": {"next": release},
        **({"local": local} if runtime == "local" else {}),
    }
