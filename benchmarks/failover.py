"""Kills the primary of the bank again and again, and prints how long it is until the first good payment, and why.

kill ──► alert ──► fenced ──► promoted ──► first good payment
    detection   fencing    promotion   whoever pays finds it: dead pooled connections, connect timeouts

Two who pay are watched in every trial: customers of the bank, whose ledger asks both members side by side; and an
application that has a pool of plain libpq connections with both hosts in order, as most have.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import statistics
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from tabulate import tabulate

from chaoskit import pipeline, registry, spec
from chaoskit.clock import monotonic_ns
from chaoskit.conductor.detection import Detector, probe_for
from chaoskit.engines.http_exchange import NoExchange, exchange
from chaoskit.engines.session import parameters
from chaoskit.model.drill import When
from chaoskit.model.member import Fault
from chaoskit.model.parameters import build
from chaoskit.quantity import Duration
from chaoskit.runtimes.local.estate import LocalEstate
from chaoskit.runtimes.local.runtime import LocalRuntime

DRILL = Path(__file__).parents[1] / "drills" / "server" / "ledger-primary-crash.yaml"
SETTINGS = {"untuned": ("500ms", 3), "tuned": ("100ms", 3)}
"""How often it is looked, and how many misses in a row mean down."""
TARGET_S = 1.5
_EVERY_S = 0.02
_GOOD_S = 0.5
_GIVE_UP_S = 30.0
_POOL = 4
_PHASES = ("detection", "fencing", "promotion", "bank", "pool")
_WORDS = {
    "detection": "detection",
    "fencing": "fencing",
    "promotion": "promotion",
    "bank": "then the bank's ledger finds it",
    "pool": "then the libpq pool does: dead connections, connect timeouts",
}


@dataclass
class Facts:
    """A recorder and a ResponseContext in one: when what was recorded first."""

    estate: LocalEstate
    step: str = "takeover"
    at: dict[str, int] = field(default_factory=dict)

    def record(self, kind: str, **_: Any) -> Any:
        """Keep the instant."""
        self.at.setdefault(kind, monotonic_ns())

    def change(self) -> None:
        """Nobody waits for a recovery to hold."""

    async def supersede(self, service: str) -> None:
        """No lease was taken."""

    async def readmit(self, service: str) -> None:
        """Nobody comes back here."""


@dataclass
class First:
    """The first payment that was begun after the kill was done, and was good."""

    killed_ns: int = 0
    at: int = 0
    there: asyncio.Event = field(default_factory=asyncio.Event)

    def good(self, sent: int) -> None:
        """A payment begun at `sent` has been confirmed."""
        if self.killed_ns and sent >= self.killed_ns and not self.at:
            self.at = monotonic_ns()
            self.there.set()


async def customers(estate: LocalEstate, first: First) -> None:
    """Transfers through the gateway, one every 20 ms, whether or not the one before was answered."""
    address = estate.links.address("customers -> gateway")
    going: set[asyncio.Task[None]] = set()

    async def pay(number: int) -> None:
        body = {"id": f"bench-{number}", "from": "ACC-00001", "to": "ACC-00002", "amount": "1.00"}
        sent = monotonic_ns()
        with suppress(NoExchange):
            status, _ = await exchange(
                address, "POST", "/transfers", json.dumps(body).encode(), host="gateway", within_s=_GOOD_S
            )
            if status == 201:
                first.good(sent)

    number = 0
    while True:
        number += 1
        task = asyncio.create_task(pay(number))
        going.add(task)
        task.add_done_callback(going.discard)
        await asyncio.sleep(_EVERY_S)


async def pooled(estate: LocalEstate, first: First) -> None:
    """One connection of the pool: used until it breaks, then opened anew as libpq does it, host after host."""
    role = estate.plan.system.roles["database"]
    both = [estate.links.address(f"ledger -> {name}") for name in (role.primary, str(role.standby))]
    keys = {
        **parameters(both[0], role, superuser=False),
        "host": ",".join(one.host for one in both),
        "port": ",".join(str(one.port) for one in both),
        "target_session_attrs": "read-write",
        "connect_timeout": "2",
    }
    while True:
        with suppress(psycopg.Error, OSError):
            connection = await psycopg.AsyncConnection.connect(**keys, autocommit=True)  # type: ignore[arg-type]
            try:
                while True:
                    sent = monotonic_ns()
                    await connection.execute("SELECT pg_logical_emit_message(true, 'bench', 'a payment')")
                    first.good(sent)
                    await asyncio.sleep(_EVERY_S)
            finally:
                connection.pgconn.finish()
        await asyncio.sleep(_EVERY_S)


async def trial(fault: str, every: str, misses: int, folder: Path, number: int) -> dict[str, float]:
    """Seconds of each phase, and from the kill to either's first good payment."""
    plan = pipeline.make_plan(spec.load(DRILL, registry), "local")
    estate = await LocalRuntime().provision(plan, f"failover-{os.getpid()}-{number}", folder / str(number))
    facts, bank, pool = Facts(estate), First(), First()
    paying = [asyncio.create_task(customers(estate, bank))]
    paying += [asyncio.create_task(pooled(estate, pool)) for _ in range(_POOL)]
    try:
        role = plan.system.roles["database"]
        when = When(down=role.primary, every=Duration.parse(every), misses=misses)
        phase = random.Random(number).randrange(when.every.ns)
        probe = probe_for(registry, plan.system, role.primary)
        looking = Detector("takeover", role.primary, probe, when, phase, estate, _as(facts), monotonic_ns)
        alert = asyncio.create_task(looking.alert(monotonic_ns()))
        await asyncio.sleep(1.0)  # customers pay and every connection is open
        member: Fault = build(registry.member("faults", fault), {})
        begun = monotonic_ns()
        await member.apply(role.primary, estate)
        # What was begun before the last process of it was gone may have been confirmed by the one that died.
        bank.killed_ns = pool.killed_ns = monotonic_ns()
        seen = (await alert).at_ns
        await build(registry.member("responses", "promote-standby"), {}).run((str(role.standby),), facts)
        async with asyncio.timeout(_GIVE_UP_S):
            await asyncio.gather(bank.there.wait(), pool.there.wait())
    finally:
        for task in paying:
            task.cancel()
        await asyncio.gather(*paying, return_exceptions=True)
        await estate.close()
    fenced, promoted = facts.at["fenced"], facts.at["promoted"]
    spans = {
        "detection": seen - begun,
        "fencing": fenced - seen,
        "promotion": promoted - fenced,
        "bank": max(0, bank.at - promoted),
        "pool": max(0, pool.at - promoted),
        "bank whole": bank.at - begun,
        "pool whole": pool.at - begun,
    }
    return {name: ns / 1e9 for name, ns in spans.items()}


