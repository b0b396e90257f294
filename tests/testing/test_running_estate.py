"""A running estate by hand: what is broken in a block is mended after it, and a reset brings everything back."""

from __future__ import annotations

import asyncio
import os
import select
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from chaoskit import planner, registry
from chaoskit.errors import EnvironmentBroken, InputError
from chaoskit.model.member import Witness
from chaoskit.runtimes.local.runtime import LocalRuntime
from chaoskit.spec.alone import load_alone
from chaoskit.testing import RunningEstate, Unwitnessed, asked
from chaoskit.testing.live import Live
from chaoskit.toxiproxy.client import Toxiproxy
from tests.testing import shop

LINK = "customers -> web"


@pytest.fixture(scope="module")
def estate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEstate]:
    folder = tmp_path_factory.mktemp("shop")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CHAOSKIT_STATE_DIR", str(folder / "state"))
        running = RunningEstate(load_alone(shop.write(folder)), LocalRuntime(), folder / "reports")
        yield running
        running.close()
        assert not list((folder / "state" / "runs").iterdir())


@pytest.fixture
def shop_estate(estate: RunningEstate) -> Iterator[RunningEstate]:
    """Whole before and after each test."""
    yield estate
    estate.reset()


def main_process(estate: RunningEstate, service: str) -> int:
    async def tree(live: object, customers: object) -> int:
        return min(one.pid for one in await live.estate.processes.tree(service))  # type: ignore[attr-defined]

    return estate.do(tree, 10)  # type: ignore[arg-type]


def test_attempts_are_customers(shop_estate: RunningEstate) -> None:
    visit = shop_estate.journey("visit")
    first, second = visit.attempt(), visit.attempt(item="I-7")
    assert first.ok, first.error
    assert first.status == 200
    assert first.body == b"welcome\n"
    assert 0 < first.seconds < 10
    assert first.values["item"].startswith("I-")
    assert second.values == {"item": "I-7"}
    assert first.key != second.key
    with ThreadPoolExecutor(8) as pool:
        assert all(one.ok for one in pool.map(lambda _: visit.attempt(), range(16)))


def test_what_cannot_be_done_is_not_ok(shop_estate: RunningEstate) -> None:
    bought = shop_estate.journey("buy").attempt(price="2.50 CNY")  # the shop only shows
    assert (bought.outcome, bought.status) == ("unknown", 501)
    assert bought.values == {"price": "2.50"}
    again = shop_estate.journey("buy").again(bought)
    assert again.key == bought.key
    with pytest.raises(TimeoutError, match=r"no good buy within 100ms; the last: .*status 501"):
        shop_estate.journey("buy").until_good("100ms")


@pytest.mark.parametrize("kind", ["latency", "bandwidth", "cut", "timeout", "reset"])
def test_every_kind_of_bad_link(shop_estate: RunningEstate, kind: str) -> None:
    link = shop_estate.link("customers->web")
    given = {"latency": {"latency": "600ms"}, "bandwidth": {"rate": "1KB"}}.get(kind, {})
    with getattr(link, kind)(**given) as fault:
        assert fault.witnessed, fault.witnesses
        answer = shop_estate.journey("visit", patience="2s").attempt()
        if kind == "latency":
            assert answer.ok
            assert answer.seconds > 0.5
            assert not answer.good
        elif kind != "bandwidth":
            assert not answer.ok
    assert shop_estate.journey("visit").until_good("10s")


def test_toxics_by_their_own_names(shop_estate: RunningEstate) -> None:
    visit = shop_estate.journey("visit")
    with shop_estate.link(LINK).limit_data(5):
        assert not visit.attempt().ok
    with shop_estate.link(LINK).slicer(1, pause_us=2000):
        assert visit.attempt().ok
    with pytest.raises(ValueError, match="average_size"), shop_estate.link(LINK).slicer(0):
        pass
    assert visit.attempt().ok


@pytest.mark.parametrize("name", ["process.kill", "process.freeze", "service.stop", "host.loss"])
def test_services_come_back_after_the_block(shop_estate: RunningEstate, name: str) -> None:
    with pytest.raises(ZeroDivisionError), shop_estate.fault(name, on="web") as fault:  # noqa: PT012
        assert fault.witnessed, fault.witnesses
        assert not shop_estate.journey("visit", patience="500ms").attempt().ok
        raise ZeroDivisionError
    assert shop_estate.journey("visit").until_good("10s")


