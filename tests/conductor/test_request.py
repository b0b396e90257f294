"""Requests: the bytes, the key, and what the books must say of them."""

from __future__ import annotations

import hashlib
import json
import uuid
from typing import Any

import pytest

from chaoskit.conductor.request import Identity, Request, RequestMaker
from chaoskit.errors import InputError
from chaoskit.model.system import Between, Good, Journey, Pick, Pool, Population
from chaoskit.quantity import Duration, Money

POPULATION = Population(pools={"accounts": Pool(count=1000, format="ACC-{n:05d}")})
GOOD = Good(status=201, within=Duration.parse("1s"))


def transfer(**changes: Any) -> Journey:
    fields: dict[str, Any] = {
        "post": "gateway/transfers",
        "json_": {"id": "{key}", "from": "{payer}", "to": "{payee}", "amount": "{amount}"},
        "draw": {
            "payer": "accounts",
            "payee": Pick(from_="accounts", except_="payer"),
            "amount": Between(between=(Money.parse("1 EUR"), Money.parse("500 EUR"))),
        },
        "good": GOOD,
    }
    return Journey(**(fields | changes))


def maker(journey: Journey, *, seed: int = 1, salt: str = "", keep: bool = True) -> RequestMaker:
    identity = Identity("load", seed, salt)
    return RequestMaker("transfer", journey, journey.draw, POPULATION, identity, "gateway:8080", keep=keep)


def parts(request: Request) -> tuple[str, dict[str, str], bytes]:
    head, _, body = request.message.partition(b"\r\n\r\n")
    line, *headers = head.decode().split("\r\n")
    return line, dict(header.split(": ", 1) for header in headers), body


def test_a_request_as_it_is_sent() -> None:
    request = maker(transfer(headers={"X-Key": "{key}"})).make(0)
    line, headers, body = parts(request)
    order = json.loads(body)
    assert line == "POST /transfers HTTP/1.1"
    assert headers["Host"] == "gateway:8080"
    assert headers["Content-Length"] == str(len(body))
    assert headers["Content-Type"] == "application/json"
    assert headers["X-Key"] == request.key == order["id"] == str(uuid.UUID(request.key))
    assert order["from"] == request.values["payer"] != request.values["payee"] == order["to"]
    assert (
        order["amount"] == f"{request.amount // 100}.{request.amount % 100:02d}" if request.amount else False
    )
    assert request.currency == "EUR"
    assert request.payload_hash == hashlib.sha256(body).hexdigest()


def test_a_fingerprint_is_what_the_books_hash() -> None:
    request = maker(transfer(fingerprint="{payer}|{payee}|{amount.minor}")).make(0)
    text = f"{request.values['payer']}|{request.values['payee']}|{request.amount}"
    assert request.payload_hash == hashlib.sha256(text.encode()).hexdigest()


def test_the_same_plan_makes_the_same_requests() -> None:
    first, second = maker(transfer()), maker(transfer())
    assert [first.make(n) for n in range(20)] == [second.make(n) for n in range(20)]


def test_seed_salt_source_and_number_make_other_keys() -> None:
    identities = [
        Identity("load", 1),
        Identity("load", 2),
        Identity("prober", 1),
        Identity("load", 1, "run-2"),
    ]
    keys = {identity.key(journey, n) for identity in identities for journey in ("a", "b") for n in range(50)}
    assert len(keys) == 4 * 2 * 50


def test_a_salt_changes_keys_but_not_draws() -> None:
    plain, salted = maker(transfer()).make(0), maker(transfer(), salt="run-2").make(0)
    assert plain.key != salted.key
    assert plain.values == salted.values


def test_a_read_has_no_body_and_encodes_its_path() -> None:
    journey = Journey(get="gateway/accounts/{account}?größe=1 2", draw={"account": "accounts"}, good=GOOD)
    request = maker(journey, keep=False).make(0)
    line, headers, body = parts(request)
    assert line == f"GET /accounts/{request.values['account']}?gr%C3%B6%C3%9Fe=1%202 HTTP/1.1"
    assert headers["Connection"] == "close"
    assert "Content-Length" not in headers
    assert (body, request.payload_hash, request.amount) == (b"", None, None)


def test_a_post_without_a_body_says_so() -> None:
    line, headers, _ = parts(maker(Journey(post="gateway/ping", good=GOOD)).make(0))
    assert (line, headers["Content-Length"]) == ("POST /ping HTTP/1.1", "0")


def test_own_headers_replace_ours() -> None:
    _, headers, _ = parts(maker(transfer(headers={"host": "bank.example", "Accept": "text/plain"})).make(0))
    assert "Host" not in headers
    assert headers["host"] == "bank.example"
    assert headers["Accept"] == "text/plain"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"headers": {"X": "a\r\nEvil: 1"}}, "cannot be sent"),
        ({"headers": {"X y": "a"}}, "cannot be sent"),
        ({"headers": {"Content-Length": "5"}}, "set by the measurer"),
        ({"headers": {"X": "{nobody}"}}, "journeys.transfer.headers: nothing fills {nobody}"),
        ({"json_": {"a": ["{nobody}"]}}, "journeys.transfer.json.a.0: nothing fills {nobody}"),
        ({"post": "gateway/{nobody}"}, "journeys.transfer.post: nothing fills {nobody}"),
    ],
)
def test_what_cannot_be_sent_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError) as refused:
        maker(transfer(**changes))
    assert words in str(refused.value)


def test_another_payload_under_a_used_key_disturbs_nothing() -> None:
    first, second = maker(transfer()), maker(transfer())
    request = first.make(0)
    other = first.other(request)
    assert other is not None
    assert other.key == request.key
    assert other.payload_hash != request.payload_hash
    assert json.loads(parts(other)[2])["id"] == request.key
    assert other == first.other(request)
    second.make(0)
    assert first.make(1) == second.make(1)


@pytest.mark.parametrize("draw", [{}, {"payer": "one"}])
def test_where_nothing_else_is_ever_drawn_there_is_no_other_payload(draw: dict[str, str]) -> None:
    journey = transfer(draw=draw, json_={"id": "{key}", **{name: f"{{{name}}}" for name in draw}})
    pools = Population(pools={"one": Pool(count=1, format="ACC-{n}")})
    only = RequestMaker("transfer", journey, journey.draw, pools, Identity("load", 1), "gateway", keep=True)
    assert only.other(only.make(0)) is None
