"""restore-backup with `before:`: a migration that has no way back is gone, and so is what was written after it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import psycopg
import pytest

from chaoskit import registry
from chaoskit.engines import roll_out
from chaoskit.engines.postgresql import PostgreSQL
from chaoskit.engines.session import parameters
from chaoskit.errors import ServiceDown
from chaoskit.model.member import ResponseFailed
from chaoskit.model.parameters import build
from chaoskit.model.system import Backup, System
from chaoskit.runtimes.local.estate import LocalEstate
from tests.contracts.responding import Context
from tests.contracts.test_upgrade import columns, inflict, roll_back, with_schema
from tests.runtimes.local import tiny
from tests.runtimes.local.conftest import Provision, provision, state

__all__ = ["provision", "state"]  # fixtures

BACKUP = Backup(of="database", restore_point="shop/point", proof="proof.sql")


def backed_up(folder: Path) -> System:
    system = with_schema(folder)
    (folder / "proof.sql").write_text(
        "SELECT count(*) FROM item WHERE xmin::text::bigint < %(horizon)s::bigint"
    )
    return system.model_copy(update={"backups": {"nightly": BACKUP}})


async def restore(estate: LocalEstate, before: str) -> dict[str, dict[str, Any]]:
    context = Context(estate)
    response = build(registry.member("responses", "restore-backup"), {"before": before})
    response.check((), estate.plan.system)
    await response.run((), context)
    return dict(context.facts)


async def write(estate: LocalEstate, item: str) -> None:
    keys: Any = parameters(estate.direct("db"), estate.plan.system.roles["database"], superuser=False)
    async with await psycopg.AsyncConnection.connect(**keys) as connection:
        await connection.execute("INSERT INTO item (id) VALUES (%s)", (item,))


async def rows(estate: LocalEstate) -> int:
    server = PostgreSQL(estate.direct("db"), estate.plan.system.roles["database"])
    return int(await server.value("SELECT count(*) FROM item", {}))


def test_the_books_are_what_they_were_before_the_roll_out(tmp_path: Path, provision: Provision) -> None:
    async def main() -> None:
        async with provision(tiny.plan(backed_up(tmp_path))) as estate:
            with pytest.raises(ResponseFailed, match="for-good was not rolled out in this run"):
                await restore(estate, "for-good")
            await write(estate, "before")
            _, witness = await inflict(estate, "for-good")
            assert "nightly was noted at 0/" in witness.how
            await write(estate, "after")
            with pytest.raises(ResponseFailed, match="has no `down`"):
                await roll_back(estate)
            assert (await columns(estate), await rows(estate)) == ({"id", "colour"}, 303)

            (rolling,) = roll_out.begun(estate)
            noted, rolling.noted, rolling.unnoted = rolling.noted, {}, "nightly: nobody answered"
            with pytest.raises(ResponseFailed, match="noted no point before it: nightly: nobody answered"):
                await restore(estate, "for-good")
            assert await rows(estate) == 303, "nothing was touched"
            rolling.noted = noted

            facts = await restore(estate, "for-good")
            assert (await columns(estate), await rows(estate)) == ({"id"}, 302)
            assert (facts["restored"]["before"], facts["restored"]["redundant"]) == ("for-good", True)
            assert facts["restored"]["proof"] == facts["restored"]["expected"] == "302"
            assert facts["restored"]["at_ns"] == noted["nightly"].at_ns
            assert estate.backups.restored("nightly") == noted["nightly"].at

    asyncio.run(main())


@pytest.mark.parametrize("trouble", ["dead primary", "lame standby"])
def test_a_primary_without_an_address_is_restored_and_a_standby_that_does_not_stream_is_told(
    tmp_path: Path, provision: Provision, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    async def main() -> None:
        async with provision(tiny.plan(backed_up(tmp_path))) as estate:
            await inflict(estate, "tinted")
            if trouble == "lame standby":

                async def never(*_: Any) -> None:
                    return None

                monkeypatch.setattr("chaoskit.engines.redundancy.until_follows", never)
                with pytest.raises(
                    ResponseFailed, match="is restored, and db-standby was started and did not stream"
                ):
                    await restore(estate, "tinted")
                return
            direct, asked = estate.direct, list[str]()

            def gone_at_first(service: str) -> Any:
                asked.append(service)
                if asked == ["db"]:  # as on a runtime where what is dead has no address
                    raise ServiceDown("db is down")
                return direct(service)

            monkeypatch.setattr(estate, "direct", gone_at_first)
            assert (await restore(estate, "tinted"))["restored"]["redundant"] is True

    asyncio.run(main())


def test_a_release_that_nobody_knows_is_refused_while_planning(tmp_path: Path) -> None:
    system = System.model_construct(backups={"nightly": BACKUP}, releases={"next": None})
    member = build(registry.member("responses", "restore-backup"), {"before": "nxet"})
    with pytest.raises(ValueError, match=r"`before: nxet` must be one of .* known: next"):
        member.check((), system)


def test_a_database_that_does_not_answer_leaves_a_roll_out_without_its_point(
    tmp_path: Path, provision: Provision
) -> None:
    async def main() -> None:
        async with provision(tiny.plan(backed_up(tmp_path))) as estate:
            await estate.processes.kill("db", revive=False)
            _, witness = await inflict(estate, "tinted")
            assert "no way back by a restore: nightly: " in witness.how

    asyncio.run(main())
