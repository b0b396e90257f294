"""Detection probes: direct, in the service's own protocol, within their time."""

from __future__ import annotations

import asyncio
import time

import pytest

from chaoskit import registry
from chaoskit.model.member import Look
from tests.contracts.bench_estate import Bench, system


def best(service: str) -> str:
    ranks = {name: one.fits(system(()), service) for name, one in registry.members("probes").items()}
    return max(ranks, key=lambda name: ranks[name])


def look(name: str, service: str, estate: Bench, timeout_s: float = 1.0) -> Look:
    return asyncio.run(registry.member("probes", name)().look(service, estate, timeout_s))


def test_each_service_is_asked_in_its_own_protocol() -> None:
    assert {name: best(name) for name in ("db", "db-standby", "web", "cache")} == {
        "db": "sql",
        "db-standby": "sql",
        "web": "http",
        "cache": "tcp",
    }


def test_a_database_that_is_well_frozen_and_dead(bank: Bench) -> None:
    assert look("sql", "db", bank, 5).ok
    assert look("sql", "db-standby", bank, 5).ok
    asyncio.run(bank.freeze("db"))
    begun = time.monotonic()
    frozen = look("sql", "db", bank, 0.2)
    assert not frozen.ok
    assert "0.2 s" in frozen.detail
    assert time.monotonic() - begun < 1
    asyncio.run(bank.kill("db"))
    dead = look("sql", "db", bank)
    assert not dead.ok
    assert "refused" in dead.detail


def test_a_web_service_that_is_well_frozen_and_dead(web: Bench) -> None:
    assert look("http", "web", web, 5).ok
    asyncio.run(web.freeze("web"))
    assert not look("http", "web", web, 0.2).ok
    assert look("tcp", "web", web).ok  # its kernel still accepts: why a tcp probe is the last resort
    asyncio.run(web.kill("web"))
    assert not look("http", "web", web).ok
    assert not look("tcp", "web", web).ok


def test_an_answer_that_is_not_2xx_is_a_miss(web: Bench) -> None:
    (web.folder / "site" / "ready").unlink()
    missing = look("http", "web", web, 5)
    assert not missing.ok
    assert "404" in missing.detail


@pytest.mark.parametrize("name", sorted(registry.members("probes")))
def test_the_manual_page_shows_where_it_is_used(name: str) -> None:
    page = registry.member("probes", name).__doc__ or ""
    assert "when: {down:" in page or f"probe: {name}" in page
