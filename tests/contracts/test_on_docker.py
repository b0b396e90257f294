"""The contract of faults, responses and probes once more, on containers with the real Toxiproxy between them.

customers ──► web ──► db  ◄── (replication) db-standby
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from chaoskit import pipeline, registry
from chaoskit.engines import redundancy
from chaoskit.engines.dialect import knock
from chaoskit.engines.line import RawLine
from chaoskit.engines.postgresql import PostgreSQL
from chaoskit.engines.session import EngineError
from chaoskit.errors import ServiceDown
from chaoskit.model.member import Look
from chaoskit.model.parameters import build
from chaoskit.runtimes.docker.estate import DockerEstate
from chaoskit.runtimes.docker.runtime import DockerRuntime
from chaoskit.spec import load
from tests.contracts.responding import Context
from tests.contracts.test_faults import (
    ON_DATABASE,
    ON_WEB,
    WEB,
    Case,
    answers,
    inflict,
    named,
    not_seen,
    proven,
    there_and_back,
    undo_from_disk,
    undoable,
)
from tests.contracts.test_standby_faults import DRIFTS, LIMIT, NOT_SEEN_S, STANDBY

pytestmark = pytest.mark.docker

HERE = Path(__file__).parent
ROLES = """
CREATE ROLE app LOGIN PASSWORD 'app-test-only';
CREATE ROLE replicator LOGIN REPLICATION PASSWORD 'replicator-test-only';
"""
SETTINGS = ("fsync=off", "shared_buffers=16MB", "autovacuum=off", "wal_receiver_timeout=5s")
ENVIRONMENT = {"POSTGRES_USER": "postgres", "POSTGRES_PASSWORD": "super-test-only", "POSTGRES_DB": "ledger"}
CONNECTION = "host=db port=5432 user=replicator password=replicator-test-only application_name=standby"
HEALTH = {
    "test": ["CMD", "pg_isready", "--quiet", "--host=127.0.0.1", "--username=postgres"],
    "interval": "200ms",
    "retries": 600,
}
_numbers = itertools.count()


def database(**environment: str) -> dict[str, Any]:
    return {
        "image": "bank-postgres:18",
        "command": ["postgres", *itertools.chain(*(("-c", one) for one in SETTINGS))],
        "environment": {**ENVIRONMENT, **environment},
        "volumes": ["./roles:/docker-entrypoint-initdb.d:ro"],
        "healthcheck": HEALTH,
        "expose": ["5432"],
        "stop_grace_period": "5s",
    }


def system() -> dict[str, Any]:
    return {
        "system": "pair",
        "compose": "compose.yaml",
        "roles": {
            "database": {
                "engine": "postgresql",
                "primary": "db",
                "standby": "db-standby",
                "database": "ledger",
                "user": "app",
                "password": "app-test-only",
                "superuser": "postgres",
                "superuser-password": "super-test-only",
            }
        },
        "links": [WEB, "web -> db", "web -> db-standby", "db-standby -> db"],
        "population": {"pools": {"account": {"count": 20, "format": "ACC-{n:02d}"}}},
        "journeys": {"look": {"get": "web/ready", "good": {"status": 200, "within": "1s"}}},
    }


def compose(restart: str) -> dict[str, Any]:
    web = {
        "image": "bank:1.0",
        "command": ["python3", "-u", "watched_web.py", "0.0.0.0", "8000"],
        "working_dir": "/srv/site",
        "volumes": ["./site:/srv/site:ro"],
        "expose": ["8000"],
        "stop_grace_period": "1s",
    }
    standby = {
        **database(PRIMARY_CONNINFO=CONNECTION),
        "depends_on": {"db": {"condition": "service_healthy"}},
    }
    return {"services": {"web": web, "db": {**database(), "restart": restart}, "db-standby": standby}}


@dataclass
class Stage:
    """An estate and the loop it lives in."""

    estate: DockerEstate
    runner: asyncio.Runner

    def run(self, work: Any) -> Any:
        return self.runner.run(work)


def stages(folder: Path, patch: pytest.MonkeyPatch, restart: str = "no") -> Iterator[Stage]:
    """`restart`: the policy of the primary."""
    patch.setenv("CHAOSKIT_STATE_DIR", str(folder / "state"))
    for name, text in (
        ("roles/roles.sql", ROLES),
        ("site/ready", "ready " * 20),
        ("site/watched_web.py", (HERE / "watched_web.py").read_text(encoding="utf-8")),
    ):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    drill = {
        "drill": "pair",
        "title": "Never run",
        "system": "system.yaml",
        "load": {"look": "10/s"},
        "timeline": [{"at": "0s", "fault": "process.kill", "on": "web"}],
        "objectives": {"look": {"rto": "1m"}},
    }
    for name, document in (("compose", compose(restart)), ("system", system()), ("drill", drill)):
        (folder / f"{name}.yaml").write_text(json.dumps(document), encoding="utf-8")
    plan = pipeline.make_plan(load(folder / "drill.yaml", registry), "docker")
    run = f"test-{os.getpid()}-contract-{next(_numbers)}"
    with asyncio.Runner() as runner:
        estate = runner.run(DockerRuntime().provision(plan, run, folder / "reports" / run))
        try:
            yield Stage(estate, runner)
        finally:
            runner.run(estate.close())


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Shared by tests that leave it whole."""
    with pytest.MonkeyPatch.context() as patch:
        yield from stages(tmp_path_factory.mktemp("pair"), patch)


