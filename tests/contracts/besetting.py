"""What the tests of attacks from outside ask of a watched service, on whatever runtime it is."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from chaoskit import registry
from chaoskit.clock import monotonic_ns
from chaoskit.engines.http_exchange import ask_json
from chaoskit.model.lease import Undo
from chaoskit.model.member import Fault, Witness
from chaoskit.model.outsiders import ADDRESSES
from chaoskit.model.parameters import build

JSON = {"customer": "{user}", "password": "{guess}"}
FLOOD = ("attack.flood", {"path": "/log-in", "json": {}, "rate": 100, "lasts": "60s"})
STUFFING = (
    "attack.credential-stuffing",
    {
        "path": "/log-in",
        "json": JSON,
        "pool": "account",
        "customers": 2,
        "guesses": ["wrong", "right", *(f"{number}" for number in range(40))],
        "then": {"path": "/transfers", "json": {"id": "{key}", "from": "{customer}"}},
        "sources": 40,
    },
)
INJECTION = (
    "attack.injection",
    {
        "path": "/log-in",
        "json": {"customer": "{user}", "password": "{payload}"},
        "pool": "account",
        "payloads": [f"' OR {number}={number} --" for number in range(100)],
    },
)
ATTACKS: list[tuple[str, dict[str, Any]]] = [FLOOD, STUFFING, INJECTION]
STILL_WITHIN_NS = 1_000_000_000  # each of them goes on for longer


async def counts(estate: Any, service: str) -> dict[str, int]:
    """What the service has counted from the attack's addresses, together."""
    shown = (await ask_json(estate.direct(service), "/watch"))["sources"]
    total: dict[str, int] = {}
    for source, counted in shown.items():
        if source.startswith(ADDRESSES):
            for name, value in counted.items():
                total[name] = total.get(name, 0) + value
    return total


async def attack(estate: Any, service: str, name: str, parameters: Mapping[str, Any]) -> tuple[Undo, Witness]:
    """Undone before it was applied, applied, and looked for."""
    fault: Fault = build(registry.member("faults", name), parameters)
    baseline = await fault.baseline(service, estate)
    undo = Undo.model_validate_json((await fault.undo(service, estate)).model_dump_json())
    await estate.undo(undo)
    await fault.apply(service, estate)
    return undo, await fault.witness(service, estate, baseline)


async def only_look(estate: Any, service: str, name: str, parameters: Mapping[str, Any]) -> Witness:
    fault: Fault = build(registry.member("faults", name), parameters)
    return await fault.witness(service, estate, await fault.baseline(service, estate))


async def there_and_back(estate: Any, service: str, name: str, parameters: Mapping[str, Any]) -> None:
    """Seen by the service's own count; ended by an undo that may repeat, and then the count stands still."""
    undo, witness = await attack(estate, service, name, parameters)
    assert witness.seen, witness.how
    assert "itself has counted" in witness.how
    for _ in range(3):
        await estate.undo(undo)
    # What was on its way when he was ended is counted late. One that went on would ask 4 to 40 times between two looks.
    ended, deadline = await counts(estate, service), monotonic_ns() + STILL_WITHIN_NS
    while True:
        await asyncio.sleep(0.4)
        now = await counts(estate, service)
        if now["asked"] == ended["asked"]:
            return
        assert monotonic_ns() < deadline, f"he still asks: {ended}, then {now}"
        ended = now
