"""Detection, decisions, backlog and exercise: each clock on its own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from chaoskit.metrics.backlog import backlog_drained
from chaoskit.metrics.detection import measure_clocks
from chaoskit.metrics.exercised import measure_fault, users_of
from chaoskit.metrics.people import modelled_ns
from chaoskit.metrics.timeline import (
    Alert,
    DecisionSpan,
    FaultSpan,
    ResponseSpan,
    Timeline,
    Volley,
    read_timeline,
)
from chaoskit.model.drill import When
from chaoskit.model.history import Event, History, Operation
from chaoskit.model.measurement import Interval
from chaoskit.model.release import Release
from chaoskit.model.system import Link
from tests.conductor.staging import fault, plan_of, response
from tests.histories.builder import RunBuilder

MS = 10**6
S = 10**9


def decision(step: str, at: int, takes: int, slept: int = 0) -> DecisionSpan:
    return DecisionSpan(step, at, at + slept, takes, slept, 1)


class TestPeople:
    def test_side_by_side_the_longest_counts(self) -> None:
        made = [decision("a", S, 60 * S), decision("b", S + MS, 90 * S)]
        done = [ResponseSpan("a", S, 2 * S, ()), ResponseSpan("b", S, 2 * S, ())]
        assert modelled_ns(made, done, 0, None) == 90 * S

    def test_one_that_waited_for_another_is_added(self) -> None:
        made = [decision("a", S, 60 * S), decision("b", 3 * S, 90 * S)]
        done = [ResponseSpan("a", S, 2 * S, ()), ResponseSpan("b", 3 * S, 4 * S, ())]
        assert modelled_ns(made, done, 0, None) == 150 * S

    def test_one_that_follows_the_begin_of_another_s_response_is_added(self) -> None:
        """`when: {begun: a}`: b was not asked before a had been decided, however long a's response goes on."""
        first, second = (
            decision("a", S, 60 * S),
            replace(decision("b", S + MS, 90 * S), follows=frozenset("a")),
        )
        done = [ResponseSpan("a", S, 9 * S, ()), ResponseSpan("b", S + MS, 4 * S, ())]
        assert modelled_ns([first, second], done, 0, None) == 150 * S

    def test_who_follows_whom_is_in_the_plan(self) -> None:
        when = {
            "a": When(down="db"),
            "pause": When(begun="a"),
            "b": When(begun="pause"),
            "c": When(down="db"),
        }
        steps = tuple(response(name, when=one) for name, one in when.items())
        happened = [
            (step, kind, more)
            for step in ("a", "b", "c")
            for kind, more in (("decision.begin", {}), ("decision.end", {"takes_ns": 60 * S, "slept_ns": 0}))
        ]
        events = tuple(
            Event(n=n, t=n * S, kind=kind, data={"step": step, **more}, prev="", hash="")
            for n, (step, kind, more) in enumerate(happened)
        )
        found = read_timeline(
            History(
                run="r",
                folder=Path(),
                plan=plan_of(fault(), *steps),
                events=events,
                operations=(),
                journals={},
                books=(),
            )
        )
        assert [one.follows for one in found.decisions] == [set(), {"a", "pause"}, set()]

    def test_lived_time_is_no_modelled_time(self) -> None:
        assert modelled_ns([decision("a", S, 60 * S, 60 * S)], [], 0, None) == 0
        assert modelled_ns([decision("a", S, 60 * S, 6 * S)], [], 0, None) == 54 * S

    def test_before_the_fault_and_after_the_recovery_nobody_waits(self) -> None:
        made = [decision("early", S, 60 * S), decision("late", 9 * S, 90 * S)]
        assert modelled_ns(made, [], 2 * S, 8 * S) == 0


def timeline(volleys: tuple[Volley, ...], alerts: tuple[Alert, ...] = ()) -> Timeline:
    made = (decision("promote", 6 * S, 120 * S),)
    return Timeline(S, (), volleys, made, (ResponseSpan("promote", 6 * S, 7 * S, (5,)),), alerts)


LAG, KILL = Volley(0, 2 * S, 2 * S + MS, ("lag",), (1,)), Volley(1, 5 * S, 5 * S + MS, ("crash",), (2,))
ALERT = Alert("promote", "db", 5_700 * MS, 5_100 * MS, 3)


