"""rejoin and switch-back on a real pair of the `local` runtime: nothing is lost, no only writer is ever touched."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest

from chaoskit import registry
from chaoskit.engines import redundancy
from chaoskit.engines.dialect import knock
from chaoskit.engines.session import parameters
from chaoskit.model.member import ResponseFailed
from chaoskit.model.parameters import build
from chaoskit.quantity import Duration
from chaoskit.runtimes.local.estate import LocalEstate
from chaoskit.runtimes.process_table import below
from tests.contracts.responding import Context
from tests.runtimes.local import tiny
from tests.runtimes.local.conftest import Provision, provision, state

__all__ = ["provision", "state"]  # fixtures


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(work)


async def respond(estate: LocalEstate, name: str, *on: str, **parameters: Any) -> Context:
    context = Context(estate)
    await build(registry.member("responses", name), parameters).run(on, context)
    return context


def connect(estate: LocalEstate, member: str) -> psycopg.Connection[Any]:
    role = estate.plan.system.roles["database"]
    keys = parameters(estate.direct(member), role, superuser=True)
    return psycopg.connect(**keys, autocommit=True)  # type: ignore[arg-type]


def items(estate: LocalEstate, member: str) -> set[str]:
    with connect(estate, member) as connection:
        return {row[0] for row in connection.execute("SELECT id FROM item")}


def insert(estate: LocalEstate, member: str, item: str) -> None:
    with connect(estate, member) as connection:
        connection.execute("INSERT INTO item VALUES (%s)", (item,))


async def seen(estate: LocalEstate) -> redundancy.Sight:
    return await redundancy.look(estate.plan.system.roles["database"], estate, 2.0)


def executable(pid: int) -> str:
    with suppress(OSError):  # it has ended since
        return str(Path(f"/proc/{pid}/exe").readlink())
    return ""


def data(estate: LocalEstate, member: str) -> Path:
    return Path(estate.supervision.record.scratch) / member / "data"


def keep_log(estate: LocalEstate) -> None:
    """However soon a checkpoint comes, what a rewound member needs is still there."""
    for member in ("db", "db-standby"):
        with connect(estate, member) as connection:
            connection.execute("ALTER SYSTEM SET wal_keep_size = '256MB'")
            connection.execute("SELECT pg_reload_conf()")


async def failed_over(estate: LocalEstate) -> None:
    """The primary has died and the standby was promoted; what each wrote alone is in its table."""
    await estate.processes.kill("db")
    await respond(estate, "promote-standby", "db-standby")
    await asyncio.to_thread(insert, estate, "db-standby", "after-promotion")


def test_the_old_primary_is_rewound_and_the_roles_are_changed_back(
    tmp_path: Path, provision: Provision
) -> None:
    async def main() -> None:
        async with provision(tiny.plan(tiny.shop(tmp_path, synchronous=False))) as estate:
            insert(estate, "db", "before")
            keep_log(estate)
            await failed_over(estate)
            assert (await seen(estate)).replayed is None

            context = await respond(estate, "rejoin", "db")
            facts = dict(context.facts)["rejoined"]
            assert (facts["method"], facts["follows"], facts.get("fell_back")) == (
                "rewind",
                "db-standby",
                None,
            )
            assert facts["bytes"] > 0
            assert 0 < facts["seconds"] * 1000 <= facts["after_ms"]
            assert "fell_back" not in facts
            assert context.readmitted == ["db"]
            found = await redundancy.until_follows(
                estate.plan.system.roles["database"], estate, facts["position"], 10
            )
            assert found is not None
            assert (found.writer, found.seen) == ("db-standby", True)
            assert {"before", "after-promotion"} <= items(estate, "db")
            assert (await knock(estate.links.address("shop -> db"), 2)).kind != "refused"
            again = await respond(estate, "rejoin", "db")
            assert [kind for kind, _ in again.facts] == ["follows-already"]

            context = await respond(estate, "switch-back", "db")
            facts = dict(context.facts)["switched"]
            assert 0 < facts["paused_ms"] < facts["after_ms"]
            insert(estate, "db", "after-the-switch")
            found = await seen(estate)
            assert (found.writer, found.replayed is not None) == ("db", True)
            assert items(estate, "db") >= {"before", "after-promotion", "after-the-switch"}

    run(main())


def test_a_promotion_and_a_planned_switch_back_in_one_look_are_one_writer(
    tmp_path: Path, provision: Provision
) -> None:
    async def main() -> None:
        async with provision(tiny.plan(tiny.shop(tmp_path, synchronous=False))) as estate:
            keep_log(estate)
            probe = build(registry.member("probes", "writers"), {"lasting": "15s"})
            looking = asyncio.create_task(probe.look("db-standby", estate, 20))
            await asyncio.sleep(1)  # the first writes, of which nobody tells
            await failed_over(estate)
            await respond(estate, "rejoin", "db")
            await respond(estate, "switch-back", "db")
            look = await looking
            assert look.ok, look

    run(main())


def test_an_old_primary_that_follows_by_now_is_started_again_beside_the_new_one(
    tmp_path: Path, provision: Provision
) -> None:
    async def main() -> None:
        async with provision(tiny.plan(tiny.shop(tmp_path, synchronous=False))) as estate:
            keep_log(estate)
            await failed_over(estate)
            with pytest.raises(ResponseFailed, match="would be a second one"):
                await respond(estate, "restart-service", "db")
            await respond(estate, "rejoin", "db")
            await estate.processes.kill("db", revive=False)
            context = await respond(estate, "restart-service", "db")
            assert [kind for kind, _ in context.facts] == ["started"]
            found = await redundancy.until_follows(estate.plan.system.roles["database"], estate, 0, 10)
            assert found is not None
            assert found.writer == "db-standby"

    run(main())


def test_where_it_cannot_be_rewound_a_base_backup_is_made_and_the_reason_told(
    tmp_path: Path, provision: Provision
) -> None:
    async def main() -> None:
        async with provision(tiny.plan(tiny.shop(tmp_path, synchronous=False))) as estate:
            await failed_over(estate)
            shutil.rmtree(data(estate, "db") / "global")
            context = await respond(estate, "rejoin", "db")
            facts = dict(context.facts)["rejoined"]
            assert facts["method"] == "base-backup"
            assert "pg_control" in facts["fell_back"]
            assert facts["bytes"] > 2**20
            assert "after-promotion" in items(estate, "db")
            assert (await seen(estate)).replayed is not None
            await estate.processes.kill("db")
            with pytest.raises(ResponseFailed, match=r"within 5ms|5ms was the deadline"):
                await respond(estate, "rejoin", "db", method="base-backup", within="5ms")

    run(main())


@pytest.mark.slow
def test_where_the_log_since_they_parted_is_gone_it_is_copied_after_all(
    tmp_path: Path, provision: Provision
) -> None:
    """Rewound, and then the new primary has no log from there on: the start waits in vain, and says for what."""

    async def main() -> None:
        system = tiny.shop(tmp_path, synchronous=False)
        hasty = system.local["db"].model_copy(update={"start_within": Duration.parse("8s")})
        plan = tiny.plan(system.model_copy(update={"local": {**system.local, "db": hasty}}))
        async with provision(plan) as estate:
            await failed_over(estate)
            with connect(estate, "db-standby") as connection:
                for _ in range(3):
                    connection.execute("SELECT pg_switch_wal()")
                    connection.execute("CHECKPOINT")
            context = await respond(estate, "rejoin", "db")
            facts = dict(context.facts)["rejoined"]
            assert facts["method"] == "base-backup"
            assert "has already been removed" in facts["fell_back"]
            assert "after-promotion" in items(estate, "db")

    run(main())


def test_the_only_writer_is_never_touched(tmp_path: Path, provision: Provision) -> None:
    async def main() -> None:
        async with provision(tiny.plan(tiny.shop(tmp_path, synchronous=False))) as estate:
            insert(estate, "db", "kept")
            with pytest.raises(
                ResponseFailed, match="db-standby accepts no writes, so db may be the only writer"
            ):
                await respond(estate, "rejoin", "db", method="base-backup")
            await estate.processes.kill("db-standby")
            with pytest.raises(ResponseFailed, match="db-standby does not say that it accepts writes"):
                await respond(estate, "rejoin", "db")
            with pytest.raises(ResponseFailed, match="cannot take over, and nothing was stopped"):
                await respond(estate, "switch-back", "db-standby")
            assert "kept" in items(estate, "db")
            insert(estate, "db", "still a writer")

    run(main())


def test_a_second_writer_within_reach_is_not_rewound(tmp_path: Path, provision: Provision) -> None:
    """Promoted behind everybody's back: both accept writes, and nobody knows which of them is right."""

    async def main() -> None:
        async with provision(tiny.plan(tiny.shop(tmp_path, synchronous=False))) as estate:
            with connect(estate, "db-standby") as connection:
                connection.execute("SELECT pg_promote()")
            with pytest.raises(ResponseFailed, match=r"shop -> db.* leads to it: it may accept writes"):
                await respond(estate, "rejoin", "db")
            insert(estate, "db", "untouched")
            found = await seen(estate)
            assert found.writer is None
            assert "both accept writes" in found.why

    run(main())


