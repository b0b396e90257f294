"""Controls differ from their drill in one named step, and are judged against a limit that can be missed."""

from __future__ import annotations

from typing import Any

import pytest

from chaoskit import registry
from chaoskit.model.plan import Plan
from chaoskit.planner.controls import controls_of, nothing_to_leave_out, without_fault, without_recovery
from chaoskit.quantity import Duration
from tests.histories.builder import DRILL, S, drill, plan_for

KILL: dict[str, Any] = {"at": "0s", "id": "crash", "fault": "process.kill", "on": ["db"]}
CUT: dict[str, Any] = {"at": "0s", "id": "cut", "fault": "link.cut", "on": ["ledger -> db"], "for": "5s"}
PROMOTE: dict[str, Any] = DRILL["timeline"][1]


def plan_with(*steps: dict[str, Any], **changes: Any) -> Plan:
    plan = plan_for(drill(timeline=list(steps), **changes))
    written = {step["id"]: step for step in steps if "id" in step}
    planned = []
    for step in plan.steps:
        asked = written.get(step.id, {})
        lasting = Duration.parse(asked["for"]) if "for" in asked else None
        planned.append(step.model_copy(update={"for_": lasting, "params": asked.get("params", {})}))
    return plan.model_copy(update={"steps": tuple(planned)})


def test_every_fault_and_every_recovery_has_a_control() -> None:
    plan = plan_with(KILL, CUT, PROMOTE)
    assert [(c.kind, c.step) for c in controls_of(plan, registry)] == [
        ("disarm", "crash"),
        ("disarm", "cut"),
        ("leave-out", "cut"),
        ("leave-out", "promote"),
    ]
    assert nothing_to_leave_out(plan, registry) is None


def test_drill_without_a_recovery_of_its_own_says_so() -> None:
    plan = plan_with(KILL)
    assert [c.kind for c in controls_of(plan, registry)] == ["disarm"]
    assert "recovers by itself" in (nothing_to_leave_out(plan, registry) or "")


def test_the_systems_own_watchdog_is_a_recovery_to_leave_out() -> None:
    plan = plan_with(KILL)
    system = plan.system.model_copy(update={"watchdogs": {"watchdog": "database"}})
    plan = plan.model_copy(update={"system": system})
    assert [(c.kind, c.step) for c in controls_of(plan, registry)] == [
        ("disarm", "crash"),
        ("kill", "watchdog"),
    ]
    assert controls_of(plan, registry)[1].name == "the watchdog watchdog left out"
    assert nothing_to_leave_out(plan, registry) is None


def test_drill_that_asks_for_no_recovery_time_says_so() -> None:
    plan = plan_with(KILL, PROMOTE, objectives={"transfer": {"lost": 0}})
    assert [c.kind for c in controls_of(plan, registry)] == ["disarm"]
    assert "no recovery time" in (nothing_to_leave_out(plan, registry) or "")


@pytest.mark.parametrize(
    "objectives",
    [
        {"minimum-service": {"rto": "10s"}, "transfer": {"lost": 0}},
        {"redundancy-restored": {"rto": "1m"}},
        {"transfer": {"minimum-service": "20s"}},
        {"*": {"rto": "1m"}},
    ],
)
def test_every_objective_that_is_a_recovery_time_has_its_recovery_left_out(
    objectives: dict[str, Any],
) -> None:
    """A proof that left nothing out would call a drill proven whose promotion nobody needs."""
    plan = plan_with(KILL, PROMOTE, objectives=objectives)
    assert [(c.kind, c.step) for c in controls_of(plan, registry)] == [
        ("disarm", "crash"),
        ("leave-out", "promote"),
    ]
    assert nothing_to_leave_out(plan, registry) is None
    made = without_recovery(plan, controls_of(plan, registry)[1], 4 * S).drill.objectives
    limits = [
        str(limit) for one in made.values() for limit in (one.rto, one.minimum_service) if limit is not None
    ]
    assert limits == ["12s"]


@pytest.mark.parametrize(("upper_s", "limit"), [(0.5, "10s"), (4.0, "12s")])
def test_left_out_recovery_is_judged_against_three_times_the_proven_one_or_ten_seconds(
    upper_s: float, limit: str
) -> None:
    plan = plan_with(KILL, PROMOTE)
    control = next(c for c in controls_of(plan, registry) if c.kind == "leave-out")
    made = without_recovery(plan, control, int(upper_s * S))
    assert {str(one.rto) for one in made.drill.objectives.values()} == {limit}
    assert made.drill.objectives["transfer"].lost == 0
    assert made.steps == plan.steps
    assert made.deadline.ns > Duration.parse(limit).ns + plan.criteria["transfer"].hold_ns
    assert "CONTROL" in made.notes[0]
    assert limit in made.notes[0]


