"""roll-forward on the real `local` runtime: a fix over a bad release, proven by the services, gone with its undo."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import psycopg
import pytest

from chaoskit import registry
from chaoskit.engines import roll_out
from chaoskit.engines.roll_out import said_version
from chaoskit.engines.session import parameters
from chaoskit.model.member import ResponseFailed
from chaoskit.model.parameters import build
from chaoskit.model.release import Migration, Release
from chaoskit.model.system import System
from chaoskit.quantity import Duration
from chaoskit.runtimes.local.estate import LocalEstate
from tests.contracts.responding import Context
from tests.contracts.test_upgrade import (
    columns,
    fault,
    inflict,
    release,
    roll_back,
    run,
    say,
    site,
    with_schema,
)
from tests.runtimes.local import tiny
from tests.runtimes.local.conftest import Provision, provision, state

__all__ = ["provision", "state"]  # fixtures


def fixable(folder: Path) -> System:
    """`next` is for both services, `one` for one of them; `fix` is for both, and `other` for the second alone."""
    system = site(folder)
    (folder / "fixed").mkdir()
    (folder / "fixed" / "site_version.py").write_text('VERSION = "2.1"\n')
    more = {
        "one": release("2", "next", services=("left",)),
        "fix": release("2.1", "fixed", strategy="all"),
        "other": release("2.1", "fixed", services=("right",)),
    }
    return system.model_copy(update={"releases": {**system.releases, **more}})


async def forward(estate: LocalEstate, to: str, **parameters: Any) -> Context:
    context = Context(estate)
    response = build(registry.member("responses", "roll-forward"), {"to": to, **parameters})
    response.check((), estate.plan.system)
    await response.run((), context)
    return context


def told(context: Context, kind: str) -> list[dict[str, Any]]:
    return [facts for one, facts in context.facts if one == kind]


@pytest.mark.parametrize("bad", ["next", "one"])
def test_the_fix_is_put_over_all_its_services_and_goes_with_the_undo_of_what_is_below(
    tmp_path: Path, provision: Provision, bad: str
) -> None:
    async def main() -> None:
        async with provision(tiny.plan(fixable(tmp_path))) as estate:
            undo, _ = await inflict(estate, bad, strategy="all")
            context = await forward(estate, "fix")
            assert await say(estate) == ["2.1", "2.1"]
            (halted,) = told(context, "halted")
            changed = list(estate.plan.system.releases[bad].services)
            assert (halted["release"], halted["changed"]) == (bad, changed)
            found = [(one["service"], one["says"], one["over"]) for one in told(context, "forwarded")]
            assert found == [("left", "2.1", bad), ("right", "2.1", bad)]
            assert len(context.changes) == 1
            for _ in range(2):
                await estate.undo(undo)
            assert await say(estate) == ["1", "1"], "what only the fix had changed is back as well"

    run(main())


def test_it_halts_the_roll_out_and_can_itself_be_rolled_back(tmp_path: Path, provision: Provision) -> None:
    async def main() -> None:
        async with provision(tiny.plan(fixable(tmp_path))) as estate:
            await fault(pause="1m").apply("next", estate)
            (rolling,) = roll_out.begun(estate)
            while await said_version("left", rolling.release, estate) != "2":  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.02)
            context = await forward(estate, "fix", strategy="one-first", pause="0s")
            assert told(context, "halted")[0]["changed"] == ["left"]
            assert await say(estate) == ["2.1", "2.1"]
            await roll_back(estate)
            assert await say(estate) == ["2", "1"], "as each was before the fix"

    run(main())


@pytest.mark.parametrize(
    ("to", "why", "says"),
    [
        ("broken", "left ended", [None, "2"]),
        ("same", "left says it is 1, and not 4", ["1", "1"]),
        ("other", "left still runs next, as other is not for it", ["2", "2.1"]),
        ("next", "next is what was rolled out last", ["2", "2"]),
    ],
)
def test_a_fix_that_is_not_in_place_everywhere_fails(
    tmp_path: Path, provision: Provision, to: str, why: str, says: list[str | None]
) -> None:
    async def main() -> None:
        async with provision(tiny.plan(fixable(tmp_path))) as estate:
            undo, _ = await inflict(estate, "next", strategy="all")
            with pytest.raises(ResponseFailed, match=why):
                await forward(estate, to)
            assert await say(estate) == says
            await estate.undo(undo)
            assert await say(estate) == ["1", "1"]

    run(main())


def test_there_is_nothing_to_put_it_over(tmp_path: Path, provision: Provision) -> None:
    async def main() -> None:
        async with provision(tiny.plan(fixable(tmp_path))) as estate:
            with pytest.raises(ResponseFailed, match="no release was rolled out"):
                await forward(estate, "fix")
            assert await say(estate) == ["1", "1"]

    run(main())


def test_what_cannot_work_is_refused_while_planning(tmp_path: Path) -> None:
    member = build(registry.member("responses", "roll-forward"), {"to": "fxi"})
    system = System.model_construct(releases={"fix": release("2.1", "fixed")})
    with pytest.raises(ValueError, match=r"`to: fxi` must be one of .* known: fix"):
        member.check((), system)
    with pytest.raises(ValueError, match="says which services it is for"):
        member.check(("left",), system)


def schema_fix(folder: Path) -> System:
    """The bad release adds a column and has no way back; its fix renames it, and clears items at the end."""
    system = with_schema(folder)
    for name, text in {
        "rename.sql": "ALTER TABLE item RENAME COLUMN colour TO hue",
        "name-back.sql": "ALTER TABLE item RENAME COLUMN hue TO colour",
        "finish.sql": "INSERT INTO item (id) VALUES ('mended')",
    }.items():
        (folder / name).write_text(text)

    def fix(finish: str) -> Release:
        scripts = Migration(on="database", up="rename.sql", down="name-back.sql", finish=finish)
        return Release(version="3", services=("shop",), migration=scripts, pause=Duration.parse("0s"))

    more = {"fix": fix("finish.sql"), "torn": fix("bad.sql")}
    return system.model_copy(update={"releases": {**system.releases, **more}})


async def mended(estate: LocalEstate) -> int:
    keys: Any = parameters(estate.direct("db"), estate.plan.system.roles["database"], superuser=False)
    async with await psycopg.AsyncConnection.connect(**keys) as connection:
        found = await connection.execute("SELECT count(*) FROM item WHERE id = 'mended'")
        row = await found.fetchone()
        return int(row[0]) if row else 0


@pytest.mark.parametrize(("bad", "left"), [("tinted", {"id"}), ("for-good", {"id", "colour"})])
def test_the_schema_of_the_fix_goes_before_and_its_finish_after_the_last_service(
    tmp_path: Path, provision: Provision, bad: str, left: set[str]
) -> None:
    async def main() -> None:
        async with provision(tiny.plan(schema_fix(tmp_path))) as estate:
            undo, _ = await inflict(estate, bad)
            assert await columns(estate) == {"id", "colour"}
            context = Context(estate)
            response = build(registry.member("responses", "roll-forward"), {"to": "fix"})
            with pytest.raises(ResponseFailed, match="shop says it is nothing"):
                await response.run((), context)  # this web service says nothing of releases
            assert (await columns(estate), await mended(estate)) == ({"id", "hue"}, 1)
            assert [one["script"] for one in told(context, "finished")] == ["finish.sql"]
            for _ in range(2):
                await estate.undo(undo)
            assert (await columns(estate), await mended(estate)) == (left, 1)

    run(main())


def test_a_finish_that_the_database_refuses_is_told(tmp_path: Path, provision: Provision) -> None:
    async def main() -> None:
        async with provision(tiny.plan(schema_fix(tmp_path))) as estate:
            await inflict(estate, "tinted")
            with pytest.raises(ResponseFailed, match=r"bad\.sql failed"):
                await forward(estate, "torn")
            assert await columns(estate) == {"id", "hue"}, "all of a script, or nothing"

    run(main())
