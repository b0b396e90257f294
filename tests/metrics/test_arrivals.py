"""What is good, what is an arrival, and what customers got of what they asked for."""

from __future__ import annotations

from typing import Any

import pytest

from chaoskit.metrics.arrivals import Series, arrival, arrivals_of
from chaoskit.metrics.availability import availability_of
from chaoskit.metrics.latency import percentiles_ms
from chaoskit.model.history import Operation

MS = 10**6
S = 10**9


def operation(**changes: Any) -> Operation:
    fields: dict[str, Any] = {
        "key": "k",
        "journey": "transfer",
        "source": "load",
        "attempt": 1,
        "intended": 10 * S,
    }
    fields |= {"woke": 10 * S, "sent": 10 * S, "done": 10 * S + 5 * MS, "outcome": "ok", **changes}
    return Operation(**fields)


def test_latency_runs_from_the_intended_time() -> None:
    """Sent 900 ms late and answered in 200: the customer waited for 1.1 s."""
    late = operation(woke=10 * S, sent=10 * S + 900 * MS, done=10 * S + 1_100 * MS)
    assert not arrival(late, S).good
    assert arrival(late, S).ok
    assert availability_of([late], "transfer", S, 0).latency_ms == {
        "p50": 1100.0,
        "p95": 1100.0,
        "p99": 1100.0,
    }
    assert arrival(operation(done=11 * S), S).good
    assert not arrival(operation(done=11 * S + 1), S).good


@pytest.mark.parametrize(
    ("changes", "good", "served"),
    [
        ({}, True, True),
        ({"read": {"age": 0}}, True, True),
        ({"read": {"age": 2.5}}, False, True),
        ({"read": {"age": "yesterday"}}, False, True),
        ({"outcome": "accepted"}, False, True),
        ({"outcome": "accepted", "done": 12 * S}, False, False),
        ({"read": {"age": 2.5}, "done": 12 * S}, False, False),
        ({"outcome": "unknown"}, False, False),
        ({"outcome": "fail"}, False, False),
    ],
)
def test_a_promise_and_an_old_answer_are_served_and_not_good(
    changes: dict[str, Any], good: bool, served: bool
) -> None:
    found = arrival(operation(**changes), S)
    assert (found.good, found.ok, found.served) == (good, good, served)


@pytest.mark.parametrize(
    ("changes", "slept"),
    [
        ({"woke": 10 * S + 300 * MS, "done": 10 * S + 1_100 * MS}, True),  # in time, had it been sent in time
        ({"woke": 10 * S + 300 * MS, "done": 10 * S + 1_400 * MS}, False),  # too slow of its own
        ({"woke": 10 * S + 100 * MS, "done": 10 * S + 1_050 * MS}, False),  # nearly too slow of its own
        ({"woke": 10 * S + 300 * MS, "done": 10 * S + 900 * MS}, False),  # good all the same
        ({"woke": None, "sent": None, "done": None, "outcome": "unknown", "error": "measurer late"}, True),
        (
            {"woke": None, "sent": None, "done": None, "outcome": "unknown", "error": "too many outstanding"},
            False,
        ),
    ],
)
def test_a_load_that_could_not_keep_its_schedule_slept(changes: dict[str, Any], slept: bool) -> None:
    assert arrival(operation(**changes), S).asleep is slept
    assert availability_of([operation(), operation(**changes)], "transfer", S, 0).slept == slept


def test_a_slow_connection_is_not_a_late_probe() -> None:
    assert arrival(operation(sent=10 * S + 300 * MS, done=10 * S + 310 * MS), S).sampled == 10 * S
    assert arrival(operation(woke=10 * S + 7 * MS), S).sampled == 10 * S + 7 * MS
    assert arrival(operation(woke=None, sent=10 * S + 9 * MS), S).sampled == 10 * S + 9 * MS


@pytest.mark.parametrize(
    ("changes", "decided"),
    [
        ({}, 10 * S + 5 * MS),
        ({"outcome": "unknown", "done": None}, 11 * S),
        ({"outcome": "unknown", "done": 15 * S}, 11 * S),
        ({"outcome": "unknown", "woke": None, "sent": None, "done": None}, 10 * S),
    ],
)
def test_when_an_arrival_is_decided(changes: dict[str, Any], decided: int) -> None:
    assert arrival(operation(**changes), S).decided == decided


def test_retries_and_double_taps_are_no_arrivals() -> None:
    all_sent = [
        operation(),
        operation(attempt=2),
        operation(attempt=2, tap=True),
        operation(key="l", tap=True),
    ]
    assert len(arrivals_of(all_sent, "transfer", "load", S)) == 1
    seen = availability_of(all_sent, "transfer", S, 0)
    assert (seen.scheduled, seen.good) == (1, 1)


def test_availability_counts_what_was_scheduled() -> None:
    operations = [
        operation(),
        operation(done=12 * S),
        operation(outcome="fail"),
        operation(outcome="unknown", done=None),
        operation(outcome="unknown", woke=None, sent=None, done=None),
        operation(source="prober"),
        operation(journey="balance"),
        operation(intended=S),
    ]
    seen = availability_of(operations, "transfer", S, 2 * S)
    assert (seen.scheduled, seen.good, seen.ok, seen.failed, seen.unknown, seen.missed) == (5, 1, 2, 1, 1, 1)
    assert seen.good_ratio == 0.2
    assert availability_of([], "transfer", S, 0).good_ratio == 0.0


def test_percentiles_by_nearest_rank() -> None:
    assert percentiles_ms([n * MS for n in range(100, 0, -1)]) == {"p50": 50.0, "p95": 95.0, "p99": 99.0}
    assert percentiles_ms([]) == {}
    assert percentiles_ms([1])["p50"] == 0.1


def test_latency_is_that_of_acknowledged_operations() -> None:
    """Also of those that came too late; of one that was refused, or never answered, there is none."""
    operations = [
        operation(),
        operation(done=12 * S),
        operation(outcome="fail"),
        operation(outcome="accepted"),
        operation(outcome="unknown", done=None),
        operation(attempt=2, done=15 * S),
    ]
    assert availability_of(operations, "transfer", S, 0).latency_ms == {
        "p50": 5.0,
        "p95": 2000.0,
        "p99": 2000.0,
    }
    assert availability_of([operation(outcome="fail")], "transfer", S, 0).latency_ms == {}


def test_series_counts_half_open_windows() -> None:
    series = Series([10, 20, 30], [True, False, True])
    assert series.counts(10, 30) == (1, 2)
    assert series.counts(10, 31) == (2, 3)
    assert series.counts(31, 99) == (0, 0)
