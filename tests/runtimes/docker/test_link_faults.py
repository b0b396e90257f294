"""The faults of links, and the loss of a host, keep the contract of all faults on the real Toxiproxy as well."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.contracts.test_faults import Case, inflict, named, not_seen, proven, there_and_back
from tests.runtimes.docker.links_bench import Bench, Running

pytestmark = pytest.mark.docker
LINK = "web -> db"
CASES: list[Case] = [
    ("link.cut", LINK, {}),
    ("link.cut", "customers -> web", {}),
    ("link.latency", LINK, {"latency": "400ms"}),
    ("link.latency", LINK, {"latency": "120ms", "jitter": "40ms", "direction": "requests"}),
    ("link.bandwidth", LINK, {"rate": "20KB"}),
    ("link.bandwidth", LINK, {"rate": "200KB", "direction": "requests"}),
    ("link.reset", LINK, {}),
    ("link.reset", LINK, {"after": "300ms"}),
    ("link.timeout", LINK, {}),
    ("link.timeout", LINK, {"after": "100ms", "direction": "requests"}),
    ("link.timeout", LINK, {"direction": "answers"}),
]


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    made = Running(("customers -> web", LINK, "web -> cache"))
    yield made
    made.close()


@pytest.mark.parametrize("case", CASES, ids=named)
def test_there_and_back(case: Case, running: Running) -> None:
    here: Any = running.bench
    running.do(there_and_back(case, here))
    assert here.ask(case[1]).endswith(b" hello\n")
    assert not here.links.restarts()


def test_host_loss(running: Running) -> None:
    async def main(here: Any) -> None:
        case: Case = ("host.loss", "cache", {})
        await not_seen(case, here)
        _, witness, begun = await inflict(case, here)
        proven(witness, begun)

    running.do(main(running.bench))
    here: Bench = running.bench
    assert here.ask(LINK) == b"db hello\n"