def test_when_its_source_dies_the_old_data_is_back_in_its_place(tmp_path: Path, provision: Provision) -> None:
    async def main() -> None:
        async with provision(tiny.plan(tiny.shop(tmp_path, synchronous=False))) as estate:
            insert(estate, "db", "before")
            await failed_over(estate)
            slow = asyncio.ensure_future(
                respond(estate, "rejoin", "db", method="base-backup", rate="1MiB", within="4s")
            )
            half = data(estate, "db").parent
            while not any(half.glob("data.new-*/backup_label")):
                assert not slow.done()
                await asyncio.sleep(0.01)
            await estate.processes.kill("db-standby")
            with pytest.raises(ResponseFailed, match="which died meanwhile"):
                await slow
            assert not list(half.glob("data.*"))
            await estate.lifecycle.start("db")
            assert "before" in items(estate, "db")

    run(main())


def test_within_ends_a_base_backup_that_takes_longer(tmp_path: Path, provision: Provision) -> None:
    """Nothing of it is left, neither a program nor its half copy, and the old data is where it was."""

    async def main() -> None:
        async with provision(tiny.plan(tiny.shop(tmp_path, synchronous=False))) as estate:
            await failed_over(estate)
            with pytest.raises(
                ResponseFailed, match="a base backup of db-standby for db was not done within 2s"
            ):
                await respond(estate, "rejoin", "db", method="base-backup", rate="32KiB", within="2s")
            assert [one.name for one in data(estate, "db").parent.glob("data*")] == ["data"]
            left = below(estate.supervision.record.supervisor.pid).entries
            assert not any("pg_basebackup" in executable(one.pid) for one in left)

    run(main())