class TestClocks:
    def test_they_start_at_the_first_fault_that_hurt(self) -> None:
        clocks = measure_clocks(timeline((LAG, KILL), (ALERT,)), [KILL], 8 * S)
        assert clocks.started == Interval(lo=5 * S, hi=5 * S + MS)
        assert clocks.detected == Interval(lo=699 * MS, hi=700 * MS)
        assert clocks.responded == Interval(lo=1_999 * MS, hi=2_000 * MS)
        assert clocks.decided_modelled == 120 * S

    def test_where_nobody_was_hurt_at_the_last_fault_before_the_alert(self) -> None:
        clocks = measure_clocks(timeline((LAG, KILL), (ALERT,)), [], None)
        assert clocks.started == Interval(lo=5 * S, hi=5 * S + MS)

    def test_without_a_fault_there_are_none(self) -> None:
        assert measure_clocks(timeline(()), [], None).started is None


def operation(key: str, intended: int, done: int | None, outcome: str = "ok", attempt: int = 1) -> Operation:
    about = {"key": key, "journey": "transfer", "source": "load", "attempt": attempt, "intended": intended}
    return msgspec.convert(about | {"sent": intended, "done": done, "outcome": outcome}, Operation)


class TestBacklog:
    def test_until_the_last_answer_to_what_was_asked_in_the_outage(self) -> None:
        operations = [
            operation("before", 4 * S, 30 * S),
            operation("a", 6 * S, 7 * S, "unknown"),
            operation("a", 8 * S, 9 * S, attempt=2),
            operation("after", 8 * S, 20 * S),
        ]
        drained = backlog_drained(operations, "transfer", KILL, 8 * S)
        assert drained == Interval(lo=4 * S - MS, hi=4 * S)

    def test_one_that_was_never_answered_keeps_it_open(self) -> None:
        drained = backlog_drained([operation("a", 6 * S, None, "unknown")], "transfer", KILL, 8 * S)
        assert drained.hi is None

    def test_nothing_was_asked(self) -> None:
        assert backlog_drained([], "transfer", KILL, 8 * S) == Interval(lo=0, hi=0)


class TestExercised:
    SYSTEM = RunBuilder().plan.system

    @pytest.mark.parametrize(
        ("target", "users"),
        [
            ("db", {"transfer", "balance"}),
            ("ledger -> db", {"transfer", "balance"}),
            ("customers -> ledger", {"transfer", "balance"}),
            ("customers -> db", set()),
            ("db -> standby", {"transfer", "balance"}),
            ("batch", set()),
            ("batch -> db", set()),
        ],
    )
    def test_who_uses_what(self, target: str, users: set[str]) -> None:
        assert users_of(target, self.SYSTEM) == users

    def test_a_release_is_used_by_whoever_uses_a_service_that_it_changes(self) -> None:
        release = Release(version="2", services=("batch", "db"))
        system = self.SYSTEM.model_copy(update={"releases": {"next": release}})
        assert users_of("next", system) == {"transfer", "balance"}

    def test_a_watchdog_is_used_by_whoever_uses_the_database_it_brings_back(self) -> None:
        links = (*self.SYSTEM.links, Link.parse("watchdog -> db"), Link.parse("watchdog -> fencer"))
        alone = self.SYSTEM.model_copy(update={"links": links})
        watched = alone.model_copy(update={"watchdogs": {"watchdog": "database"}})
        for target in ("watchdog", "watchdog -> db", "watchdog -> fencer", "fencer"):
            assert users_of(target, alone) == set()
            assert users_of(target, watched) == {"transfer", "balance"}

    @pytest.mark.parametrize(
        ("sent", "done", "exercised"),
        [
            (5 * S - MS, 5 * S + 9 * MS, True),  # in flight
            (4 * S, 4 * S + 5 * MS, True),  # answered within a limit before
            (6 * S, 6 * S + 5 * MS, True),  # sent within a limit after
            (3 * S, 3_900 * MS, False),
            (6_010 * MS, 7 * S, False),
            (3 * S, None, True),  # never answered: perhaps because of the fault
            (2_900 * MS, None, False),
        ],
    )
    def test_around_the_instant(self, sent: int, done: int | None, exercised: bool) -> None:
        fault = FaultSpan("crash", "process.kill", "db", 0, 5 * S, 5 * S + 5 * MS, "seen", (1,))
        assert measure_fault(fault, [operation("a", sent, done)], self.SYSTEM).exercised is exercised
