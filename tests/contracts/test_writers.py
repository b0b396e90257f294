"""probe: writers, on a real pair: it sees one that takes writes, and two."""

from __future__ import annotations

import asyncio

import pytest

from chaoskit import registry
from chaoskit.model.member import Look
from chaoskit.model.parameters import build
from tests.contracts.bench_estate import LINKS, Bench, system


async def tried(estate: Bench, lasting: str = "600ms") -> Look:
    probe = build(registry.member("probes", "writers"), {"every": "50ms", "lasting": lasting})
    look: Look = await probe.look("db-standby", estate, 10)
    return look


def test_one_that_takes_writes_and_one_that_follows_are_one(whole_bank: Bench) -> None:
    look = asyncio.run(tried(whole_bank))
    assert look.ok, look
    assert look.found == ()
    assert "db-standby took none of" in look.detail


def test_two_that_take_writes_at_one_time_are_two(bank: Bench) -> None:
    bank.members["db-standby"].execute("SELECT pg_promote()")
    look = asyncio.run(tried(bank))
    assert not look.ok, look
    assert len(look.found) == 1
    assert look.found[0].startswith("db and db-standby both took writes for ")


def test_one_after_the_other_are_never_two(bank: Bench) -> None:
    async def main() -> Look:
        looking = asyncio.create_task(tried(bank, "2s"))
        await asyncio.sleep(0.4)
        await bank.kill("db")
        await asyncio.to_thread(bank.members["db-standby"].execute, "SELECT pg_promote()")
        return await looking

    look = asyncio.run(main())
    assert look.ok, look
    for member in ("db", "db-standby"):
        assert f"{member} took none" not in look.detail


@pytest.mark.parametrize("params", [{"lasting": "16s"}, {"every": "0s"}, {"every": "2s", "lasting": "1s"}])
def test_what_cannot_be_is_refused(params: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="every"):
        build(registry.member("probes", "writers"), params)


def test_it_is_refused_while_planning_on_anything_but_a_standby() -> None:
    probe = build(registry.member("probes", "writers"), {})
    with pytest.raises(ValueError, match="no standby"):
        probe.prepare("db", system(LINKS))