@pytest.mark.slow
def test_within_lets_a_base_backup_take_longer_than_a_minute(tmp_path: Path, provision: Provision) -> None:
    async def main() -> None:
        async with provision(tiny.plan(tiny.shop(tmp_path, synchronous=False))) as estate:
            await failed_over(estate)
            size = sum(
                path.stat().st_size for path in data(estate, "db-standby").rglob("*") if path.is_file()
            )
            rate = f"{size // 70 // 1024}KiB"
            context = await respond(estate, "rejoin", "db", method="base-backup", rate=rate, within="5m")
            assert dict(context.facts)["rejoined"]["seconds"] > 60

    run(main())


def test_a_switch_whose_standby_cannot_keep_up_is_called_off(
    tmp_path: Path, provision: Provision, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The replay stands still: the old primary is started again, and nobody is promoted."""

    async def main() -> None:
        async with provision(tiny.plan(tiny.shop(tmp_path, synchronous=False))) as estate:
            with connect(estate, "db-standby") as connection:
                connection.execute("SELECT pg_wal_replay_pause()")
            insert(estate, "db", "while paused")
            with pytest.raises(ResponseFailed, match="did not catch up"):
                await respond(estate, "switch-back", "db-standby", within="500ms")
            context = Context(estate)
            member = build(registry.member("responses", "switch-back"), {"within": "500ms"})

            async def ready(*_: Any) -> None:
                """As if it had caught up a moment ago."""

            monkeypatch.setattr(type(member), "_ready", ready)
            with pytest.raises(ResponseFailed, match="Nobody was promoted; db is the primary again"):
                await member.run(("db-standby",), context)
            insert(estate, "db", "called-off")
            assert (await seen(estate)).writer == "db"

    run(main())
