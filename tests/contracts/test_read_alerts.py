"""read-alerts: the feed's own word for an instant counts only where it can be true."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from chaoskit import registry
from chaoskit.clock import monotonic_ns
from chaoskit.model.parameters import build
from tests.contracts.responding import Context


class Idle:
    """Nobody attacks any more."""

    async def busy(self) -> bool:
        return False


def told(monkeypatch: pytest.MonkeyPatch, *stamps: Any) -> tuple[list[dict[str, Any]], list[int]]:
    """What is recorded of a feed that has the n-th of these entries from its n-th look on; and when each look began."""
    looks: list[int] = []

    async def document(*_: Any) -> dict[str, Any]:
        looks.append(monotonic_ns())
        shown = [{"kind": "alert", "what": f"{n}", "at_ns": at} for n, at in enumerate(stamps)]
        return {"alerts": shown[: len(looks)], "sources": {}}

    monkeypatch.setattr("chaoskit.responses.read_alerts.document", document)
    estate = SimpleNamespace(outsiders=Idle(), direct=lambda service: service)
    context = Context(estate)
    reading = build(registry.member("responses", "read-alerts"), {"lasts": "1s"})
    asyncio.run(reading.run(("web",), context))
    return [facts for kind, facts in context.facts if kind == "attack-alert"], looks


def test_an_entry_that_says_it_is_older_than_a_look_without_it_came_between_the_looks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = monotonic_ns()
    (first, second, third, fourth), looks = told(monkeypatch, before, before, monotonic_ns() + 10**15, "soon")
    assert (first["at"], first["since"]) == (
        before,
        before,
    )  # there at the first look: nothing speaks against it
    for entry, look, seen in ((second, 0, 1), (third, 1, 2), (fourth, 2, 3)):
        assert entry["at"] == entry["seen"] >= looks[seen]
        assert entry["since"] <= looks[look] <= entry["at"]


def test_what_it_had_counted_when_it_first_blocked_is_told_and_what_it_had_at_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looks = 0

    async def document(*_: Any) -> dict[str, Any]:
        nonlocal looks
        looks += 1
        blocks = [
            {"kind": "block", "what": "a customer's own", "source": "10.0.0.7"},
            {"kind": "block", "what": "first", "source": "198.51.100.1"},
            {"kind": "block", "what": "second", "source": "198.51.100.2"},
        ]
        counts = {"asked": looks, "refused": 1, "failed": 0, "let_in": 0}
        return {"alerts": blocks[:looks], "sources": {"198.51.100.1": counts, "10.0.0.7": counts}}

    monkeypatch.setattr("chaoskit.responses.read_alerts.document", document)
    context = Context(SimpleNamespace(outsiders=Idle(), direct=lambda service: service))
    reading = build(registry.member("responses", "read-alerts"), {"lasts": "500ms"})
    asyncio.run(reading.run(("web",), context))
    (first, last) = [facts for kind, facts in context.facts if kind == "attack-counts"]
    # The second look was the first that showed a block of the attack's; that he is gone, only the last one says.
    assert (first["asked"], first["busy"], last["busy"]) == (2, True, False)
    assert last["sources"] == {"198.51.100.1": {"asked": looks, "refused": 1, "failed": 0, "let_in": 0}}