def test_several_at_once_and_in_an_event_loop(shop_estate: RunningEstate) -> None:
    async def body() -> bool:
        async with shop_estate.fault("process.freeze", on=["web", "tool"]) as fault:
            assert sorted(fault.witnesses) == ["tool", "web"]
            answer = await asyncio.to_thread(shop_estate.journey("visit", patience="300ms").attempt)
            return answer.ok

    assert asyncio.run(body()) is False
    assert shop_estate.journey("visit").until_good("10s")


def test_what_nobody_saw_raises_unless_told_otherwise(
    shop_estate: RunningEstate, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def blind(*_: object) -> Witness:
        return Witness(False, None, "it was dark")

    monkeypatch.setattr(registry.member("faults", "link.cut"), "witness", blind)
    with pytest.raises(
        Unwitnessed, match=r"nobody has seen link\.cut take effect: customers -> web: it was dark"
    ):
        shop_estate.link(LINK).cut().begin()
    assert shop_estate.journey("visit").attempt().ok, "it was mended at once"
    with shop_estate.link(LINK).cut(witnessed=False) as fault:
        assert not fault.witnessed
        assert fault.witnesses[LINK].how == "it was dark"
        assert not shop_estate.journey("visit").attempt().ok


def test_a_fault_that_cannot_be_done_leaves_nothing(
    shop_estate: RunningEstate, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def stumble(*_: object) -> None:
        raise OSError("no hands")

    fault = shop_estate.fault("process.freeze", on="web")
    monkeypatch.setattr(registry.member("faults", "process.freeze"), "apply", stumble)
    with pytest.raises(
        EnvironmentBroken, match=r"process\.freeze on web could not be done: OSError: no hands"
    ):
        fault.begin()
    assert shop_estate.standing == ()
    assert shop_estate.reset().was_clean


def test_a_fault_that_stands_is_not_begun_again(shop_estate: RunningEstate) -> None:
    """Its first lease would be forgotten: what `end` undoes is what was begun last."""
    fault = shop_estate.link(LINK).latency("2s")
    with fault:
        with pytest.raises(InputError, match=r"link\.latency on customers -> web stands already"), fault:
            pass
        assert shop_estate.standing == ("link.latency on customers -> web",)
        assert not shop_estate.journey("visit", patience="1s").attempt().ok
    assert shop_estate.journey("visit", patience="1s").attempt().ok
    with fault:
        assert fault.witnessed
    assert shop_estate.reset().was_clean


def test_a_reset_mends_whatever_was_left(shop_estate: RunningEstate) -> None:
    shop_estate.fault("process.freeze", on="tool").begin()
    shop_estate.link(LINK).cut().begin()
    shop_estate.link(LINK).limit_data(3).begin()
    assert shop_estate.standing == ("process.freeze on tool", "link.cut on customers -> web")
    done = shop_estate.reset()
    assert done.left_on == ("process.freeze on tool", "link.cut on customers -> web")
    assert "limit_data" in "".join(done.found)
    assert not done.was_clean
    assert shop_estate.journey("visit").attempt().ok
    assert shop_estate.reset().was_clean


def test_a_reset_mends_what_others_did(shop_estate: RunningEstate) -> None:
    """A toxic of a script of one's own, a SIGSTOP by hand, a service that crashed."""
    shop_estate.journey("visit").attempt()
    link = shop_estate.link(LINK).address
    proxies = Toxiproxy(link.host.rpartition(".")[0] + ".254", 8474)
    proxies.add_toxic(LINK, "latency", "downstream", {"latency": 5000, "jitter": 0}, name="by-hand")
    os.kill(main_process(shop_estate, "web"), signal.SIGSTOP)
    victim = main_process(shop_estate, "tool")
    ending = os.pidfd_open(victim)
    os.kill(victim, signal.SIGKILL)
    assert select.select([ending], [], [], 30)[0]  # a busy machine takes a while to end it
    os.close(ending)
    done = shop_estate.reset()
    assert done.found == (f"by-hand on {LINK}",)
    assert done.restarted == ("tool",)
    assert done.crashed == ("tool (killed by SIGKILL)",)
    assert shop_estate.journey("visit").attempt().ok


def test_a_rebuilt_estate_is_a_new_one(shop_estate: RunningEstate) -> None:
    shop_estate.journey("visit").attempt()
    before = shop_estate.folder
    shop_estate.rebuild()
    assert not shop_estate.running
    assert shop_estate.journey("visit").attempt().ok
    assert shop_estate.folder != before
    assert '"estate.closed"' in (before / "events.jsonl").read_text()
    assert "serving" in shop_estate.log("web")
    assert [one.service for one in shop_estate.fidelity] == ["web", "tool"]


def test_a_start_that_is_broken_off_when_all_is_up_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A test's own time limit, say, while the services are looked at for the first time."""

    async def stumble(*_: object) -> None:
        raise RuntimeError("broken off")

    monkeypatch.setenv("CHAOSKIT_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setattr(Live, "look", stumble)
    estate = RunningEstate(load_alone(shop.write(tmp_path)), LocalRuntime(), tmp_path / "reports")
    with pytest.raises(RuntimeError, match="broken off"):
        estate.journey("visit").attempt()
    assert not list((tmp_path / "state" / "runs").iterdir())


MISTAKES = [
    (lambda e: e.link("customers -> wed"), "no link is called .* did you mean `customers -> web`"),
    (lambda e: e.fault("process.kil", on="web"), "no fault is called .* did you mean `process.kill`"),
    (lambda e: e.fault("process.kill", on="wed"), "no service is called .* did you mean `web`"),
    (lambda e: e.fault("process.kill", on=LINK), "process.kill hits a service, not the link"),
    (lambda e: e.fault("process.kill", on=()), "process.kill needs `on=`: services: web, tool"),
    (
        lambda e: e.fault("link.latency", on=LINK),
        "link.latency needs the parameter `latency`; parameters: latency",
    ),
    (lambda e: e.fault("link.latency", on=LINK, latency="1"), "'1' is no duration; write it like"),
    (lambda e: e.fault("link.latency", on=LINK, late="1s"), "unknown parameter 'late'; known: latency"),
    (
        lambda e: e.fault("clock.skew", on="web", ahead="1h"),
        "needs clocks, which the runtime `local` does not offer",
    ),
    (lambda e: e.journey("vist"), "no journey is called 'vist'; did you mean `visit`"),
    (lambda e: e.journey("visit").attempt(itme="I-1"), "draws no value called 'itme'; did you mean `item`"),
    (lambda e: e.journey("buy").attempt(price="3"), "buy: price='3': .* write it like"),
    (lambda e: e.direct("wed"), "no service is called 'wed'; did you mean `web`"),
    (lambda e: e.sql("SELECT 1"), "sql: no database role is called"),
]


@pytest.mark.parametrize(("mistake", "words"), MISTAKES, ids=[words[:40] for _, words in MISTAKES])
def test_mistakes_are_told_with_what_is_known(
    shop_estate: RunningEstate, mistake: object, words: str
) -> None:
    with pytest.raises(InputError, match=words):
        mistake(shop_estate)  # type: ignore[operator]


def test_a_file_with_mistakes(tmp_path: Path) -> None:
    path = shop.write(tmp_path)
    with pytest.raises(InputError, match="no variant 'x'"):
        load_alone(path, "x")
    path.write_text(path.read_text().replace("customers -> web", "customers -> wed"))
    with pytest.raises(InputError, match=r"system.yaml:3:.*'wed'"):
        load_alone(path)


def test_a_fault_that_needs_preparation_says_how_to_ask(tmp_path: Path) -> None:
    everything = frozenset({"processes", "clocks", "links"})
    loaded = load_alone(shop.write(tmp_path))
    step = asked.step_of(1, "clock.skew", "web", {"ahead": "1h"}, loaded.system, "docker", everything)
    plan = planner.plan(loaded, LocalRuntime(), registry)
    with pytest.raises(
        InputError, match=r"prepare=\[\{'fault': 'clock.skew', 'on': 'web', 'ahead': '1h'\}\]"
    ):
        asked.refuse_unprepared(step, plan)
    prepared = plan.model_copy(update={"preparations": asked.preparations_of([step], loaded.system)})
    asked.refuse_unprepared(step, prepared)
