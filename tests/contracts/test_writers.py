"""probe: writers, on a real pair: it sees one that takes writes, and two."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from chaoskit import registry
from chaoskit.clock import monotonic_ns
from chaoskit.engines.postgresql import CommittedWrite
from chaoskit.engines.session import DeadlinePassed, QueryRefused, Unreachable
from chaoskit.model.member import Look
from chaoskit.model.parameters import build
from tests.contracts.bench_estate import LINKS, Bench, system


async def tried(estate: Bench, lasting: str = "2s") -> Look:
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
        looking = asyncio.create_task(tried(bank, "5s"))
        await asyncio.sleep(1)  # the first writes, of which nobody tells
        await bank.kill("db")
        await asyncio.to_thread(bank.members["db-standby"].execute, "SELECT pg_promote()")
        return await looking

    look = asyncio.run(main())
    assert look.ok, look
    for member in ("db", "db-standby"):
        assert f"{member} took none" not in look.detail


class Scripted:
    """A member that answers one try after the other: w takes it, f follows, d is dead, h hangs."""

    def __init__(self, script: Iterator[str]) -> None:
        self._script, self._now = script, "d"

    async def committed_write(self, _: float) -> CommittedWrite:
        self._now = next(self._script, "d")
        if self._now != "w":
            raise {"f": QueryRefused("no writes", "25006"), "d": Unreachable("nobody")}.get(
                self._now, DeadlinePassed("no answer")
            )
        return CommittedWrite("1", "0/1", monotonic_ns(), 1)

    async def in_recovery(self, _: float) -> bool:
        if self._now in "dh":
            raise DeadlinePassed("no answer")
        return self._now == "f"


@pytest.mark.parametrize(
    ("db", "standby", "ok"),
    [
        ("wwwddffffwww", "ffffwwwwdfff", True),  # a promotion, and a planned switch back
        ("wwwddffffwww", "ffffwwwwwwww", False),  # who hands over goes on
        ("wwwddffffwww", "ffffwwwwdfww", False),
        ("wwwddddddwww", "ffffwwwwdfff", False),  # back without ever having followed
        ("wwwhhhhhhwww", "ffffwwwwdfff", False),  # too busy to answer, and the primary all the time
    ],
)
def test_one_that_has_followed_in_between_has_handed_over(
    db: str, standby: str, ok: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    members = {"db": Scripted(iter(db)), "db-standby": Scripted(iter(standby))}
    monkeypatch.setattr("chaoskit.probes.writers.PostgreSQL", lambda member, _: members[member])
    estate = SimpleNamespace(direct=lambda member: member, plan=SimpleNamespace(system=system(LINKS)))
    probe = build(registry.member("probes", "writers"), {"every": "50ms", "lasting": "600ms"})
    look: Look = asyncio.run(probe.look("db-standby", estate, 10))
    assert look.ok is ok, look
    assert ("and from" in look.detail) is (db[-1] == "w" and "f" in db), look


@pytest.mark.parametrize("params", [{"lasting": "16s"}, {"every": "0s"}, {"every": "2s", "lasting": "1s"}])
def test_what_cannot_be_is_refused(params: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="every"):
        build(registry.member("probes", "writers"), params)


def test_it_is_refused_while_planning_on_anything_but_a_standby() -> None:
    probe = build(registry.member("probes", "writers"), {})
    with pytest.raises(ValueError, match="no standby"):
        probe.prepare("db", system(LINKS))
