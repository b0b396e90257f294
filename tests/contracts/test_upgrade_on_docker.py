"""A roll-out and its roll-back once more, on containers: made anew by the release, and by the Compose file again.

customers ──► left, right     the release's files lie over those of the image, its settings beside the file's
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chaoskit import pipeline, registry
from chaoskit.engines import roll_out
from chaoskit.engines.roll_out import said_version
from chaoskit.model.member import ResponseFailed
from chaoskit.runtimes.docker.estate import DockerEstate
from chaoskit.runtimes.docker.runtime import DockerRuntime
from chaoskit.spec import load
from tests.contracts.test_on_docker import Stage
from tests.contracts.test_upgrade import fault, inflict, roll_back
from tests.end_to_end.conftest import Workplace, workplace
from tests.end_to_end.test_bad_upgrade import held_before_it_began
from tests.end_to_end.test_docker_ends import GONE_WITHIN_S, popen, prove_gone
from tests.end_to_end.test_exit_codes import wait_for_event

__all__ = ["workplace"]  # a fixture

pytestmark = pytest.mark.docker

SERVE = """
import json, os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from bank.release import VERSION

class Site(BaseHTTPRequestHandler):
    def do_GET(self):
        said = {"release": VERSION, "limit": os.environ.get("LIMIT"), "kept": os.environ.get("KEPT")}
        body = json.dumps(said).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

