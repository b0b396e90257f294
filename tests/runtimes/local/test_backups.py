"""A backup of a real database: sound until somebody touches it, and restorable to the byte that is asked for."""

from __future__ import annotations

import asyncio
from pathlib import Path

import psycopg

from chaoskit.model.system import Backup, System
from chaoskit.runtimes.local.estate import LocalEstate
from tests.runtimes.local import tiny
from tests.runtimes.local.conftest import Provision, eventually

NAME = "nightly"


def backed_up(folder: Path) -> System:
    shop = tiny.shop(folder, synchronous=False)
    return shop.model_copy(update={"backups": {NAME: Backup(of="database")}})


def connect(estate: LocalEstate) -> psycopg.Connection[tuple[object, ...]]:
    at = estate.direct("db")
    return psycopg.connect(
        host=at.host,
        port=at.port,
        dbname="shop",
        user="postgres",
        password="super-drill-only",
        autocommit=True,
    )


def ask(estate: LocalEstate, query: str) -> str:
    with connect(estate) as connection:
        row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return str(row[0])


def received(estate: LocalEstate) -> bool:
    """Whether the store has all that the primary has written."""
    behind = (
        "SELECT pg_current_wal_lsn() - write_lsn FROM pg_stat_replication WHERE application_name ~ 'backup'"
    )
    return ask(estate, behind) == "0"


def test_restored_to_a_point_in_time_that_only_the_archived_log_has(
    tmp_path: Path, provision: Provision
) -> None:
    async def main() -> None:
        async with provision(tiny.plan(backed_up(tmp_path))) as estate:
            kept = await estate.backups.look(NAME)
            assert kept.sound, kept.why
            assert kept.generation == 1
            ask(estate, "INSERT INTO item VALUES ('before') RETURNING id")
            lsn = ask(estate, "SELECT pg_current_wal_insert_lsn()")
            ask(estate, "INSERT INTO item VALUES ('after') RETURNING id")
            await eventually(lambda: received(estate), 10)
            for member in ("db", "db-standby"):
                await estate.processes.kill(member)
            await estate.backups.lay(NAME, lsn, "then")
            assert estate.backups.restored(NAME) == "then"
            await estate.lifecycle.start("db")

            async def open_again() -> bool:
                return ask(estate, "SELECT pg_is_in_recovery()") == "False"

            await eventually(open_again, 20)
            found = ask(estate, "SELECT string_agg(id, ',' ORDER BY id) FROM item WHERE id ~ '^[ab]'")
            assert found == "before"
            await estate.backups.settle(NAME)
            await estate.lifecycle.start("db-standby")  # a new copy of what was restored
            assert (await estate.backups.take(NAME)).generation == 2

    asyncio.run(main())


def test_damage_anywhere_in_the_store_is_found(tmp_path: Path, provision: Provision) -> None:
    async def main() -> None:
        async with provision(tiny.plan(backed_up(tmp_path))) as estate:
            folder = estate.backups.store / NAME / "1"
            victim = next((folder / "base" / "base").rglob("1255"))
            content = bytearray(victim.read_bytes())
            content[100] ^= 1
            victim.write_bytes(content)
            kept = await estate.backups.look(NAME)
            assert not kept.sound
            assert "1255" in kept.why
            content[100] ^= 1
            victim.write_bytes(content)
            assert (await estate.backups.look(NAME)).sound
            for piece in list((folder / "wal").iterdir()):
                piece.rename(piece.with_name(piece.name + ".locked"))
            kept = await estate.backups.look(NAME)
            assert "no log" in kept.why

    asyncio.run(main())
