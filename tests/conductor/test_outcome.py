"""What each end of an exchange says about the money."""

from __future__ import annotations

import pytest

from chaoskit.conductor.http_connection import Answer, Ending
from chaoskit.conductor.outcome import judged
from chaoskit.model.system import Accepted, Good, Journey, Read, Refused
from chaoskit.quantity import Duration

JOURNEY = Journey(
    post="bank/transfers",
    good=Good(status=(200, 201), within=Duration.parse("1s")),
    refused=Refused(status=(409, 422)),
    read=Read(value="account.balance", position="lsn"),
)
BODY = b'{"account": {"balance": "12.30"}, "lsn": 7}'


@pytest.mark.parametrize(
    ("ending", "status", "outcome"),
    [
        ("answered", 200, "ok"),
        ("answered", 201, "ok"),
        ("answered", 202, "unknown"),
        ("answered", 302, "unknown"),
        ("answered", 404, "unknown"),
        ("answered", 409, "fail"),
        ("answered", 422, "fail"),
        ("answered", 500, "unknown"),
        ("answered", 503, "unknown"),
        ("connect", None, "fail"),
        ("limit", None, "unknown"),
        ("limit", 201, "unknown"),
        ("reset", None, "unknown"),
        ("eof", None, "unknown"),
        ("eof", 422, "unknown"),
        ("garbage", None, "unknown"),
        ("too-big", 200, "unknown"),
    ],
)
def test_outcome(ending: Ending, status: int | None, outcome: str) -> None:
    result = judged(JOURNEY, Answer(ending, None if ending == "connect" else 1, 2, status, BODY, "why"))
    assert result.outcome == outcome
    assert (result.error is None) == (outcome == "ok")


def test_a_read_records_value_and_position() -> None:
    assert judged(JOURNEY, Answer("answered", 1, 2, 200, BODY)).read == {"value": "12.30", "position": 7}


@pytest.mark.parametrize(
    ("body", "error"),
    [(b"<html>", "not JSON"), (b'{"lsn": 7}', "account.balance"), (b"[1]", "no field"), (b"", "not JSON")],
)
def test_an_answer_without_the_field_says_so(body: bytes, error: str) -> None:
    result = judged(JOURNEY, Answer("answered", 1, 2, 200, body))
    assert result.outcome == "ok"
    assert error in (result.error or "")


def test_a_promise_is_neither_done_nor_in_doubt() -> None:
    journey = JOURNEY.model_copy(update={"accepted": Accepted(status=(202,))})
    result = judged(journey, Answer("answered", 1, 2, 202, BODY))
    assert (result.outcome, result.error, result.read) == ("accepted", None, {})
    assert judged(journey, Answer("eof", 1, 2, 202, BODY)).outcome == "unknown"


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        (
            b'{"balance": "1.00", "meta": {"as_of": 7, "stale": true}}',
            ("balance", "meta", "meta.as_of", "meta.stale"),
        ),
        (b'{"balance": "0.00", "old": null, "age": 0, "stale": false, "rows": []}', ("balance", "rows")),
        (b'{"balance": "1.00", "age": 9.5}', ("balance", "age")),
        (b'{"balance": "1.00", "stale_for": null}', ()),
        (b'{"balance": "1.00", "stale_for": 2.5}', ()),
        (b"[]", ()),
    ],
)
def test_where_the_age_is_absent_the_fields_that_are_there_are_told(
    body: bytes, fields: tuple[str, ...]
) -> None:
    journey = JOURNEY.model_copy(update={"read": Read(value=None, age="stale_for")})
    assert judged(journey, Answer("answered", 1, 2, 200, body)).fields == fields


def test_an_age_is_recorded_alone_too() -> None:
    journey = JOURNEY.model_copy(update={"read": Read(age="stale_for")})
    assert judged(journey, Answer("answered", 1, 2, 200, b'{"stale_for": 2.5}')).read == {"age": 2.5}


@pytest.mark.parametrize(
    ("body", "read"), [(b'{"meta": {"age": 2.5}}', {"age": 2.5}), (b'{"meta": 7}', {}), (b"[]", {})]
)
def test_an_age_may_lie_inside_an_object(body: bytes, read: dict[str, float]) -> None:
    journey = JOURNEY.model_copy(update={"read": Read(age="meta.age")})
    assert judged(journey, Answer("answered", 1, 2, 200, body)).read == read


@pytest.mark.parametrize(
    ("told", "read"),
    [
        (b', "stale_for": 2.5', {"age": 2.5}),
        (b', "stale_for": null', {}),  # it does not admit to be stale
        (b"", {}),
    ],
)
def test_only_an_answer_that_admits_to_be_stale_has_an_age(told: bytes, read: dict[str, float]) -> None:
    journey = JOURNEY.model_copy(update={"read": Read(value="balance", age="stale_for")})
    body = b'{"balance": "1.00"' + told + b"}"
    assert judged(journey, Answer("answered", 1, 2, 200, body)).read == {"value": "1.00", **read}
