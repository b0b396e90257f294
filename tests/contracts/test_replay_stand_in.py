"""replay-stand-in: the system's own lists are recorded; what is still in doubt, or unanswered, fails it."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import pytest

from chaoskit import registry
from chaoskit.model.estate import Address
from chaoskit.model.journey import Accepted, Good, Journey
from chaoskit.model.member import ResponseFailed
from chaoskit.model.parameters import build
from chaoskit.quantity import Duration
from tests.contracts.bench_estate import own_address
from tests.contracts.responding import Context

GOOD = Good(status=201, within=Duration.parse("1s"))


def system(*replayed: str, others: tuple[str, ...] = ("balance",)) -> Any:
    accepted = Accepted(status=(202,), replay="stand-in/replay")
    journeys = {name: Journey(post=f"gateway/{name}", good=GOOD, accepted=accepted) for name in replayed}
    return SimpleNamespace(
        journeys=journeys | {name: Journey(get=f"gateway/{name}", good=GOOD) for name in others}
    )


def replay(answer: bytes) -> tuple[list[tuple[str, dict[str, Any]]], str]:
    """What is recorded when a stand-in gives this answer, and why the response failed, if it did."""
    asked: list[bytes] = []
    at = own_address()
    context = Context(Estate(at))

    async def main() -> str:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            asked.append((await reader.readuntil(b"\r\n\r\n")).splitlines()[0])
            writer.write(answer)
            writer.close()

        server = await asyncio.start_server(serve, at.host, at.port)
        try:
            await build(registry.member("responses", "replay-stand-in"), {}).run((), context)
        except ResponseFailed as error:
            return str(error)
        finally:
            server.close()
        return ""

    why = asyncio.run(main())
    assert asked == [b"POST /replay HTTP/1.1"]
    return context.facts, why


class Estate:
    """Where the stand-in is."""

    def __init__(self, at: Address) -> None:
        self.plan = SimpleNamespace(system=system("transfer"))
        self._at = at

    def direct(self, service: str) -> Address:
        assert service == "stand-in"
        return self._at


def answered(**lists: Any) -> bytes:
    body = json.dumps({word.replace("_", "-"): keys for word, keys in lists.items()}).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body


def test_its_lists_are_recorded() -> None:
    ((kind, facts),), why = replay(answered(booked=["a", "b"], replayed=["c"], double_spent=["d"]))
    assert (kind, why) == ("stand-in-replayed", "")
    assert facts.pop("after_ms") >= 0
    lists = {"booked": ["a", "b"], "replayed": ["c"], "double-spent": ["d"], "refused": [], "unknown": []}
    assert facts == {"journey": "transfer", **lists}


def test_what_is_in_doubt_fails_it_and_is_recorded() -> None:
    ((_, facts),), why = replay(answered(booked=["a"], unknown=["b", "c"]))
    assert "2 accepted operations are in doubt" in why
    assert (facts["booked"], facts["unknown"]) == (["a"], ["b", "c"])


@pytest.mark.parametrize(
    "answer", [b"HTTP/1.1 503 Unavailable\r\nContent-Length: 0\r\n\r\n", b"", b"HTTP/1.1 200 OK\r\n\r\n[]"]
)
def test_no_answer_is_no_replay(answer: bytes) -> None:
    facts, why = replay(answer)
    assert facts == []
    assert "nothing is known to have been replayed" in why


@pytest.mark.parametrize(
    ("lists", "why"),
    [
        ({}, "the answer has none of booked, replayed, double-spent, refused, unknown"),
        ({"ok": True}, "the answer has none of"),
        ({"booked": 12, "unknown": 3}, "`booked` of the answer is no list of keys: 12"),
        ({"booked": ["a"], "unknown": None}, "`unknown` of the answer is no list of keys: None"),
    ],
)
def test_an_answer_that_lists_nothing_is_no_proof(lists: dict[str, Any], why: str) -> None:
    facts, told = replay(answered(**lists))
    assert facts == []
    assert why in told


@pytest.mark.parametrize(
    ("replayed", "parameters", "known"),
    [
        ((), {}, "none"),
        (("transfer", "withdrawal"), {}, "transfer, withdrawal"),
        (("transfer",), {"journey": "balance"}, "transfer"),
        (("transfer",), {"journey": "trnsfer"}, "transfer"),
    ],
)
def test_where_nobody_can_replay_it_is_refused(
    replayed: tuple[str, ...], parameters: dict[str, Any], known: str
) -> None:
    with pytest.raises(ValueError, match=f"`journey: .*known: {known}$"):
        build(registry.member("responses", "replay-stand-in"), parameters).check((), system(*replayed))


def test_a_place_that_would_be_ignored_is_refused() -> None:
    with pytest.raises(ValueError, match="`on: ledger` says nothing here"):
        build(registry.member("responses", "replay-stand-in"), {}).check(("ledger",), system("transfer"))


def test_one_of_several_is_named() -> None:
    member = build(registry.member("responses", "replay-stand-in"), {"journey": "withdrawal"})
    member.check((), system("transfer", "withdrawal"))
