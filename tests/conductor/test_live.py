"""The live view: fed by a whole run, it shows phases, happenings and the last second of every journey."""

from __future__ import annotations

from pathlib import Path

from chaoskit.conductor.live import JourneyNow, LiveView
from chaoskit.model.history import Event, Operation
from tests.conductor.staging import DECISION, down, fault, plan_of, play, response

S = 10**9


def operation(at: int, outcome: str = "ok", took: int = 4_000_000, attempt: int = 1) -> Operation:
    return Operation.model_validate(
        {
            **{"key": str(at), "journey": "pay", "source": "load", "attempt": attempt, "intended": at},
            **{"sent": at, "done": at + took, "outcome": outcome},
        }
    )


def test_a_run_told_in_words(tmp_path: Path) -> None:
    plan = plan_of(fault(), response(when=down(), decision=DECISION))
    view = LiveView(plan)
    for event in play(tmp_path, plan).events:
        view.hear(event)
    texts = [happening.text for happening in view.happenings]
    assert texts == [
        "the system is up after 1.0 s",
        "steady before the faults",
        "fault fake.kill on db",
        "db: the kernel",
        "db does not answer: select 1",
        "alert: db is down, 3 misses in a row",
        "duty-manager decides, which takes 120 s",
        "duty-manager has decided",
        "response fake.promote on db-standby",
        "response promote is done",
        "pay has been good for as long as agreed",
        "steady after the faults",
        "the run has ended (complete): every journey has held its recovery",
    ]
    assert view.phase == "leases"
    assert view.ended == "complete"
    assert view.zero_ns is not None
    assert view.first_fault_ns is not None


def test_the_last_second_of_a_journey() -> None:
    view = LiveView(plan_of(fault()))
    assert view.journeys(10 * S) == {"pay": JourneyNow(0, None, None)}
    view.see([operation(8 * S, "fail"), operation(9 * S + 1), operation(9 * S + 2, "unknown")])
    view.see([operation(9 * S + 3, attempt=2), operation(9 * S + 4), operation(9 * S + 5, took=2 * S)])
    assert view.journeys(10 * S) == {"pay": JourneyNow(4, 0.5, 4.0)}


def test_an_event_that_says_too_little_is_no_crash() -> None:
    view = LiveView(plan_of(fault()))
    told = view.hear(Event(n=0, t=1, kind="fault.undone", data={}, prev="", hash=""))
    assert told is not None
    assert told.text == "fault on ? undone"
