"""resubmit: what the system says it has sent again is recorded; an answer that does not say it fails the step."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from chaoskit.model.estate import Address
from chaoskit.model.member import ResponseFailed
from chaoskit.responses.resubmit import Resubmit
from tests.contracts.responding import Context


def resubmit(told: Any, monkeypatch: pytest.MonkeyPatch) -> tuple[list[tuple[str, dict[str, Any]]], str]:
    """What is recorded when the system answers this, and why the response failed, if it did."""

    async def answer(*_: Any) -> Any:
        return told

    monkeypatch.setattr("chaoskit.responses.resubmit.ask_json", answer)
    estate = SimpleNamespace(
        plan=SimpleNamespace(
            system=SimpleNamespace(backups={"books": SimpleNamespace(resubmit="gateway/resubmit")})
        ),
        backups=SimpleNamespace(restored=lambda name: "2026-11-27T12:00:00+00:00"),
        direct=lambda service: Address("127.0.0.1", 1),
    )
    context = Context(estate)
    try:
        asyncio.run(Resubmit().run((), context))
    except ResponseFailed as error:
        return context.facts, str(error)
    return context.facts, ""


def test_its_lists_are_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    ((kind, facts),), why = resubmit({"resubmitted": ["a"], "replayed": ["b", "c"]}, monkeypatch)
    assert (kind, why) == ("resubmitted", "")
    assert (facts["resubmitted"], facts["replayed"], facts["unknown"]) == (["a"], ["b", "c"], [])


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ({}, "the answer has none of resubmitted, replayed, refused, unknown"),
        ({"resubmitted": 12, "unknown": 3}, "`resubmitted` of the answer is no list of keys: 12"),
        ({"resubmitted": ["a"], "unknown": "many"}, "`unknown` of the answer is no list of keys: many"),
        ({"resubmitted": ["a"], "unknown": None}, "`unknown` of the answer is no list of keys: None"),
    ],
)
def test_an_answer_that_lists_nothing_is_no_proof(
    told: Any, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts, failed = resubmit(told, monkeypatch)
    assert facts == []
    assert why in failed
