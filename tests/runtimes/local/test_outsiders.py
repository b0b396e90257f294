"""Attacks from outside keep the contract of all faults, against a service that counts by source."""

from __future__ import annotations

import asyncio
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from chaoskit import registry
from chaoskit.errors import EnvironmentBroken
from chaoskit.model.member import ResponseFailed
from chaoskit.model.parameters import build
from chaoskit.model.plan import Place, Plan, PlannedStep
from chaoskit.model.system import Pool, Population
from chaoskit.runtimes import record as records
from chaoskit.runtimes.docker.runtime import DockerRuntime
from chaoskit.runtimes.local.runtime import LocalRuntime
from chaoskit.runtimes.process_table import alive
from tests.contracts.besetting import (
    ATTACKS,
    FLOOD,
    INJECTION,
    STUFFING,
    attack,
    counts,
    only_look,
    there_and_back,
)
from tests.contracts.responding import Context
from tests.runtimes.local import tiny
from tests.runtimes.local.conftest import Provision, eventually

WATCHED = tiny.HERE.parents[1] / "contracts" / "watched_web.py"
RUN = f"python -S {shlex.quote(str(WATCHED))} {{address}} 8080"


def plan(folder: Path, *links: str) -> Plan:
    """A web service that watches, and one that does not know what that is."""
    folder.mkdir(exist_ok=True)
    population = Population(pools={"account": Pool(count=20, format="ACC-{n:02d}")})
    services = [tiny.web("web", RUN, ready="/watch"), tiny.web("blind")]
    links = links or ("customers -> web", "customers -> blind")
    return tiny.plan(tiny.system(folder, services, links, population=population))


