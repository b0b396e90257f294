"""The attacker of `attack.ransomware` in a container: where the kernel keeps him, what moves him, what stops him."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from chaoskit.engines.postgresql import PostgreSQL
from chaoskit.errors import EnvironmentBroken
from chaoskit.model.member import ResponseFailed
from chaoskit.runtimes.docker.engine import engine_url
from chaoskit.runtimes.docker.engine_socket import EngineSocket
from chaoskit.runtimes.docker.removal import labelled
from tests.runtimes.docker.conftest import Provision, eventually, in_a_loop
from tests.runtimes.docker.raided import plan
from tests.runtimes.local.test_attack import (
    PASSWORD,
    PROOF,
    URL,
    as_much,
    attack,
    carried_out,
    damage,
    log,
    more_than,
    only_look,
    respond,
    restored_by_evidence,
    wrecked_within_reach,
)

pytestmark = [pytest.mark.docker, pytest.mark.timeout(240)]

ROOT = Path(__file__).parents[3]
CLEAN = "WITH gone AS (DELETE FROM item WHERE id LIKE 'LOCKED:%%' RETURNING id) SELECT count(*) FROM gone"


def inside(estate: Any) -> list[Any]:
    """The engine's inspection of the attackers' containers."""
    api = estate._ground.engine.client.api
    found = [
        api.inspect_container(one["Id"])
        for one in api.containers(all=True, filters={"label": [f"chaoskit.run={estate.run}"]})
    ]
    return [one for one in found if one["Config"]["Cmd"] == ["chaoskit.intruder"]]


def tried(estate: Any, command: str) -> int:
    """The exit status of a command beside the attacker, as he is."""
    api = estate._ground.engine.client.api
    made = api.exec_create(inside(estate)[0]["Id"], ["sh", "-c", command])["Id"]
    api.exec_start(made)
    return int(api.exec_inspect(made)["ExitCode"])


async def clean(estate: Any) -> None:
    """Wrecked rows are taken out, so that every one from here on is new."""
    role = estate.plan.system.roles["database"]
    await PostgreSQL(estate.direct("db"), role).value(CLEAN, {})


@in_a_loop
async def test_he_has_what_the_service_has_and_is_gone_when_he_is_ended(
    tmp_path: Path, provision: Provision
) -> None:
    async with provision(plan(tmp_path)) as running:
        estate: Any = running
        unseen = await only_look(estate)  # the control: nobody attacks
        assert (unseen.seen, unseen.seen_ns) == (False, None)
        undo, witness = await attack(estate, every="200ms")
        assert witness.seen, witness.how
        (him,) = inside(estate)
        shop = estate.replicas["shop"][0]
        assert him["HostConfig"]["NetworkMode"] == f"container:{shop.id}"
        assert not him["HostConfig"]["Privileged"]
        assert him["Config"]["Labels"]["chaoskit.run"] == estate.run
        told = dict(one.partition("=")[::2] for one in him["Config"]["Env"])
        assert told["DATABASE_URL"] == estate.positions.environment("shop")["DATABASE_URL"]
        assert tried(estate, "test -r /srv/site/page && getent hosts db | grep -q ^169.254.") == 0
        assert tried(estate, "touch /srv/site/his") != 0, "what the service may write he may only read"
        assert tried(estate, "grep -aq [S]impleHTTP /proc/[0-9]*/cmdline") != 0, "processes are not shared"
        before = await damage(estate)
        await eventually(lambda: more_than(estate, before), 10)
        for _ in range(3):
            await estate.undo(undo)
        assert inside(estate) == []
        await eventually(lambda: carried_out(estate), 10)
        ended = await damage(estate)
        await asyncio.sleep(1)  # five batches, had he lived
        assert await damage(estate) == ended < 301
        # Whoever promotes the standby now promotes the damage.
        await eventually(lambda: as_much(estate, ended), 10)


@pytest.mark.slow
@in_a_loop
async def test_made_anew_with_a_new_secret_the_service_works_and_he_who_is_moved_along_is_refused(
    tmp_path: Path, provision: Provision
) -> None:
    async with provision(plan(tmp_path)) as running:
        estate: Any = running
        await attack(estate, every="200ms")
        fact = (await respond(estate, "isolate", "shop"))["isolated"]
        rows = fact["damage"]["db"]["item"]
        assert 0 < rows < 301
        assert fact["damage"]["db-standby"]["item"] == rows
        await asyncio.sleep(0.5)
        assert await damage(estate) == rows
        await clean(estate)
        first = estate.replicas["shop"][0].id
        with pytest.raises(ResponseFailed, match="the attacker is back: db: "):
            await respond(estate, "reopen", "shop", rotate=False, watch="20s")
        assert estate.replicas["shop"][0].id == first, "nothing is made anew for a restart"
        await respond(estate, "isolate", "shop")
        await clean(estate)
        facts = await respond(estate, "reopen", "shop", watch="6s")
        assert facts["opened"]["rotated"] == ["keeper"]
        assert facts["watched"]["refused"] > 0
        assert await damage(estate) == 0
        # He is in the place of the new container, and knows what he knew.
        second = estate.replicas["shop"][0].id
        assert second != first
        (him,) = inside(estate)
        assert him["HostConfig"]["NetworkMode"] == f"container:{second}"
        assert any(PASSWORD in one for one in him["Config"]["Env"])
        told = estate.positions.environment("shop")["DATABASE_URL"]
        assert PASSWORD not in told
        assert told.partition("keeper:")[2].partition("@")[0] not in str(facts)
        assert sum(one["event"] == "inside" for one in log(estate)) == 3
        assert await estate.exits() == ()


@pytest.mark.slow
@in_a_loop
async def test_a_store_that_the_service_mounts_he_wrecks(tmp_path: Path, provision: Provision) -> None:
    within = plan(
        tmp_path,
        backups={"nightly": {"of": "database", "volume": "share"}},
        volumes=["share:/backups"],
        user="0:0",
        environment={"DATABASE_URL": URL.format(host="db"), "BACKUP_SHARE": "/backups"},
    )
    async with provision(within) as estate:
        await wrecked_within_reach(estate)


@pytest.mark.slow
def test_what_no_service_mounts_is_restored_by_the_evidence_and_a_receiver_that_ends_is_told(
    tmp_path: Path, provision: Provision, monkeypatch: pytest.MonkeyPatch
) -> None:
    evidence: dict[str, Any] = {}

    async def told(*_: Any) -> dict[str, Any]:
        return evidence

    monkeypatch.setattr("chaoskit.responses.restore_backup.ask_json", told)
    tmp_path.joinpath("proof.sql").write_text(PROOF, encoding="utf-8")
    backup = {"of": "database", "restore-point": "shop/point", "proof": "proof.sql"}

    async def main() -> None:
        async with provision(plan(tmp_path, backups={"nightly": backup})) as running:
            estate: Any = running
            assert estate.positions.bounds("shop").stores == ()
            await restored_by_evidence(estate, evidence)
            await respond(estate, "reopen", "shop", watch="100ms")
            assert (await estate.backups.look("nightly")).generation == 2
            receiver = estate.backups._receivers["nightly"]
            estate._ground.engine.client.api.kill(receiver)
            with pytest.raises(EnvironmentBroken, match="the log of nightly is no longer received"):
                await eventually(lambda: told_of(estate), 10)

    asyncio.run(main())


async def told_of(estate: Any) -> bool:
    assert await estate.exits() == ()
    return False


@pytest.mark.slow
def test_he_is_gone_when_the_conductor_is_killed(tmp_path: Path) -> None:
    """SIGKILL in the middle of the attack: the janitor goes by the label, and needs no lease."""
    run = f"raided-{os.getpid()}"
    words = [sys.executable, "-m", "tests.runtimes.docker.raided", str(tmp_path), run]
    environment = {**os.environ, "CHAOSKIT_STATE_DIR": str(tmp_path / "state")}
    done = subprocess.run(
        words, capture_output=True, text=True, timeout=120, cwd=ROOT, env=environment, check=False
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert "read directly" in done.stdout
    deadline = time.monotonic() + 20
    while left := labelled(EngineSocket(engine_url()), [f"chaoskit.run={run}"]):
        assert time.monotonic() < deadline, left
        time.sleep(0.05)
