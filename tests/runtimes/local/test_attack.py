"""The attacker of `attack.ransomware` on a real database: what he reaches, what stops him, what does not help."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from chaoskit import registry
from chaoskit.engines.damage import marked_rows
from chaoskit.engines.grip import LogIn
from chaoskit.engines.postgresql import PostgreSQL
from chaoskit.intruder.rows import Database
from chaoskit.model.lease import Undo
from chaoskit.model.member import Fault, ResponseFailed, Witness
from chaoskit.model.parameters import build
from chaoskit.model.plan import Plan, Wiring
from chaoskit.model.system import Backup
from chaoskit.runtimes import record as records
from chaoskit.runtimes.local.estate import LocalEstate
from chaoskit.runtimes.process_table import alive
from tests.contracts.responding import Context
from tests.runtimes.local import tiny
from tests.runtimes.local.conftest import Provision, eventually

LINK = "shop -> db"
PASSWORD = "keep-drill-only"
URL = f"postgresql://keeper:{PASSWORD}@{{host}}:5432/shop"
FAULT = "attack.ransomware"


def plan(folder: Path, **environment: str) -> Plan:
    """The tiny shop, whose web service is told how to log in; 301 rows that can be wrecked."""
    shop = tiny.shop(folder)
    told = {"DATABASE_URL": URL.format(host="db"), **environment}
    service = shop.services["shop"].model_copy(update={"environment": told})
    shop = shop.model_copy(
        update={
            "services": {**shop.services, "shop": service},
            "backups": {"nightly": Backup(of="database")},
        }
    )
    template = URL.format(host=f"{{link:{LINK}}}")
    wiring = Wiring(
        service="shop",
        variable="DATABASE_URL",
        original=told["DATABASE_URL"],
        template=template,
        links=(LINK,),
    )
    return tiny.plan(shop, (wiring,))


async def damage(estate: LocalEstate, member: str = "db") -> int:
    role = estate.plan.system.roles["database"]
    return sum((await marked_rows(estate.direct(member), role)).values())


async def attack(estate: LocalEstate, **parameters: Any) -> tuple[Undo, Witness]:
    fault: Fault = build(registry.member("faults", FAULT), parameters)
    baseline = await fault.baseline("shop", estate)
    undo = Undo.model_validate_json((await fault.undo("shop", estate)).model_dump_json())
    await estate.undo(undo)  # before anything was done
    await fault.apply("shop", estate)
    return undo, await fault.witness("shop", estate, baseline)


async def respond(estate: LocalEstate, name: str, *on: str, **parameters: Any) -> dict[str, dict[str, Any]]:
    context = Context(estate)
    response = build(registry.member("responses", name), parameters)
    if hasattr(response, "check"):  # as planning does before anything is started
        response.check(on, estate.plan.system)
    await response.run(on, context)
    return dict(context.facts)


def log(estate: LocalEstate) -> list[dict[str, Any]]:
    text = estate.log_path("attacker-shop").read_text()
    return [json.loads(line) for line in text.splitlines()]


def test_he_wrecks_rows_until_he_is_ended_and_the_copy_is_wrecked_as_well(
    tmp_path: Path, provision: Provision
) -> None:
    async def main() -> None:
        async with provision(plan(tmp_path)) as estate:
            undo, witness = await attack(estate, every="200ms")
            assert witness.seen, witness.how
            assert "read directly" in witness.how
            before = await damage(estate)
            await eventually(lambda: more_than(estate, before), 10)
            for _ in range(3):
                await estate.undo(undo)
            await eventually(lambda: carried_out(estate))
            ended = await damage(estate)
            await asyncio.sleep(1)  # five batches, had he lived
            assert await damage(estate) == ended < 301
            # Whoever promotes the standby now promotes the damage.
            await eventually(lambda: as_much(estate, ended), 10)
            await respond(estate, "promote-standby")
            assert await damage(estate, "db-standby") == ended
            again = await only_look(estate)
            assert not again.seen
            assert "damage before" in again.how

    asyncio.run(main())


def test_on_a_copy_he_waits_and_when_it_is_promoted_he_wrecks_it_as_well(
    tmp_path: Path, provision: Provision
) -> None:
    async def main() -> None:
        async with provision(plan(tmp_path)) as estate:
            at, said = estate.direct("db-standby"), []
            where = ((at.host, at.port),)
            login = LogIn("DATABASE_URL", "", "keeper", PASSWORD, where, "shop")
            one = Database(login, at.host, at.port, 5, lambda event, **facts: said.append((event, facts)))
            for _ in range(3):
                await asyncio.to_thread(one.batch)
            assert [event for event, _ in said] == ["in"]  # once, however often he looks
            assert await damage(estate, "db-standby") == 0
            await respond(estate, "promote-standby")
            for _ in range(2):  # the first may find his session ended
                await asyncio.to_thread(one.batch)
            assert await damage(estate, "db-standby") > 0
            assert said[-1][0] == "rows"

    asyncio.run(main())


async def carried_out(estate: LocalEstate) -> bool:
    """Whether his session has ended: what he had asked for is carried out though he himself was killed."""
    his = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'backup-agent'"
    return await PostgreSQL(estate.direct("db"), estate.plan.system.roles["database"]).value(his, {}) == "0"


async def more_than(estate: LocalEstate, before: int) -> bool:
    return await damage(estate) > before


async def as_much(estate: LocalEstate, rows: int) -> bool:
    return await damage(estate, "db-standby") == rows


async def only_look(estate: LocalEstate) -> Witness:
    fault: Fault = build(registry.member("faults", FAULT), {})
    return await fault.witness("shop", estate, await fault.baseline("shop", estate))


def test_unseen_until_he_acts_and_a_link_that_is_cut_spares_what_lies_behind_it(
    tmp_path: Path, provision: Provision, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chaoskit.faults.attack_ransomware._WITHIN_S", 0.6)

    async def main() -> None:
        async with provision(plan(tmp_path)) as estate:
            unseen = await only_look(estate)  # the control: nobody attacks
            assert (unseen.seen, unseen.seen_ns) == (False, None)
            await estate.links.enable(LINK, False)
            _, witness = await attack(estate)
            assert not witness.seen
            await eventually(lambda: any(one["event"] == "hindered" for one in log(estate)), 10)
            assert await damage(estate) == 0
            await estate.links.enable(LINK, True)  # somebody connects it again and has changed nothing
            await eventually(lambda: more_than(estate, 0), 10)

    asyncio.run(main())


def test_cut_off_he_is_counted_and_let_in_with_the_old_secret_he_is_back(
    tmp_path: Path, provision: Provision
) -> None:
    async def main() -> None:
        async with provision(plan(tmp_path)) as estate:
            await attack(estate, every="200ms")
            fact = (await respond(estate, "isolate", "shop"))["isolated"]
            assert set(fact["links"]) == {"customers -> shop", LINK}
            rows = fact["damage"]["db"]["item"]
            assert 0 < rows < 301
            assert fact["damage"]["db-standby"]["item"] == rows
            await asyncio.sleep(0.5)
            assert await damage(estate) == rows
            at = estate.links.address(LINK)
            with pytest.raises(psycopg.OperationalError):
                psycopg.connect(host=at.host, port=at.port, user="keeper", password=PASSWORD, dbname="shop")
            for name in ("isolate", "reopen"):
                with pytest.raises(ValueError, match="needs `on:`"):
                    await respond(estate, name)
            # What was wrecked is taken out, so that every wrecked row from here on is a new one.
            await PostgreSQL(estate.direct("db"), estate.plan.system.roles["database"]).value(
                "WITH gone AS (DELETE FROM item WHERE id LIKE 'LOCKED:%%' RETURNING id) SELECT count(*) FROM gone",
                {},
            )
            with pytest.raises(ResponseFailed, match="the attacker is back: db: "):
                await respond(estate, "reopen", "shop", rotate=False, watch="5s")
            await respond(estate, "isolate", "shop")
            await PostgreSQL(estate.direct("db"), estate.plan.system.roles["database"]).value(
                "WITH gone AS (DELETE FROM item WHERE id LIKE 'LOCKED:%%' RETURNING id) SELECT count(*) FROM gone",
                {},
            )
            facts = await respond(estate, "reopen", "shop", watch="3s")
            assert facts["opened"]["rotated"] == ["keeper"]
            assert facts["watched"]["refused"] > 0
            assert await damage(estate) == 0
            assert facts["backed-up"] == {"backup": "nightly", "generation": 2, "sound": True}
            # The service itself knows the new one, and nobody has written it down.
            told = estate.positions.environment("shop")["DATABASE_URL"]
            assert PASSWORD not in told
            assert told.partition("keeper:")[2].partition("@")[0] not in str(facts)

    asyncio.run(main())


def test_he_touches_nothing_outside_the_run_and_dies_with_its_supervisor(
    tmp_path: Path, provision: Provision
) -> None:
    """A log-in for another address, and folders that are not the run's backups."""
    other = tmp_path / "other"
    other.mkdir()
    (other / "file").write_text("not yours")
    stranger = "postgresql://keeper:secret@127.0.0.1:5432/shop"

    async def main() -> None:
        environment = {"OTHER_URL": stranger, "OTHER": str(other), "ROOT": "/", "HIGHER": str(tmp_path)}
        async with provision(plan(tmp_path, **environment)) as estate:
            await attack(estate)
            seen = log(estate)
            inside = next(one for one in seen if one["event"] == "inside")
            assert len(inside["targets"]) == 1, inside
            assert {"variable": "OTHER_URL", "host": "127.0.0.1"}.items() <= seen[0].items()
            assert (other / "file").read_text() == "not yours"
            assert (await estate.backups.look("nightly")).sound
            record = estate.supervision.record
            [(pid, start)] = await estate.supervision.call("tree", name="intruder:attacker-shop")
            assert any(one.pid == pid for one in records.processes(record))
            estate.supervision._process.kill()
            await estate.supervision.ended.wait()
            await estate.close()
            assert not alive(pid, start)

    asyncio.run(main())