def test_each_is_seen_by_the_service_itself_and_ended(
    tmp_path: Path, provision: Provision, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with provision(plan(tmp_path)) as estate:
            monkeypatch.setattr("chaoskit.engines.outside._WITHIN_S", 0.3)
            for name, parameters in ATTACKS:
                assert not (await only_look(estate, "web", name, parameters)).seen
            monkeypatch.setattr("chaoskit.engines.outside._WITHIN_S", 10.0)
            for name, parameters in ATTACKS:
                await there_and_back(estate, "web", name, parameters)
            # A second one is told from the first by what was counted before it.
            monkeypatch.setattr("chaoskit.engines.outside._WITHIN_S", 0.3)
            assert not (await only_look(estate, "web", *FLOOD)).seen
            _, witness = await attack(estate, "blind", *FLOOD)
            assert not witness.seen
            assert "did not say" in witness.how

    asyncio.run(main())


def test_a_log_in_that_works_is_used_once_and_the_feed_is_read(tmp_path: Path, provision: Provision) -> None:
    async def main() -> None:
        async with provision(plan(tmp_path)) as estate:
            context = Context(estate)
            reading = build(registry.member("responses", "read-alerts"), {"lasts": "200ms"})
            reading.check(("web",), estate.plan.system)
            await attack(estate, "web", STUFFING[0], {**STUFFING[1], "rate": 100})

            async def used() -> bool:
                return (await counts(estate, "web")).get("used") == 2

            await eventually(used, 10)
            await attack(estate, "web", INJECTION[0], {**INJECTION[1], "rate": 100})
            await reading.run(("web",), context)
            told = [facts for kind, facts in context.facts if kind == "attack-alert"]
            # Each once, however often it was read, and about the second: no address of the first asked for so much.
            assert [one["says"] for one in told] == ["alert", "block"]
            assert told[0]["source"] == "192.0.2.1"
            assert told[0]["at"] <= told[0]["seen"]
            (*_, found) = [facts for kind, facts in context.facts if kind == "attack-counts"]
            assert found["let_in"] == 2
            # 84 passwords, two sessions used, 100 texts: read until the last of them, long after 200 ms.
            assert (found["asked"], found["busy"]) == (186, False)
            assert found["failed"] > 0
            with pytest.raises(ResponseFailed, match="does not say at /watch"):
                await build(registry.member("responses", "read-alerts"), {"lasts": "1ms"}).run(
                    ("blind",), Context(estate)
                )

    asyncio.run(main())


def test_he_dies_with_his_supervisor(tmp_path: Path, provision: Provision) -> None:
    async def main() -> None:
        async with provision(plan(tmp_path)) as estate:
            await attack(estate, "web", *FLOOD)
            fault = build(registry.member("faults", FLOOD[0]), FLOOD[1])
            with pytest.raises(EnvironmentBroken, match="flood-web still goes on: let it end"):
                await fault.apply("web", estate)
            record = estate.supervision.record
            [(pid, start)] = await estate.supervision.call("tree", name="outsider:flood-web")
            assert any(one.pid == pid for one in records.processes(record))
            estate.supervision._process.kill()
            await estate.supervision.ended.wait()
            await estate.close()
            assert not alive(pid, start)

    asyncio.run(main())


def test_he_is_gone_when_the_conductor_is_killed(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "tests.runtimes.local.beset", str(tmp_path)]
    done = subprocess.run(
        words, capture_output=True, text=True, timeout=60, cwd=tiny.HERE.parents[2], check=False
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    pid, start = map(int, done.stdout.split())
    deadline = time.monotonic() + 15
    while alive(pid, start):
        assert time.monotonic() < deadline, "the attacker outlived the run"
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("name", "changed", "words"),
    [
        ("attack.flood", {"rate": 501}, "501 rate: an attack has from 1 to 500"),
        ("attack.flood", {"rate": 0}, "0 rate"),
        ("attack.flood", {"rate": 500, "lasts": "30s"}, "15000 requests"),
        ("attack.flood", {"rate": 10, "lasts": "61s"}, "61 seconds"),
        ("attack.flood", {"sources": 201}, "201 sources"),
        ("attack.flood", {"rate": 1}, "no flood"),
        ("attack.flood", {"path": "log-in"}, "pattern"),
        ("attack.flood", {"path": "/ HTTP/1.1\r\nX-Forwarded-For: 10.0.0.1"}, "pattern"),
        ("attack.flood", {"watch": "watch"}, "pattern"),
        ("attack.credential-stuffing", {"customers": 0}, "0 requests"),
        ("attack.credential-stuffing", {"customers": 1, "guesses": ["a"]}, "too few"),
        ("attack.credential-stuffing", {"then": {"path": "transfers", "json": {}}}, "pattern"),
        ("attack.credential-stuffing", {"json": {"customer": "{user}"}}, "names `{guess}` nowhere"),
        ("attack.credential-stuffing", {"json": {"password": "{guess}"}}, "names `{user}` nowhere"),
        ("attack.injection", {"json": {"password": "{guess}"}}, "names `{payload}` nowhere"),
        ("attack.credential-stuffing", {"rate": 1}, "84 seconds"),
        ("attack.injection", {"payloads": ["a"]}, "too few"),
        ("attack.injection", {"customers": 0}, "at least 1"),
        ("attack.injection", {"rate": 1}, "100 seconds"),
    ],
)
def test_what_is_more_than_a_drill_needs_is_refused(name: str, changed: dict[str, Any], words: str) -> None:
    parameters = {**dict(ATTACKS)[name], **({"lasts": "4s"} if name == "attack.flood" else {}), **changed}
    with pytest.raises(ValueError, match=words):
        build(registry.member("faults", name), parameters)


def test_the_report_says_whose_word_an_address_is(tmp_path: Path) -> None:
    of = plan(tmp_path)
    place = Place(path="drill.yaml", line=1, column=1)
    step = PlannedStep(
        id="flood",
        kind="fault",
        name="attack.flood",
        on=("web",),
        requires=("outsiders",),
        place=place,
        volley=0,
    )
    for runtime in (LocalRuntime(), DockerRuntime()):
        assert not any("comes from" in one.what for one in runtime.fidelity(of))
        said = {one.service: one.what for one in runtime.fidelity(of.model_copy(update={"steps": (step,)}))}
        assert "where a request comes from is what attackers and customers say" in said["web"]
        assert "where a request comes from" not in said["blind"]


def test_what_the_system_does_not_have_is_refused_while_planning(tmp_path: Path) -> None:
    system = plan(tmp_path, "customers -> web").system
    for name, parameters in ATTACKS:
        fault = build(registry.member("faults", name), parameters)
        assert fault.prepare("web", system) == ()
        with pytest.raises(ValueError, match="customers have no link to blind"):
            fault.prepare("blind", system)
    for name, changed, words in (
        (STUFFING[0], {"pool": "card"}, "no pool is called 'card'; known: account"),
        (STUFFING[0], {"customers": 21}, "has 20 members, not 21"),
    ):
        fault = build(registry.member("faults", name), {**STUFFING[1], **changed})
        with pytest.raises(ValueError, match=words):
            fault.prepare("web", system)
    reading = build(registry.member("responses", "read-alerts"), {})
    for on in ((), ("nowhere",), ("web", "blind")):
        with pytest.raises(ValueError, match="the one service"):
            reading.check(on, system)
    with pytest.raises(ValueError, match="up to 5m"):
        build(registry.member("responses", "read-alerts"), {"lasts": "6m"}).check(("web",), system)
