"""The steady state and the guard: pure functions of the operations of a window."""

from __future__ import annotations

from typing import Any

import pytest

from chaoskit.conductor.guard import Guard
from chaoskit.conductor.steady import JourneyState, shortfalls, states, window_end
from chaoskit.model.drill import Abort, Steady
from chaoskit.model.history import Operation
from chaoskit.quantity import Percent
from tests.conductor.staging import ABORT, seconds

S = 10**9
MS = 10**6
LIMITS = {"pay": S, "look": S}


def operation(at: int, outcome: str = "ok", took: int | None = 5 * MS, **more: object) -> Operation:
    fields: dict[str, Any] = {
        **{"key": str(at), "journey": "pay", "source": "load", "attempt": 1, "intended": at, "sent": at},
        **{"done": None if took is None else at + took, "outcome": outcome},
    }
    return Operation(**fields | more)


def test_states_count_arrivals_of_the_window_only() -> None:
    operations = [
        operation(0),
        operation(1 * S),
        operation(1 * S + 1, attempt=2),
        operation(1 * S + 2, tap=True),
        operation(1 * S + 3, "fail"),
        operation(1 * S + 4, took=2 * S),
        operation(1 * S + 5, "unknown", None),
        operation(2 * S),
    ]
    found = states(operations, LIMITS, S, 2 * S)
    assert found == {"pay": JourneyState(4, 0.25, 2000.0), "look": JourneyState(0, None, None)}


def test_p99_is_by_nearest_rank() -> None:
    operations = [operation(i, took=(i + 1) * MS) for i in range(100)]
    assert states(operations, {"pay": S}, 0, S)["pay"].p99_ms == 99.0
    assert states(operations[:50], {"pay": S}, 0, S)["pay"].p99_ms == 50.0


def test_shortfalls_are_named() -> None:
    steady = Steady(success=Percent.parse("99%"), p99=seconds(0.25))
    found = {
        "a": JourneyState(100, 1.0, 250.0),
        "b": JourneyState(100, 0.98, 300.0),
        "c": JourneyState(0, None, None),
        "d": JourneyState(2, 0.0, None),
    }
    assert shortfalls(found, steady) == [
        "b: 98.00% good, 99% wanted",
        "b: p99 300.0 ms, at most 250ms wanted",
        "c: nothing was sent",
        "d: 0.00% good, 99% wanted",
        "d: no latency, at most 250ms wanted",
    ]
    assert shortfalls({"a": JourneyState(100, 0.99, 9e9)}, Steady(success=Percent.parse("99%"))) == []


def test_an_arrival_that_may_still_be_answered_ends_the_window() -> None:
    waiting = operation(9 * S, "unknown", None)
    assert window_end([operation(8 * S), waiting], LIMITS, 9 * S + 10 * MS) == 9 * S
    # Past its limit it is not good, whatever comes: it is counted.
    assert window_end([waiting], LIMITS, 11 * S) == 11 * S
    missed = operation(9 * S, "fail", None, sent=None, error="measurer late")
    assert window_end([missed], LIMITS, 9 * S + 1) == 9 * S + 1


def test_the_guard_looks_at_the_share_of_good_arrivals() -> None:
    guard = Guard(ABORT, LIMITS)
    assert (guard.span_ns, guard.ratio) == (3 * S, 0.01)
    bad = [operation(i, "fail") for i in range(99)]
    assert guard.reason([*bad, operation(99)]) is None
    assert guard.reason([*bad, *bad, operation(99)]) == "success < 1% for 3s: 1 of 199 operations were good"
    assert guard.reason([]) is not None
    slept = operation(7, "unknown", None, sent=None, error="measurer late")
    assert guard.reason([slept]) is None, "a load that slept says nothing about the system"
    assert guard.reason([slept] * 500 + [operation(99)]) is None
    assert guard.reason([slept, *bad]) is not None


def test_a_condition_the_guard_does_not_know_is_refused() -> None:
    with pytest.raises(ValueError, match="is no condition"):
        Guard(Abort.model_construct(if_="p99 > 3s", for_=seconds(1)), LIMITS)