def _as(facts: Facts) -> Any:
    return facts


def show(name: str, trials: Sequence[dict[str, float]]) -> None:
    """The distribution, its parts, and what the slowest spent most of their time on."""
    rows = [("kill to the bank's first good payment", *row(trials, "bank whole"))]
    rows += [("kill to the pool's first good payment", *row(trials, "pool whole"))]
    rows += [(f"  {_WORDS[phase]}", *row(trials, phase)) for phase in _PHASES]
    every, misses = SETTINGS[name]
    print(f"{name}: {len(trials)} kills, looked for every {every}, {misses} misses")
    print(tabulate(rows, headers=("s", "min", "median", "p90", "max"), disable_numparse=True))
    for whole, last in (("bank whole", "bank"), ("pool whole", "pool")):
        slowest = sorted(trials, key=lambda one: -one[whole])[: max(1, len(trials) // 10)]
        names = ("detection", "fencing", "promotion", last)
        told = [max(names, key=lambda part: one[part]) for one in slowest]
        parts = ", ".join(
            f"{one[whole]:.2f} s, {one[part]:.2f} s of it {part}"
            for one, part in zip(slowest, told, strict=True)
        )
        print(f"tail, {whole.split()[0]}: {parts}")


def row(trials: Sequence[dict[str, float]], part: str) -> tuple[str, str, str, str]:
    """min, median, 90 %, max."""
    values = sorted(one[part] for one in trials)

    def nth(share: float) -> float:
        return values[min(len(values) - 1, int(share * len(values)))]

    return (f"{values[0]:.2f}", f"{statistics.median(values):.2f}", f"{nth(0.9):.2f}", f"{values[-1]:.2f}")


def main() -> int:
    """Exit 1 when a tuned failover took longer than it may."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=20, help="of each setting")
    parser.add_argument("--fault", choices=("process.kill", "host.loss"), default="process.kill")
    asked = parser.parse_args()
    found: dict[str, list[dict[str, float]]] = {name: [] for name in SETTINGS}
    load = [os.getloadavg()[0]]
    with tempfile.TemporaryDirectory(prefix="failover-") as folder:
        for number in range(asked.kills):
            for turn, (name, (every, misses)) in enumerate(SETTINGS.items()):
                one = asyncio.run(trial(asked.fault, every, misses, Path(folder), 2 * number + turn))
                found[name].append(one)
                load.append(os.getloadavg()[0])
    print(f"{asked.fault}; load of the machine {min(load):.1f} to {max(load):.1f} on {os.cpu_count()} cores")
    for name, trials in found.items():
        show(name, trials)
    met = [one["bank whole"] <= TARGET_S for one in found["tuned"]]
    print(f"tuned, the bank: at most {TARGET_S} s in {sum(met)} of {len(met)}")
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