def test_disarmed_run_changes_nothing_but_how_long_it_waits() -> None:
    plan = plan_with(KILL, PROMOTE)
    control = controls_of(plan, registry)[0]
    made = without_fault(plan, control)
    assert made.model_copy(update={"notes": plan.notes, "deadline": plan.deadline}) == plan
    assert plan.criteria["transfer"].hold_ns < made.deadline.ns <= plan.deadline.ns
    assert "not armed" in made.notes[0]


def test_guard_of_the_drill_does_not_end_what_the_control_is_there_to_show() -> None:
    plan = plan_with(KILL, PROMOTE, abort={"if": "success < 1%", "for": "5s"})
    (left_out,) = (control for control in controls_of(plan, registry) if control.kind == "leave-out")
    made = without_recovery(plan, left_out, 4 * S)
    assert made.drill.abort is not None
    assert made.drill.abort.for_.ns > made.deadline.ns  # at one instant either of them could be the first
    assert "its abort guard after" in made.notes[0]
    longer = plan_with(KILL, PROMOTE, abort={"if": "success < 1%", "for": "1h"})
    assert without_recovery(longer, left_out, 4 * S).drill.abort == longer.drill.abort


def test_a_response_that_brings_nothing_back_is_not_left_out() -> None:
    """Without a notice customers know less, and are served no later: leaving it out would prove nothing."""
    tell = {**PROMOTE, "id": "tell", "respond": "notify-customers", "on": ["ledger"]}
    plan = plan_with(KILL, tell, PROMOTE)
    steps = tuple(s.model_copy(update={"recovers": s.id != "tell"}) for s in plan.steps)
    left_out = [
        c.step
        for c in controls_of(plan.model_copy(update={"steps": steps}), registry)
        if c.kind == "leave-out"
    ]
    assert left_out == ["promote"]


def test_faults_of_one_kind_that_end_in_one_instant_have_one_recovery() -> None:
    """Where the undo of either takes back both, leaving out one end alone would miss nothing."""
    first = {"at": "0s", "id": "a-dump", "fault": "link.cut", "on": ["ledger -> db"], "for": "12s"}
    second = {"at": "5s", "id": "the-rest", "fault": "link.cut", "on": ["ledger -> db"], "for": "7s"}
    left_out = [c for c in controls_of(plan_with(first, second), registry) if c.kind == "leave-out"]
    assert [c.steps for c in left_out] == [{"a-dump", "the-rest"}]
    assert left_out[0].name == "the end of link.cut (steps a-dump, the-rest) left out"
    for other in ({"for": "8s"}, {"on": ["customers -> ledger"]}, {"fault": "link.timeout"}):
        apart = [c for c in controls_of(plan_with(first, second | other), registry) if c.kind == "leave-out"]
        assert [c.steps for c in apart] == [{"a-dump"}, {"the-rest"}]


@pytest.mark.parametrize(("jitter", "together"), [("10ms", True), ("20ms", False)])
def test_faults_that_are_not_taken_back_by_one_anothers_undo_have_a_recovery_each(
    jitter: str, together: bool
) -> None:
    """Two latencies are two toxics: the end of one leaves the other, and each has to be shown to be needed."""
    slow = {"at": "0s", "id": "slow", "fault": "link.latency", "on": ["ledger -> db"], "for": "9s"}
    first = {**slow, "params": {"latency": "300ms", "jitter": "10ms"}}
    more = {"latency": "300ms", "jitter": jitter}
    second = {**slow, "id": "again", "at": "2s", "for": "7s", "params": more}
    left_out = [c.steps for c in controls_of(plan_with(first, second), registry) if c.kind == "leave-out"]
    assert left_out == ([{"slow", "again"}] if together else [{"slow"}, {"again"}])


def test_the_order_in_which_a_partition_names_services_makes_no_other_partition() -> None:
    """One rule of the packet filter for both, which the first end takes away."""
    cut = {"at": "0s", "id": "cut", "fault": "network.partition", "on": ["db"], "for": "9s"}
    first = {**cut, "params": {"from": ["ledger", "standby"]}}
    second = {**cut, "id": "again", "at": "2s", "for": "7s", "params": {"from": ["standby", "ledger"]}}
    left_out = [c.steps for c in controls_of(plan_with(first, second), registry) if c.kind == "leave-out"]
    assert left_out == [{"cut", "again"}]
    second["params"] = {"from": ["ledger"]}
    left_out = [c.steps for c in controls_of(plan_with(first, second), registry) if c.kind == "leave-out"]
    assert left_out == [{"cut"}, {"again"}]
