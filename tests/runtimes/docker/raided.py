"""A shop that is attacked from within, on containers; `python -m tests.runtimes.docker.raided FOLDER RUN` kills itself.

customers ──► shop ──► db ◄── (replication) db-standby       301 rows of `item` that the shop's log-in owns
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from chaoskit import pipeline, registry
from chaoskit.model.plan import Plan
from chaoskit.runtimes.docker.runtime import DockerRuntime
from chaoskit.spec import load
from tests.contracts.test_on_docker import database
from tests.runtimes.local.test_attack import PASSWORD, URL, attack

ROLES = f"""
CREATE ROLE keeper LOGIN PASSWORD '{PASSWORD}';
CREATE ROLE replicator LOGIN REPLICATION PASSWORD 'replicator-test-only';
CREATE TABLE item (id text PRIMARY KEY);
INSERT INTO item SELECT n::text FROM generate_series(0, 300) AS n;
ALTER TABLE item OWNER TO keeper;
"""
SERVE = (
    "import http.server as h; h.ThreadingHTTPServer(('', 8000), h.SimpleHTTPRequestHandler).serve_forever()"
)


def plan(folder: Path, **shop: Any) -> Plan:
    """`shop`: more keys of its service; `backups` and `volumes` go to where they belong."""
    (folder / "roles").mkdir(parents=True, exist_ok=True)
    (folder / "roles" / "roles.sql").write_text(ROLES, encoding="utf-8")
    (folder / "site").mkdir(exist_ok=True)
    (folder / "site" / "page").write_text("page", encoding="utf-8")
    backups, volumes = shop.pop("backups", {}), shop.pop("volumes", [])
    service = {
        "image": "bank:1.0",
        "command": ["python3", "-u", "-c", SERVE],
        "volumes": ["./site:/srv/site", *volumes],
        "environment": {"DATABASE_URL": URL.format(host="db")},
        "expose": ["8000"],
        "stop_grace_period": "1s",
        **shop,
    }
    conninfo = "host=db port=5432 user=replicator password=replicator-test-only application_name=standby"
    standby = {
        **database(POSTGRES_DB="shop", PRIMARY_CONNINFO=conninfo),
        "depends_on": {"db": {"condition": "service_healthy"}},
    }
    services = {"shop": service, "db": database(POSTGRES_DB="shop"), "db-standby": standby}
    named = {one.partition(":")[0]: {} for one in volumes}
    role = {
        "engine": "postgresql",
        "primary": "db",
        "standby": "db-standby",
        "database": "shop",
        "user": "keeper",
        "password": PASSWORD,
        "superuser": "postgres",
        "superuser-password": "super-test-only",
    }
    system = {
        "system": "shop",
        "compose": "compose.yaml",
        "roles": {"database": role},
        "links": ["customers -> shop", "shop -> db", "db-standby -> db"],
        "journeys": {"look": {"get": "shop/", "good": {"status": 200, "within": "1s"}}},
        "backups": backups,
    }
    drill = {
        "drill": "shop",
        "title": "Never run",
        "system": "system.yaml",
        "load": {"look": "10/s"},
        "timeline": [{"at": "0s", "fault": "attack.ransomware", "on": "shop"}],
        "objectives": {"look": {"rto": "1m"}},
    }
    documents = {"compose": {"services": services, "volumes": named}, "system": system, "drill": drill}
    for name, document in documents.items():
        (folder / f"{name}.yaml").write_text(json.dumps(document), encoding="utf-8")
    return pipeline.make_plan(load(folder / "drill.yaml", registry), "docker")


async def main(folder: Path, run: str) -> None:
    """Never returns."""
    backed_up = plan(folder / "system", backups={"nightly": {"of": "database"}})
    estate: Any = await DockerRuntime().provision(backed_up, run, folder / "reports")
    _, witness = await attack(estate)
    print(witness.how, flush=True)
    os.kill(os.getpid(), signal.SIGKILL if witness.seen else signal.SIGTERM)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
