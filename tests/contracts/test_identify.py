"""identify: the suspect comes from what probes see, and is what is broken and not what suffers from it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import pytest

from chaoskit import registry
from chaoskit.model.estate import Toxic
from chaoskit.model.member import ResponseFailed
from chaoskit.model.parameters import build
from chaoskit.model.system import Link, Service, System
from chaoskit.responses.identify import Seen, suspects_of
from tests.contracts.bench_estate import Bench
from tests.contracts.responding import Context


def only(bench: Bench, *services: str) -> Bench:
    """The bench as a system of the services that run in it."""
    system = bench.plan.system
    kept = {name: system.services[name] for name in services}
    bench.plan.system = system.model_copy(update={"services": kept})
    return bench


def identified(bench: Bench, **parameters: object) -> dict[str, object]:
    context = Context(bench)
    asyncio.run(build(registry.member("responses", "identify"), parameters).run((), context))
    ((kind, facts),) = context.facts
    assert kind == "suspect"
    return facts


def test_the_dead_member_is_named_and_not_what_depends_on_it(bank: Bench) -> None:
    only(bank, "db", "db-standby")
    asyncio.run(bank.kill("db"))
    facts = identified(bank)
    assert (facts["suspect"], facts["others"]) == ("db", [])
    assert any("db: " in str(one) and "refused" in str(one) for one in facts["evidence"])  # type: ignore[attr-defined]
    assert facts["looked_at"] == 2 + len(bank.plan.system.links)


def test_a_frozen_member_is_named(bank: Bench) -> None:
    only(bank, "db", "db-standby")
    asyncio.run(bank.freeze("db-standby"))
    assert identified(bank)["suspect"] == "db-standby"


def test_a_cut_and_a_slow_line_are_named_and_not_the_service_behind_them(web: Bench) -> None:
    only(web, "web")
    asyncio.run(web.enable("customers -> web", False))
    assert identified(web)["suspect"] == "customers -> web"
    asyncio.run(web.enable("customers -> web", True))
    asyncio.run(web.add_toxic("customers -> web", Toxic("late", "latency", "downstream", {"latency": 320})))
    facts = identified(web, timeout="2s")
    assert facts["suspect"] == "customers -> web"
    assert "answered after" in str(facts["evidence"])


def test_where_nothing_is_out_nobody_is_named(web: Bench) -> None:
    only(web, "web")
    with pytest.raises(ResponseFailed, match="nothing is out: all 2 services and links answered"):
        identified(web)


def test_a_limit_that_is_never_seen_is_refused() -> None:
    with pytest.raises(ValueError, match="never seen"):
        build(registry.member("responses", "identify"), {"slow": "2s", "timeout": "1s"})


BANK = ("customers -> gateway", "gateway -> ledger", "ledger -> db", "ledger -> standby", "standby -> db")


@pytest.mark.parametrize(
    ("out", "suspects"),
    [
        (("db", "ledger", "gateway"), ["db"]),
        (("ledger", "gateway"), ["ledger"]),
        (("ledger", "ledger -> db"), ["ledger -> db"]),
        (("db", "ledger -> db", "standby -> db", "ledger"), ["db"]),
        (("db", "standby"), ["db"]),
        (("standby", "gateway"), ["standby", "gateway"]),
        (("gateway", "standby -> db"), ["gateway", "standby -> db"]),
        ((), []),
    ],
)
def test_the_suspect_depends_on_nothing_else_that_is_out(out: Iterable[str], suspects: list[str]) -> None:
    system = System.model_construct(
        services={name: Service(name=name) for name in ("gateway", "ledger", "db", "standby")},
        links=tuple(map(Link.parse, BANK)),
    )
    names = [*system.services, *BANK]
    assert suspects_of(system, {name: Seen(name in out, "") for name in names}) == suspects