ThreadingHTTPServer(("", 8000), Site).serve_forever()
"""


def written(folder: Path) -> Path:
    """A drill of two services whose version is a file of their image, and releases that lie over it."""
    for name, text in (("next", 'VERSION = "2.0"\n'), ("broken", 'raise SystemExit("no such library")\n')):
        (folder / name / "bank").mkdir(parents=True)
        (folder / name / "bank" / "release.py").write_text(text, encoding="utf-8")
    site = {
        "image": "bank:1.0",
        "command": ["python3", "-u", "-c", SERVE.replace("$", "$$")],
        "environment": {"KEPT": "yes"},
        "expose": ["8000"],
        "stop_grace_period": "1s",
    }
    release = {"version": "2.0", "says": {"path": "/"}, "services": ["left", "right"], "pause": "100ms"}
    system = {
        "system": "site",
        "compose": "compose.yaml",
        "links": ["customers -> left", "customers -> right"],
        "journeys": {
            name: {"get": f"{name}/", "good": {"status": 200, "within": "1s"}} for name in ("left", "right")
        },
        "releases": {
            "next": {**release, "files": "next", "environment": {"left": {"LIMIT": "0"}}},
            "broken": {**release, "version": "3.0", "files": "broken", "image-path": "/srv/bank"},
        },
    }
    drill = {
        "drill": "site",
        "title": "A release goes to two services",
        "system": "system.yaml",
        "load": {"left": "10/s", "right": "10/s"},
        "steady": {"for": "1s", "success": "50%", "within": "1m"},
        "timeline": [
            {"at": "0s", "fault": "upgrade.roll-out", "on": "next", "pause": "30s"},
            {"at": "6s", "respond": "roll-back"},
        ],
        "objectives": {"left": {"rto": "1m"}},
    }
    compose = {"services": {"left": site, "right": site}}
    for name, document in (("compose", compose), ("system", system), ("drill", drill)):
        (folder / f"{name}.yaml").write_text(json.dumps(document), encoding="utf-8")
    return folder / "drill.yaml"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("site")
    with pytest.MonkeyPatch.context() as patch, asyncio.Runner() as runner:
        patch.setenv("CHAOSKIT_STATE_DIR", str(folder / "state"))
        plan = pipeline.make_plan(load(written(folder), registry), "docker")
        run = f"test-{os.getpid()}-releases"
        estate = runner.run(DockerRuntime().provision(plan, run, folder / "reports" / run))
        try:
            yield Stage(estate, runner)
        finally:
            runner.run(estate.close())


async def say(estate: DockerEstate, key: str = "release") -> list[str | None]:
    found = estate.plan.system.releases["next"]
    asked = found.model_copy(update={"says": found.says.model_copy(update={"key": key})})
    return [await said_version(service, asked, estate) for service in ("left", "right")]


async def customers(estate: DockerEstate) -> Any:
    """What is answered over the link, whose other end is a container at another address than before."""
    address = estate.links.address("customers -> left")
    reader, writer = await asyncio.open_connection(address.host, address.port)
    writer.write(b"GET / HTTP/1.0\r\n\r\n")
    try:
        return json.loads((await reader.read()).partition(b"\r\n\r\n")[2])["release"]
    finally:
        writer.close()


@pytest.mark.parametrize("strategy", ["all", "one-first"])
def test_it_is_witnessed_by_the_service_itself_and_undone_none_one_or_many_times(
    strategy: str, site: Stage
) -> None:
    estate: Any = site.estate

    async def main() -> None:
        member = fault(strategy=strategy)
        never = await member.undo("next", estate)
        nothing = await member.witness("next", estate, await member.baseline("next", estate))
        assert (nothing.seen, nothing.seen_ns) == (False, None)
        crashed = await estate.exits()
        before = [await estate.processes.tree(name) for name in ("left", "right")]
        await estate.undo(never)
        assert [await estate.processes.tree(name) for name in ("left", "right")] == before, "nothing to undo"

        undo, witness = await inflict(estate, "next", strategy=strategy)
        assert witness.seen, witness.how
        assert "left says it is 2.0, and said 1.0 before" in witness.how
        assert await say(estate) == ["2.0", "2.0"]
        assert await customers(estate) == "2.0"
        assert (await say(estate, "limit"), await say(estate, "kept")) == (["0", None], ["yes", "yes"])
        for _ in range(3):
            await estate.undo(undo)
        assert (await say(estate), await say(estate, "limit")) == (["1.0", "1.0"], [None, None])
        assert await customers(estate) == "1.0"
        assert await estate.exits() == crashed, "what is made anew has not crashed"

    site.run(main())


def test_a_release_that_does_not_come_up_is_told_and_can_be_taken_back(site: Stage) -> None:
    estate: Any = site.estate

    async def main() -> None:
        _, witness = await inflict(estate, "broken")
        assert not witness.seen
        assert "the roll-out stopped: left ended (exit status 1)" in witness.how
        assert await say(estate) == [None, "1.0"]
        context = await roll_back(estate)
        assert [facts["service"] for kind, facts in context.facts if kind == "restored"] == ["left"]
        assert await say(estate) == ["1.0", "1.0"]

    site.run(main())


def test_a_roll_back_halts_the_roll_out_between_two_changes(site: Stage) -> None:
    estate: Any = site.estate

    async def main() -> None:
        member = fault(pause="1m")
        await member.apply("next", estate)
        rolling = roll_out.begun(estate)[-1]
        right = await estate.processes.tree("right")
        while await say(estate) != ["2.0", "1.0"]:
            assert not rolling.failed
            await asyncio.sleep(0.02)  # it tells nobody
        context = await roll_back(estate)
        assert next(facts for kind, facts in context.facts if kind == "halted")["changed"] == ["left"]
        assert rolling.changed == ["left"]
        assert await say(estate) == ["1.0", "1.0"]
        assert await estate.processes.tree("right") == right, "what was not changed is not made anew"

    site.run(main())


@pytest.mark.slow
def test_an_undo_in_the_middle_halts_the_roll_out_and_takes_back_what_had_changed(site: Stage) -> None:
    estate: Any = site.estate

    async def main() -> None:
        member = fault(pause="1m")
        undo = await member.undo("next", estate)
        await member.apply("next", estate)
        rolling = roll_out.begun(estate)[-1]
        right = await estate.processes.tree("right")
        while await say(estate) != ["2.0", "1.0"]:
            assert not rolling.failed
            await asyncio.sleep(0.02)  # it tells nobody
        for _ in range(2):
            await estate.undo(undo)
        assert (await say(estate), rolling.changed) == (["1.0", "1.0"], ["left"])
        assert await estate.processes.tree("right") == right, "what was not changed is not made anew"

    site.run(main())


def test_a_roll_back_of_what_is_back_changes_nothing(site: Stage) -> None:
    estate: Any = site.estate

    async def main() -> None:
        await inflict(estate, "next", strategy="all")
        await roll_back(estate)
        before = await estate.processes.tree("left")
        await roll_back(estate)
        assert await estate.processes.tree("left") == before
        estate.releases.begun.clear()
        with pytest.raises(ResponseFailed, match="no release was rolled out"):
            await roll_back(estate)

    site.run(main())


@pytest.mark.parametrize("event", ["fault.applied", pytest.param("response.begin", marks=pytest.mark.slow)])
def test_sigkill_in_the_middle_of_a_roll_out_or_a_roll_back_leaves_nothing(
    workplace: Workplace, event: str
) -> None:
    workplace.environment["CHAOSKIT_LOCK_DIR"] = str(workplace.folder)  # nothing is measured: no queue
    process = popen(workplace, written(workplace.folder))
    try:
        assert wait_for_event(workplace, event)
        assert held_before_it_began(workplace)
        leases = [
            json.loads(path.read_text()) for path in Path(workplace.folder).glob("state/runs/*/leases/*")
        ]
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert [step["op"] for step in leases[0]["undo"]["steps"]][:2] == ["release.restore", "release.restore"]
    prove_gone(workplace, GONE_WITHIN_S)
