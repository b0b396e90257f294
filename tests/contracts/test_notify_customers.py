"""notify-customers: what counts is what reached the customers' inbox; a channel that does not deliver fails it."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from chaoskit import pipeline, registry, spec
from chaoskit.clock import monotonic_ns
from chaoskit.engines.http_exchange import NoExchange, exchange
from chaoskit.errors import InputError
from chaoskit.model.estate import Address
from chaoskit.model.journey import Good, Journey
from chaoskit.model.member import ResponseFailed
from chaoskit.model.parameters import build
from chaoskit.quantity import Duration
from tests.contracts.bench_estate import own_address
from tests.contracts.responding import Context

ROOT = Path(__file__).parents[2]
CHANNELS = ["status-page", "app", "sms"]


class Bank:
    """The bank's stand-in, running, as an estate."""

    run = "run-1"

    def __init__(self, at: Address) -> None:
        good = Good(status=200, within=Duration.parse("1s"))
        journeys = {
            "transfer": Journey(post="gateway/t", good=good, title="Transfer between two accounts"),
            "balance": Journey(get="gateway/b", good=good),
        }
        self.plan = SimpleNamespace(system=SimpleNamespace(journeys=journeys))
        self.at = at

    def direct(self, service: str) -> Address:
        assert service == "notices"
        return self.at

    def inbox(self) -> list[dict[str, Any]]:
        status, body = asyncio.run(exchange(self.at, "GET", "/inbox", host="notices", within_s=5))
        assert status == 200
        found: list[dict[str, Any]] = json.loads(body)
        return found


def started(delay_ms: int) -> Iterator[Bank]:
    at = own_address()
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT / "fixtures" / "bank"),
        "LISTEN_HOST": at.host,
        "LISTEN_PORT": str(at.port),
        "SMS_DELAY_MS": str(delay_ms),
    }
    process = subprocess.Popen([sys.executable, "-m", "bank.notices"], env=environment)
    try:
        limit = time.monotonic() + 30
        while True:
            try:
                asyncio.run(exchange(at, "GET", "/health", host="notices", within_s=1))
                break
            except NoExchange:
                assert time.monotonic() < limit
                time.sleep(0.02)  # a process that starts tells nobody when it listens
        yield Bank(at)
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def bank() -> Iterator[Bank]:
    yield from started(150)


@pytest.fixture(scope="module")
def slow_bank() -> Iterator[Bank]:
    yield from started(60_000)


def notify(bank: Bank, step: str, **parameters: Any) -> Context:
    context = Context(bank, step)
    given = {"channels": CHANNELS, "affected": ["transfer", "balance"], "back-in": "10s", **parameters}
    response = build(registry.member("responses", "notify-customers"), given)
    try:
        asyncio.run(response.run(("notices",), context))
    except ResponseFailed as error:
        context.facts.append(("failed", {"why": str(error)}))
    return context


def test_each_channel_delivers_and_its_time_is_the_inboxs(bank: Bank) -> None:
    before = monotonic_ns()
    context = notify(bank, "tell")
    assert [kind for kind, _ in context.facts] == ["notice"] * 3
    facts = {fact["channel"]: fact for _, fact in context.facts}
    assert sorted(facts) == sorted(CHANNELS)
    for one in bank.inbox():
        if one["id"].startswith("run-1/tell/"):
            assert facts[one["channel"]]["delivered"] == one["at_ns"]
            assert before < one["at_ns"] < monotonic_ns()
    assert facts["sms"]["delivered"] - facts["app"]["delivered"] > 100_000_000
    assert facts["app"]["text"] == (
        "Not available at present: Transfer between two accounts, balance. Expected back in 10s."
    )
    assert facts["app"]["expected"] - before == pytest.approx(10e9, abs=1e9)


def test_a_text_message_is_cut_and_what_is_left_of_it_counts(bank: Bank) -> None:
    context = notify(bank, "long", text="x" * 200 + " transfer")
    texts = {fact["channel"]: fact["text"] for _, fact in context.facts}
    assert (len(texts["sms"]), "transfer" in texts["sms"], "transfer" in texts["app"]) == (160, False, True)


def test_an_unknown_channel_fails_after_the_others_were_told(bank: Bank) -> None:
    context = notify(bank, "unknown", channels=["app", "pigeon"])
    assert context.facts[0][1]["channel"] == "app"
    assert context.facts[-1] == ("failed", {"why": "pigeon did not take the notice: HTTP 404"})


def test_taken_and_not_delivered_fails(slow_bank: Bank) -> None:
    context = notify(slow_bank, "late", within="1s")
    assert {fact["channel"] for kind, fact in context.facts if kind == "notice"} == {"status-page", "app"}
    assert context.facts[-1][1]["why"] == "sms delivered nothing within 1s"


def test_a_service_that_is_gone_tells_nobody() -> None:
    context = notify(Bank(own_address()), "gone", within="1s")
    ((kind, fact),) = context.facts
    assert kind == "failed"
    assert "status-page did not take the notice: connection refused" in fact["why"]


def test_nothing_announced_is_nothing_expected(bank: Bank) -> None:
    context = notify(bank, "silent", **{"back-in": None, "channels": ["app"]})
    ((_, fact),) = context.facts
    assert (fact["expected"], "Expected" in fact["text"]) == (None, False)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("affected: [transfr, balance, history]", ":24:14: `affected`: no journey is called 'transfr'"),
        ("channels: [app, app, sms]", ":24:14: `channels`: 'app' is named twice"),
    ],
)
def test_what_cannot_work_is_refused_while_planning(tmp_path: Path, written: str, said: str) -> None:
    key = written.split(":")[0]
    text = (ROOT / "drills" / "resilience" / "customers-told.yaml").read_text()
    lines = [f"    {written}" if line.strip().startswith(f"{key}:") else line for line in text.splitlines()]
    path = tmp_path / "drill.yaml"
    path.write_text("\n".join(lines).replace("../../fixtures", str(ROOT / "fixtures")))
    with pytest.raises(InputError) as caught:
        pipeline.make_plan(spec.load(path, registry), "local")
    assert said in str(caught.value)


def test_the_stand_in_is_declared(tmp_path: Path) -> None:
    loaded = spec.load(ROOT / "drills" / "resilience" / "customers-told.yaml", registry)
    plan = pipeline.make_plan(loaded, "local")
    (notices,) = (one for one in plan.fidelity if one.service == "notices")
    assert (notices.kind, "stands in for status page" in notices.what) == ("stand-in", True)


def test_an_inbox_that_dates_a_notice_back_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    """It says that it was delivered as it was taken, and did not have it at two looks since."""
    taken: list[dict[str, Any]] = []
    looks: list[int] = []

    async def scripted(_: Any, method: str, path: str, body: bytes = b"", **__: Any) -> tuple[int, bytes]:
        if method == "POST":
            taken.append({**json.loads(body), "channel": path.rpartition("/")[2], "at_ns": monotonic_ns()})
            return 202, b""
        looks.append(monotonic_ns())
        return 200, json.dumps(taken if len(looks) > 2 else []).encode()

    monkeypatch.setattr("chaoskit.responses.notify_customers.exchange", scripted)
    context = Context(Bank(own_address()))
    notify = build(registry.member("responses", "notify-customers"), {"channels": ["sms"]})
    asyncio.run(notify.run(("notices",), context))
    ((_, fact),) = context.facts
    assert fact["delivered"] >= looks[2] > looks[1] > taken[0]["at_ns"]