def test_he_is_gone_when_the_conductor_is_killed(tmp_path: Path) -> None:
    """SIGKILL in the middle of the attack; the lease says how to end him, and the supervisor needs no lease."""
    words = [sys.executable, "-m", "tests.runtimes.local.attacked", str(tmp_path)]
    done = subprocess.run(
        words, capture_output=True, text=True, timeout=60, cwd=tiny.HERE.parents[2], check=False
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    pid, start = map(int, done.stdout.split())
    deadline = time.monotonic() + 15
    while alive(pid, start):
        assert time.monotonic() < deadline, "the attacker outlived the run"
        time.sleep(0.02)


async def wrecked_within_reach(estate: Any) -> None:
    """On every runtime: what the shop can write to, he wrecks; and what is wrecked is not restored."""

    async def unsound() -> bool:
        return not (await estate.backups.look("nightly")).sound

    assert (await respond(estate, "verify-backup"))["backup-verified"]["sound"]
    with pytest.raises(ResponseFailed, match="what came since is in no backup"):
        await respond(estate, "verify-backup", max_age="1us")
    await attack(estate)
    await eventually(unsound, 20)
    with pytest.raises(ResponseFailed, match="could not be restored from"):
        await respond(estate, "verify-backup")
    await respond(estate, "isolate", "shop")
    tree = await estate.processes.tree("db")
    restore = build(registry.member("responses", "restore-backup"), {})
    with pytest.raises(ResponseFailed, match="cannot be used, and nothing was touched"):
        await restore.run((), Context(estate))  # unchecked: its backup names no sound point either
    assert await estate.processes.tree("db") == tree
    with pytest.raises(ValueError, match="names no `resubmit:`"):
        await respond(estate, "resubmit")
    with pytest.raises(ValueError, match="known: nightly"):
        await respond(estate, "restore-backup", backup="weekly")


def test_a_backup_within_his_reach_is_wrecked_and_not_restored(tmp_path: Path, provision: Provision) -> None:
    async def main() -> None:
        async with provision(plan(tmp_path, BACKUP_SHARE="{backups}")) as estate:
            await wrecked_within_reach(estate)

    asyncio.run(main())


PROOF = "SELECT count(*) FROM item WHERE xmin::text::bigint < %(horizon)s::bigint"


async def restored_by_evidence(estate: Any, evidence: dict[str, Any]) -> None:
    """On every runtime; `evidence` is what the shop is to say when it is asked for the point."""
    where = "SELECT pg_snapshot_xmin(pg_current_snapshot()) || ' ' || pg_current_wal_insert_lsn()"
    server = PostgreSQL(estate.direct("db"), estate.plan.system.roles["database"])
    before = (await server.value(where, {})).split()
    at = datetime.now(UTC).isoformat()
    await attack(estate)
    await respond(estate, "isolate", "shop")
    wrecked = (await server.value(where, {})).split()
    await server.committed_write(10)  # a piece of log behind that point, so that recovery can reach it

    def point(place: list[str], proof: str) -> None:
        evidence.clear()
        evidence.update(lsn=place[1], at=at, horizon=place[0], proof=proof)

    point(["1", "wrong"], "301")
    with pytest.raises(ResponseFailed, match="no position in the log"):
        await respond(estate, "restore-backup")
    point(wrecked, "301")
    with pytest.raises(ResponseFailed, match="and the damage is in it: "):
        await respond(estate, "restore-backup")
    point(before, "300")
    with pytest.raises(ResponseFailed, match="is not what was there: 301, not 300"):
        await respond(estate, "restore-backup")
    point(before, "301")
    facts = await respond(estate, "restore-backup")
    assert (facts["restored"]["proof"], facts["restored"]["redundant"]) == ("301", True)
    assert (await damage(estate), await damage(estate, "db-standby")) == (0, 0)
    assert estate.backups.restored("nightly") == at


def test_restored_to_what_the_evidence_says_and_refused_where_that_is_not_what_was_there(
    tmp_path: Path, provision: Provision, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "proof.sql").write_text(PROOF)
    evidence: dict[str, Any] = {}

    async def told(*_: Any) -> dict[str, Any]:
        return evidence

    monkeypatch.setattr("chaoskit.responses.restore_backup.ask_json", told)
    attacked_plan = plan(tmp_path)
    backup = Backup(of="database", restore_point="shop/point", proof="proof.sql")
    system = attacked_plan.system.model_copy(update={"backups": {"nightly": backup}})

    async def main() -> None:
        async with provision(attacked_plan.model_copy(update={"system": system})) as estate:
            await restored_by_evidence(estate, evidence)

    asyncio.run(main())


@pytest.mark.parametrize(
    ("parameters", "words"), [({"every": "1ms"}, "20ms"), ({"rows": 0}, "greater than or equal to 1")]
)
def test_parameters_that_cannot_work_are_refused(parameters: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        build(registry.member("faults", FAULT), parameters)
