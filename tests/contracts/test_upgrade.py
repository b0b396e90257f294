"""A roll-out and its roll-back on the real `local` runtime: witnessed only when the service says so, undone at will."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import psycopg
import pytest

from chaoskit import registry
from chaoskit.clock import monotonic_ns
from chaoskit.engines import roll_out
from chaoskit.engines.roll_out import said_version
from chaoskit.engines.session import parameters
from chaoskit.model.lease import Undo
from chaoskit.model.member import Fault, ResponseFailed, Witness
from chaoskit.model.parameters import build
from chaoskit.model.release import Migration, Release
from chaoskit.model.system import System
from chaoskit.quantity import Duration
from chaoskit.runtimes.local.estate import LocalEstate
from tests.contracts.responding import Context
from tests.runtimes.local import tiny
from tests.runtimes.local.conftest import Provision, provision, state

__all__ = ["provision", "state"]  # fixtures

SITE = """\
import json, os, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from site_version import VERSION


class Site(BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps({"about": {"release": VERSION, "limit": os.environ.get("LIMIT")}}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


ThreadingHTTPServer((sys.argv[1], 8080), Site).serve_forever()
"""
SAYS = {"path": "/about", "key": "about.release"}


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(work)


def release(version: str, folder: str, **more: Any) -> Release:
    return Release.model_validate(
        {
            "version": version,
            "says": SAYS,
            "services": ("left", "right"),
            "files": folder,
            "pause": "100ms",
            **more,
        },
        strict=False,
    )


def site(folder: Path, **more: Any) -> System:
    """Two services of the same files, and releases whose files are all the difference."""
    for name, text in {
        "code/web.py": SITE,
        "code/site_version.py": 'VERSION = "1"\n',
        "next/site_version.py": 'VERSION = "2"\n',
        "broken/site_version.py": 'raise SystemExit("no such library")\n',
        "same/other.py": "",
    }.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    services = [
        tiny.web(name, "python -S web.py {address}", path="code", directory="code", ready="/about")
        for name in ("left", "right")
    ]
    releases = {
        "next": release("2", "next", environment={"left": {"LIMIT": "0"}}),
        "broken": release("3", "broken"),
        "same": release("4", "same"),
    }
    return tiny.system(
        folder, services, ("customers -> left", "customers -> right"), releases=releases, **more
    )


async def say(estate: LocalEstate, name: str = "next") -> list[str | None]:
    found = estate.plan.system.releases[name]
    return [await said_version(service, found, estate) for service in ("left", "right")]


def fault(**parameters: Any) -> Fault:
    made: Fault = build(registry.member("faults", "upgrade.roll-out"), parameters)
    return made


async def inflict(estate: LocalEstate, name: str, **parameters: Any) -> tuple[Undo, Witness]:
    member = fault(**parameters)
    baseline = await member.baseline(name, estate)
    undo = Undo.model_validate_json((await member.undo(name, estate)).model_dump_json())
    begun = monotonic_ns()
    await member.apply(name, estate)
    witness = await member.witness(name, estate, baseline)
    if witness.seen:
        assert witness.seen_ns is not None
        assert begun < witness.seen_ns <= monotonic_ns()
    return undo, witness


async def roll_back(estate: LocalEstate, *on: str, **parameters: Any) -> Context:
    context = Context(estate)
    await build(registry.member("responses", "roll-back"), parameters).run(on, context)
    return context


@pytest.mark.parametrize("strategy", ["all", "one-first"])
def test_it_is_witnessed_by_the_service_itself_and_undone_none_one_or_many_times(
    tmp_path: Path, provision: Provision, strategy: str
) -> None:
    async def main() -> None:
        async with provision(tiny.plan(site(tmp_path))) as estate:
            member = fault(strategy=strategy)
            never = await member.undo("next", estate)
            nothing = await member.witness("next", estate, await member.baseline("next", estate))
            assert (nothing.seen, nothing.seen_ns) == (False, None)
            before = [await estate.processes.tree(name) for name in ("left", "right")]
            await estate.undo(never)
            assert [await estate.processes.tree(name) for name in ("left", "right")] == before, (
                "nothing to undo"
            )

            undo, witness = await inflict(estate, "next", strategy=strategy)
            assert witness.seen, witness.how
            assert "left says it is 2, and said 1 before" in witness.how
            assert await say(estate) == ["2", "2"]
            for _ in range(3):
                await estate.undo(undo)
            assert await say(estate) == ["1", "1"]
            assert not (await member.witness("next", estate, await member.baseline("next", estate))).seen

    run(main())


def test_settings_come_with_the_release_and_go_with_it(tmp_path: Path, provision: Provision) -> None:
    limit = Release.model_validate(
        {"version": "0", "says": {"path": "/about", "key": "about.limit"}, "services": ("left",)},
        strict=False,
    )

    async def main() -> None:
        async with provision(tiny.plan(site(tmp_path))) as estate:
            undo, _ = await inflict(estate, "next", strategy="all")
            assert [await said_version(name, limit, estate) for name in ("left", "right")] == ["0", None]
            await estate.undo(undo)
            assert await said_version("left", limit, estate) is None

    run(main())


def test_a_release_that_says_what_the_one_before_says_is_not_witnessed(
    tmp_path: Path, provision: Provision
) -> None:
    async def main() -> None:
        async with provision(tiny.plan(site(tmp_path))) as estate:
            _, witness = await inflict(estate, "same", strategy="all")
            assert not witness.seen
            assert "left says it is 1" in witness.how

    run(main())


def test_a_release_that_does_not_come_up_is_told_and_can_be_taken_back(
    tmp_path: Path, provision: Provision
) -> None:
    async def main() -> None:
        async with provision(tiny.plan(site(tmp_path))) as estate:
            _, witness = await inflict(estate, "broken")
            assert not witness.seen
            assert "the roll-out stopped: left ended" in witness.how
            assert await say(estate) == [None, "1"]
            context = await roll_back(estate)
            assert [facts["service"] for kind, facts in context.facts if kind == "restored"] == ["left"]
            assert await say(estate) == ["1", "1"]

    run(main())


def test_a_roll_back_halts_the_roll_out_between_two_changes(tmp_path: Path, provision: Provision) -> None:
    async def main() -> None:
        async with provision(tiny.plan(site(tmp_path))) as estate:
            member = fault(pause="1m")
            baseline = await member.baseline("next", estate)
            await member.apply("next", estate)
            (rolling,) = roll_out.begun(estate)
            right = await estate.processes.tree("right")
            while await said_version("left", rolling.release, estate) != "2":  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.02)
            context = await roll_back(estate)
            halted = next(facts for kind, facts in context.facts if kind == "halted")
            assert halted["changed"] == ["left"]
            assert await say(estate) == ["1", "1"]
            assert await estate.processes.tree("right") == right, "what was not changed is not restarted"
            assert not (await member.witness("next", estate, baseline)).seen, "nobody says it any more"

    run(main())


def test_a_roll_out_with_a_long_pause_is_witnessed_by_what_it_has_changed(
    tmp_path: Path, provision: Provision, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chaoskit.faults.upgrade_roll_out._WITHIN_S", 5.0)

    async def main() -> None:
        async with provision(tiny.plan(site(tmp_path))) as estate:
            _, witness = await inflict(estate, "next", pause="1m")
            assert witness.seen, witness.how
            assert "left says it is 2, and said 1 before; right says it is 1" in witness.how
            assert "not over within 5 s" in witness.how

    run(main())


def test_a_service_that_was_rolled_back_at_once_had_said_it(
    tmp_path: Path, provision: Provision, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chaoskit.faults.upgrade_roll_out._LAST_S", 3600.0)

    async def main() -> None:
        async with provision(tiny.plan(site(tmp_path))) as estate:
            member = fault(pause="1m")
            baseline = await member.baseline("next", estate)
            await member.apply("next", estate)
            seeing = asyncio.create_task(member.witness("next", estate, baseline))
            (rolling,) = roll_out.begun(estate)
            while await said_version("left", rolling.release, estate) != "2":  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.02)
            await asyncio.sleep(0.3)  # the stop rule that finds it wanting looks at half a second of it
            await estate.lifecycle.stop("left")  # the roll-back has begun when the halted roll-out is over
            await rolling.halt()
            async with asyncio.timeout(20):  # nobody waits for what was never changed
                witness = await seeing
            assert witness.seen, witness.how

    run(main())


@pytest.mark.parametrize("times", [1, 2])
def test_an_undo_in_the_middle_halts_the_roll_out_and_takes_back_what_had_changed(
    tmp_path: Path, provision: Provision, times: int
) -> None:
    async def main() -> None:
        async with provision(tiny.plan(site(tmp_path))) as estate:
            member = fault(pause="1m")
            undo = await member.undo("next", estate)
            await member.apply("next", estate)
            (rolling,) = roll_out.begun(estate)
            right = await estate.processes.tree("right")
            while await said_version("left", rolling.release, estate) != "2":  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.02)
            for _ in range(times):
                await estate.undo(undo)
            assert await say(estate) == ["1", "1"]
            assert await estate.processes.tree("right") == right, "what was not changed is not restarted"
            await rolling.ended()
            assert rolling.changed == ["left"]

    run(main())


def test_a_roll_back_that_soaks_lets_the_roll_out_come_to_its_end(
    tmp_path: Path, provision: Provision
) -> None:
    async def main() -> None:
        async with provision(tiny.plan(site(tmp_path))) as estate:
            await fault(pause="300ms").apply("next", estate)
            (rolling,) = roll_out.begun(estate)
            back = asyncio.create_task(roll_back(estate, soak="300ms"))
            await rolling.ended()
            ended = monotonic_ns()
            assert await say(estate) == ["2", "2"]
            context = await back
            (changed,) = context.changes
            assert changed - ended > 250_000_000  # recovery has to hold from then on, and not from the wait
            halted = next(facts for kind, facts in context.facts if kind == "halted")
            assert halted["changed"] == ["left", "right"]
            assert await say(estate) == ["1", "1"]

    run(main())


def test_a_release_that_was_not_rolled_out_in_full_is_taken_back_and_was_not_tried(
    tmp_path: Path, provision: Provision
) -> None:
    async def main() -> None:
        async with provision(tiny.plan(site(tmp_path))) as estate:
            await inflict(estate, "broken")
            with pytest.raises(
                ResponseFailed,
                match="broken was not rolled out in full, so that it was not tried: left ended",
            ):
                await roll_back(estate, soak="100ms")
            assert await say(estate) == ["1", "1"]

    run(main())


def test_what_comes_back_must_say_what_it_said_before(tmp_path: Path, provision: Provision) -> None:
    async def main() -> None:
        async with provision(tiny.plan(site(tmp_path))) as estate:
            await inflict(estate, "next", strategy="all")
            (tmp_path / "code/site_version.py").write_text(
                'VERSION = "9.0"\n'
            )  # neither the release nor what was there; of another size, by which Python knows its cache is old
            with pytest.raises(
                ResponseFailed, match=r"left says it is 9\.0 after the roll-back, and said 1 before"
            ):
                await roll_back(estate)

    run(main())


def test_a_service_that_the_release_was_not_given_to_cannot_be_all_that_is_taken_back(
    tmp_path: Path, provision: Provision
) -> None:
    left = {"left-only": release("5", "next", services=("left",))}

    async def main() -> None:
        system = site(tmp_path)
        system = system.model_copy(update={"releases": {**system.releases, **left}})
        async with provision(tiny.plan(system)) as estate:
            await fault().apply("left-only", estate)
            (rolling,) = roll_out.begun(estate)
            await rolling.ended()
            with pytest.raises(
                ResponseFailed, match="left-only was not given to right: nothing was taken back"
            ):
                await roll_back(estate, "right")

    run(main())


def test_there_is_nothing_to_roll_back(tmp_path: Path, provision: Provision) -> None:
    async def main() -> None:
        async with provision(tiny.plan(site(tmp_path))) as estate:
            with pytest.raises(ResponseFailed, match="no release was rolled out"):
                await roll_back(estate)

    run(main())


def with_schema(folder: Path) -> System:
    shop = tiny.shop(folder, synchronous=False)
    for name, text in {
        "up.sql": "ALTER TABLE item ADD COLUMN colour text; COMMENT ON COLUMN item.colour IS 'of it'",
        "down.sql": "ALTER TABLE item DROP COLUMN colour",
        "bad.sql": "ALTER TABLE item ADD COLUMN size text; ALTER TABLE nowhere ADD COLUMN size text",
    }.items():
        (folder / name).write_text(text)

    def of(version: str, up: str, down: str | None) -> Release:
        return Release(
            version=version,
            services=("shop",),
            migration=Migration(on="database", up=up, down=down),
            pause=Duration.parse("0s"),
        )

    releases = {
        "tinted": of("2", "up.sql", "down.sql"),
        "for-good": of("2", "up.sql", None),
        "refused": of("2", "bad.sql", "down.sql"),
    }
    return shop.model_copy(update={"releases": releases})


async def columns(estate: LocalEstate) -> set[str]:
    role = estate.plan.system.roles["database"]
    keys: Any = parameters(estate.direct("db"), role, superuser=False)
    async with await psycopg.AsyncConnection.connect(**keys) as connection:
        found = await connection.execute(
            "SELECT column_name FROM information_schema.columns WHERE table_name = 'item'"
        )
        return {str(row[0]) for row in await found.fetchall()}


def test_the_schema_goes_up_and_back_and_its_catalogue_is_the_witness(
    tmp_path: Path, provision: Provision
) -> None:
    async def main() -> None:
        async with provision(tiny.plan(with_schema(tmp_path))) as estate:
            undo, witness = await inflict(estate, "tinted")
            assert witness.seen
            assert "the database's catalogue has changed" in witness.how
            assert await columns(estate) == {"id", "colour"}
            for _ in range(2):
                await estate.undo(undo)
            assert await columns(estate) == {"id"}

            undo, _ = await inflict(estate, "tinted")
            with pytest.raises(ResponseFailed, match="shop says it is nothing"):
                await roll_back(estate, schema=False)  # this web service says nothing of releases
            assert await columns(estate) == {"id", "colour"}
            with pytest.raises(ResponseFailed):
                await roll_back(estate)
            assert await columns(estate) == {"id"}

            _, witness = await inflict(estate, "refused")
            assert not witness.seen
            assert "bad.sql failed" in witness.how
            assert await columns(estate) == {"id"}, "all of a migration, or nothing"

            await inflict(estate, "for-good")
            with pytest.raises(ResponseFailed, match="has no `down`"):
                await roll_back(estate)
            assert await columns(estate) == {"id", "colour"}

    run(main())


@pytest.mark.parametrize(("on", "refused"), [((), False), (("site",), False), (("site", "database"), True)])
def test_a_roll_back_of_what_has_no_release_is_refused(on: tuple[str, ...], refused: bool) -> None:
    system = System.model_construct(releases={"next": release("2", "next", services=("site",))})
    member = build(registry.member("responses", "roll-back"), {})
    if not refused:
        member.check(on, system)
        return
    with pytest.raises(ValueError, match="no release is given to database; releases are given to: site"):
        member.check(on, system)