@pytest.fixture
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    """For a test that does not."""
    yield from stages(tmp_path, monkeypatch)


@pytest.fixture
def reviving(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    """For a test that does not leave it whole, with a primary that its restart policy brings back."""
    yield from stages(tmp_path, monkeypatch, "always")


async def until_answered(estate: DockerEstate) -> None:
    async with asyncio.timeout(20):
        while not await answers(estate):  # noqa: ASYNC110 - a container listens without an event for those outside
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("case", undoable(ON_WEB), ids=named)
def test_on_an_http_service(case: Case, whole: Stage) -> None:
    async def main() -> None:
        await there_and_back(case, whole.estate)
        await until_answered(whole.estate)

    whole.run(main())


@pytest.mark.parametrize("case", undoable(ON_DATABASE), ids=named)
def test_on_a_database(case: Case, whole: Stage) -> None:
    async def main() -> None:
        await there_and_back(case, whole.estate)
        server = PostgreSQL(whole.estate.direct("db"), whole.estate.plan.system.roles["database"])
        await server.committed_write(10)

    whole.run(main())


@pytest.mark.parametrize("case", [*DRIFTS, LIMIT], ids=named)
def test_a_standby_is_mended(case: Case, whole: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chaoskit.faults.standby_drift._WITHIN_S", NOT_SEEN_S)

    async def main() -> None:
        lease, witness, _ = await inflict(case, whole.estate)
        assert witness.seen, witness.how
        context = Context(whole.estate)
        await build(registry.member("responses", "mend-standby"), {}).run([STANDBY], context)
        assert [kind for kind, _ in context.facts] == ["mended"]
        await not_seen(case, whole.estate)
        await undo_from_disk(lease, whole.estate)

    whole.run(main())


@pytest.mark.parametrize("name", ["process.kill", "service.stop", "host.loss"])
def test_a_dead_service_stays_dead_and_its_links_look_it_until_it_is_started(name: str, whole: Stage) -> None:
    estate = whole.estate

    async def main() -> None:
        try:
            await dies()
        finally:
            if not await estate.processes.tree("web"):
                await estate.lifecycle.start("web")

    async def dies() -> None:
        case: Case = (name, "web", {})
        await not_seen(case, estate)
        lease, witness, begun = await inflict(case, estate)
        proven(witness, begun)
        if name == "process.kill":
            assert (witness.seen_ns or 0) - begun < 2 * 10**9
        for _ in range(2):
            await undo_from_disk(lease, estate)
        assert await estate.processes.tree("web") == ()
        assert not await answers(estate)
        gone = await knock(estate.links.address(WEB), 1)
        assert gone.kind in (("answered", "silent") if name == "host.loss" else ("refused",))
        context = Context(estate)
        await build(registry.member("responses", "restart-service"), {}).run(["web"], context)
        assert [kind for kind, _ in context.facts] == ["started"]
        await until_answered(estate)
        assert [one for one in await estate.exits() if one.service == "web"] == []

    whole.run(main())


def test_probes_look_at_containers(whole: Stage) -> None:
    estate = whole.estate

    async def look(name: str, service: str, within_s: float = 5.0) -> Look:
        found: Look = await registry.member("probes", name)().look(service, estate, within_s)
        return found

    async def main() -> None:
        for name, service in (("sql", "db"), ("sql", "db-standby"), ("http", "web"), ("tcp", "web")):
            assert (await look(name, service)).ok
        frozen = await estate.processes.freeze("web")
        try:
            assert not (await look("http", "web", 0.3)).ok
            assert (await look("tcp", "web")).ok
        finally:
            await estate.processes.wake(frozen)

    whole.run(main())


@pytest.mark.parametrize(("how", "method"), [("process.kill", "rewind"), ("process.freeze", "base-backup")])
def test_the_standby_is_promoted_and_the_old_primary_fenced_until_it_rejoins(
    how: str, method: str, fresh: Stage
) -> None:
    """A frozen one wakes and believes that it is the primary: `rejoin` ends it, because nobody reaches it any more."""
    estate = fresh.estate

    async def main() -> None:
        role = estate.plan.system.roles["database"]
        line = await RawLine.open(estate.links.address("web -> db"), 2)
        lease, witness, begun = await inflict((how, "db", {}), estate)
        proven(witness, begun)
        context = Context(estate)
        await build(registry.member("responses", "promote-standby"), {}).run(["db-standby"], context)
        assert [kind for kind, _ in context.facts] == ["fenced", "promoted", "writable"]
        assert context.superseded == ["db"]
        await undo_from_disk(lease, estate)  # a frozen one wakes: behind its fence
        assert (await line.ending(2)).kind in ("closed", "reset")
        assert (await knock(estate.links.address("web -> db"), 1)).kind == "refused"
        assert await PostgreSQL(estate.direct("db-standby"), role).writable(5)
        context = Context(estate)
        await build(registry.member("responses", "rejoin"), {"method": method}).run(["db"], context)
        facts = dict(context.facts)["rejoined"]
        assert (facts["method"], facts["follows"], facts.get("fell_back")) == (method, "db-standby", None)
        assert facts["bytes"] > 0
        assert context.readmitted == ["db"]
        assert (await knock(estate.links.address("web -> db"), 1)).kind != "refused"
        context = Context(estate)
        await build(registry.member("responses", "switch-back"), {}).run(["db"], context)
        assert dict(context.facts)["switched"]["paused_ms"] > 0
        seen = await redundancy.look(role, estate, 2.0)
        assert (seen.writer, seen.replayed is not None) == ("db", True)

    fresh.run(main())


def test_a_primary_that_comes_back_after_the_promotion_stays_behind_its_fence(reviving: Stage) -> None:
    """A kill is a crash to the engine: it starts the old primary again, which believes that it is the primary."""
    estate = reviving.estate

    async def main() -> None:
        role = estate.plan.system.roles["database"]
        before = await estate.processes.tree("db")
        lease, witness, begun = await inflict(("process.kill", "db", {}), estate)
        proven(witness, begun)
        await build(registry.member("responses", "promote-standby"), {}).run(["db-standby"], Context(estate))
        async with asyncio.timeout(30):
            while not await writes(estate, "db"):  # noqa: ASYNC110 - no event for those outside
                await asyncio.sleep(0.05)
        assert not set(before) & set(await estate.processes.tree("db"))
        await undo_from_disk(lease, estate)
        assert await PostgreSQL(estate.direct("db-standby"), role).writable(5)
        for link in ("web -> db", "db-standby -> db"):
            assert (await knock(estate.links.address(link), 1)).kind == "refused"

    reviving.run(main())


async def writes(estate: DockerEstate, member: str) -> bool:
    try:
        return await PostgreSQL(estate.direct(member), estate.plan.system.roles["database"]).writable(2)
    except (EngineError, ServiceDown):
        return False
