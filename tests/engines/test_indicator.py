"""Early-warning indicators: when the mark is passed, and what is refused; connections of a real server are counted."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest

from chaoskit import registry
from chaoskit.clock import monotonic_ns
from chaoskit.engines import indicator
from chaoskit.engines.indicator import Reading
from chaoskit.engines.session import parameters
from chaoskit.errors import ServiceDown
from chaoskit.model.member import Look
from chaoskit.model.parameters import build
from chaoskit.quantity import Duration, Percent
from tests.contracts.postgresql_pair import Member, role

MEMBERS: dict[str, dict[str, Any]] = {
    "connections-used": {},
    "disk-used": {"path": "/data"},
    "memory-used": {},
}


def watch(used: list[int | None], lasting: str = "15s") -> dict[str, Any]:
    """What came of these readings, one a look and the last of them for ever."""

    async def read() -> Reading | None:
        now = used.pop(0) if len(used) > 1 else used[0]
        return None if now is None else Reading(now * 10**6, 100 * 10**6, "bytes")

    warn, every = Percent.parse("80%"), Duration.parse("1ms")
    look: Look = asyncio.run(indicator.watch("disk", read, warn, every, Duration.parse(lasting)))
    found: dict[str, Any] = look.facts["indicator"]
    assert look.ok == (found["above_ns"] is None)
    return found


def test_the_mark_was_passed_between_two_looks() -> None:
    begun = monotonic_ns()
    found = watch([10, None, 79, 80])
    assert begun < found["below_ns"] < found["above_ns"] < monotonic_ns()
    assert (found["looks"], found["last"]) == (3, "80 of 100 MB")
    ((dark, seen),) = found["blind"]
    assert begun < dark < seen <= found["below_ns"]


def test_it_may_be_past_it_at_once_or_never_or_be_seen_by_nobody() -> None:
    assert watch([81])["below_ns"] is None
    never = watch([79], "20ms")
    assert (never["above_ns"], never["below_ns"] is not None) == (None, True)
    nothing = watch([None], "20ms")
    assert (nothing["looks"], len(nothing["blind"])) == (0, 1)


def test_a_look_that_cannot_be_had_is_blindness_and_no_end_of_the_watch() -> None:
    async def read() -> Reading | None:
        raise ServiceDown("no container of ledger runs")

    warn, every, lasting = Percent.parse("80%"), Duration.parse("1ms"), Duration.parse("20ms")
    found = asyncio.run(indicator.watch("memory", read, warn, every, lasting)).facts["indicator"]
    assert (found["looks"], len(found["blind"])) == (0, 1)


@pytest.mark.parametrize("name", MEMBERS)
@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"warn": "0%"}, "between 0% and 100%"),
        ({"warn": "100%"}, "between 0% and 100%"),
        ({"lasting": "61s"}, "≤ 1m"),
        ({"every": "3s", "lasting": "2s"}, "0s < every ≤ lasting"),
    ],
)
def test_what_could_never_warn_is_refused(name: str, wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        build(registry.member("probes", name), {**MEMBERS[name], **wrong})


def estate(address: Any) -> Any:
    system = SimpleNamespace(
        roles={"database": role()}, role_of=lambda name: "database" if name == "db" else None
    )
    return SimpleNamespace(plan=SimpleNamespace(system=system), direct=lambda _: address)


def test_connections_that_nobody_closes_pass_the_mark(whole_primary: Member) -> None:
    there = estate(whole_primary.address)
    probe: Any = build(registry.member("probes", "connections-used"), {"lasting": "300ms", "every": "100ms"})
    with pytest.raises(ValueError, match="shop is no member of a database role"):
        probe.prepare("shop", there.plan.system)
    before = asyncio.run(probe.look("db", there, 1))
    assert before.ok, before.detail
    limit = int(before.facts["indicator"]["last"].split()[2])
    keys: Any = parameters(whole_primary.address, role(), superuser=False)
    held = [psycopg.connect(**keys) for _ in range(int(limit * 0.8))]
    try:
        after = asyncio.run(probe.look("db", there, 1))
    finally:
        for one in held:
            one.close()
    assert not after.ok
    assert after.facts["indicator"]["last"].endswith(f"of {limit} connections")
