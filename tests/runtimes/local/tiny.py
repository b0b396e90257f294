"""Systems small enough to provision in a fraction of a second, and plans for them."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from chaoskit.model.drill import Drill
from chaoskit.model.plan import Plan, Wiring
from chaoskit.model.system import (
    DatabaseRole,
    Link,
    LocalService,
    Pool,
    Population,
    PopulationLoad,
    Service,
    System,
)
from chaoskit.quantity import Duration

HERE = Path(__file__).resolve().parent
WEB = f"python -S {shlex.quote(str(HERE / 'tiny_web.py'))} {{address}} 8080"
CONNINFO = "host=db port=5432 user=copier password=copy-drill-only application_name=db_standby"


def web(
    name: str, run: str = WEB, *, after: tuple[str, ...] = (), **local: Any
) -> tuple[Service, LocalService]:
    """An HTTP service on port 8080."""
    depends = dict.fromkeys(after, "service_healthy")
    local = {"ready": "/", "environment": {"GREETING": name}, **local}
    return Service(name=name, ports=(8080,), depends_on=depends), LocalService(run=run, **local)


def primary(init: Path, *flags: str) -> tuple[Service, LocalService]:
    """A PostgreSQL primary called db, its database `shop`."""
    command = ("postgres", *(word for flag in flags for word in ("-c", flag)))
    environment = {"POSTGRES_PASSWORD": "super-drill-only", "POSTGRES_DB": "shop"}
    mounts = {"/docker-entrypoint-initdb.d": str(init)}
    service = Service(name="db", environment=environment, command=command, ports=(5432,), mounts=mounts)
    return service, LocalService(postgresql="primary")


def standby() -> tuple[Service, LocalService]:
    """Its standby."""
    environment = {"POSTGRES_PASSWORD": "super-drill-only", "PRIMARY_CONNINFO": CONNINFO}
    return Service(
        name="db-standby", environment=environment, command=("postgres",), ports=(5432,)
    ), LocalService(postgresql="standby")


def system(
    folder: Path, services: list[tuple[Service, LocalService]], links: tuple[str, ...] = (), **more: Any
) -> System:
    """A system of these services."""
    return System(
        system="tiny",
        compose="compose.yaml",
        folder=str(folder),
        services={service.name: service for service, _ in services},
        links=tuple(Link.parse(link) for link in links),
        journeys={},
        local={service.name: local for service, local in services},
        **more,
    )


def shop(folder: Path, *, synchronous: bool = True) -> System:
    """A database pair and a web service before it; the population fills a table of 300 rows."""
    init = folder / "init"
    init.mkdir(parents=True)
    (init / "20-table.sql").write_text(
        "CREATE TABLE item (id text PRIMARY KEY);\nALTER TABLE item OWNER TO keeper;"
    )
    (init / "10-roles.sql").write_text(
        "CREATE ROLE copier LOGIN REPLICATION PASSWORD 'copy-drill-only';"
        "CREATE ROLE keeper LOGIN PASSWORD 'keep-drill-only';"
    )
    (folder / "fill.sql").write_text(
        "INSERT INTO item SELECT unnest(%(item)s::text[]); INSERT INTO item VALUES ('seed-' || %(seed)s);"
    )
    flags = ("synchronous_standby_names=db_standby",) if synchronous else ()
    role = DatabaseRole(
        engine="postgresql",
        primary="db",
        standby="db-standby",
        database="shop",
        user="keeper",
        password="keep-drill-only",
        superuser="postgres",
        superuser_password="super-drill-only",
    )
    return system(
        folder,
        [primary(init, *flags), standby(), web("shop", after=("db",))],
        ("customers -> shop", "shop -> db", "db-standby -> db"),
        roles={"database": role},
        population=Population(
            seed=5,
            pools={"item": Pool(count=300, format="I-{n:03d}")},
            load=PopulationLoad(on="database", script="fill.sql"),
        ),
    )


def plan(of: System, wirings: tuple[Wiring, ...] = ()) -> Plan:
    """A plan that drives nothing; PRIMARY_CONNINFO is pointed at its link."""
    drill = Drill.model_validate(
        {
            "drill": "tiny",
            "title": "Tiny",
            "system": "system.yaml",
            "load": {"look": "1/s"},
            "timeline": ({"fault": "process.kill", "on": ("shop",)},),
            "objectives": {"look": {}},
        }
    )
    if "db-standby" in of.services:
        link = "db-standby -> db"
        template = CONNINFO.replace("host=db ", f"host={{link:{link}}} ")
        wirings += (
            Wiring(
                service="db-standby",
                variable="PRIMARY_CONNINFO",
                original=CONNINFO,
                template=template,
                links=(link,),
            ),
        )
    return Plan(
        drill=drill,
        drill_path="tiny.yaml",
        system=of,
        runtime="local",
        seed=1,
        load={},
        probes=(),
        criteria={},
        steps=(),
        wirings=wirings,
        deadline=Duration.parse("60s"),
    )
