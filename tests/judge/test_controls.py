"""A control that stays green, or is red for another reason, proves nothing."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from chaoskit import proof
from chaoskit.cli import proving
from chaoskit.judge.controls import (
    ControlVerdict,
    judge_as_written,
    judge_disarmed,
    judge_left_out,
    unfelt_faults,
    why_no_control,
)
from chaoskit.judging import Run
from chaoskit.model.measurement import (
    Clocks,
    FaultMeasure,
    Interval,
    JourneyMeasure,
    LossMeasure,
    LostOperation,
    Measurements,
    Outage,
)
from chaoskit.model.verdict import Outcome, Result, Verdict
from chaoskit.planner.controls import Control
from chaoskit.spec import Loaded


def result(outcome: Outcome, as_expected: bool = False, **verdicts: Outcome) -> Result:
    return Result.model_validate(
        {
            "run": "r",
            "drill": "d",
            "title": "t",
            "outcome": outcome,
            "expected": "pass",
            "as_expected": as_expected,
            "exit_code": 0,
            "reason": "why",
            "verdicts": tuple(
                Verdict.model_validate({"name": name.replace("_", "."), "outcome": what, "reason": ""})
                for name, what in verdicts.items()
            ),
            "scorecard": (),
        }
    )


WRITTEN = result("pass", True, transfer_rto="pass", transfer_lost="pass", balance_rto="fail")


def test_drill_must_come_out_as_written() -> None:
    assert judge_as_written(result("fail", as_expected=True)).proven
    assert not judge_as_written(result("pass", as_expected=False)).proven


@pytest.mark.parametrize(
    ("outcome", "proven"), [("unknown", True), ("pass", False), ("fail", False), ("aborted", False)]
)
def test_without_its_fault_only_unknown_is_right(outcome: Outcome, proven: bool) -> None:
    assert judge_disarmed("kill not armed", result(outcome)).proven is proven


def measured(bad_s: float = 0.0, lost: int = 0) -> Measurements:
    """One journey that was bad for so long after a kill."""
    outage = Outage(
        first_bad=0,
        last_bad=0,
        last_good_before=0,
        first_good_after=0,
        duration=Interval(lo=round(bad_s * 1e9), hi=None),
    )
    journey = JourneyMeasure(
        journey="visit",
        scheduled=9,
        good=9,
        ok=9,
        failed=0,
        unknown=0,
        good_ratio=1.0,
        latency_ms={},
        never_bad=not bad_s,
        outages=(outage,) if bad_s else (),
        started_by=("kill",) if bad_s else (),
        probe_period=10**8,
    )
    gone = LostOperation(key="k", journey="visit", amount=1, currency="CNY", sent=1, done=2)
    loss = LossMeasure(books="b", survivor="db", acknowledged=9, lost=(gone,) * lost)
    kill = FaultMeasure(
        step="kill", name="process.kill", target="db", lo=1, hi=2, witness="w", exercised=True
    )
    return Measurements(
        run="r", faults=(kill,), journeys={"visit": journey}, losses={"b": loss}, clocks=Clocks()
    )


def test_drill_that_no_customer_felt_and_that_ends_nothing_is_not_proven() -> None:
    passed = result("pass", True)
    unfelt = judge_as_written(passed, measured(), left_out=False)
    assert not unfelt.proven
    assert "no customer felt process.kill on db" in unfelt.reason
    assert judge_as_written(passed, measured(), left_out=True).proven  # then a control shows it
    assert judge_as_written(passed, measured(bad_s=2), left_out=False).proven
    assert judge_as_written(passed, measured(lost=1), left_out=False).proven
    noticed = result("pass", True, **{"attack-repelled": "pass", "books-balance": "pass"})
    answering = frozenset({"attack-repelled"})
    assert judge_as_written(noticed, measured(), False, answering).proven  # the system itself has answered it
    assert not judge_as_written(noticed, measured(), False).proven
    unsure = result("fail", True, **{"attack-repelled": "unknown", "x.lost": "fail"})
    assert not judge_as_written(unsure, measured(), False, answering).proven
    checked = result("fail", True, **{"books-balance": "fail"})
    assert judge_as_written(checked, measured(), left_out=False).proven


def test_a_journey_that_could_not_be_measured_felt_nothing_that_is_known() -> None:
    """It was bad before any fault began, say: nothing shows that the fault had to do with it."""
    unclear = measured(bad_s=2)
    visit = unclear.journeys["visit"].model_copy(update={"started_by": (), "invalid": ("it was bad before",)})
    unclear = unclear.model_copy(update={"journeys": {"visit": visit}})
    assert not judge_as_written(result("pass", True), unclear, left_out=False).proven


def test_faults_that_started_nobody_s_clock_are_named() -> None:
    assert [fault.step for fault in unfelt_faults(measured())] == ["kill"]
    assert unfelt_faults(measured(bad_s=1)) == ()


def test_customers_who_are_as_badly_off_without_the_fault_prove_nothing() -> None:
    void = result("unknown")
    assert judge_disarmed("kill not armed", void, measured(), measured(bad_s=3)).proven
    assert judge_disarmed("kill not armed", void, measured(bad_s=1), measured(bad_s=3)).proven
    same = judge_disarmed("kill not armed", void, measured(bad_s=2), measured(bad_s=3))
    assert not same.proven
    assert "without the fault as well" in same.reason
    assert judge_disarmed("kill not armed", void, measured(), measured()).proven


def test_one_bad_probe_without_the_fault_may_be_chance() -> None:
    """A fault that was felt for one probe, and a run without it in which one was bad: neither shown nor refuted."""
    found = judge_disarmed("kill not armed", result("unknown"), measured(bad_s=0.01), measured(bad_s=0.01))
    assert (found.proven, found.answered) == (False, False)
    assert "one bad probe" in found.reason
    # Two periods of it are no chance.
    found = judge_disarmed("kill not armed", result("unknown"), measured(bad_s=0.2), measured(bad_s=0.2))
    assert (found.proven, found.answered) == (False, True)


def history(*events: tuple[str, dict[str, object]]) -> Any:
    return SimpleNamespace(
        events=tuple(
            SimpleNamespace(n=number, kind=kind, data=data) for number, (kind, data) in enumerate(events)
        )
    )


DISARMED = ("step.disarmed", {"step": "kill"})
COMPLETE = ("run.end", {"ended": "complete", "reason": "the deadline came"})


def test_a_control_that_was_made_is_one() -> None:
    assert why_no_control("kill", history(DISARMED, COMPLETE), measured()) is None
    waited = ("run.end", {"ended": "timeout", "reason": "promote waited in vain"})
    assert why_no_control("kill", history(DISARMED, waited), measured()) is None


@pytest.mark.parametrize(
    ("events", "why"),
    [
        ([("run.end", {"ended": "broken", "reason": "db did not start"})], "db did not start"),
        ([("run.end", {"ended": "complete", "reason": "no steady state"})], "no steady state"),
        ([("step.disarmed", {"step": "another"}), COMPLETE], "the deadline came"),
        ([DISARMED, ("run.end", {"ended": "broken", "reason": "the proxy died"})], "the proxy died"),
        ([DISARMED], "did not end by itself"),
    ],
)
def test_a_run_that_is_unknown_for_another_reason_is_no_control(
    events: list[tuple[str, dict[str, object]]], why: str
) -> None:
    """A system that did not even start is as unknown as one in which nothing was broken, and shows nothing."""
    told = why_no_control("kill", history(*events), measured())
    assert told is not None
    assert why in told
    found = judge_disarmed("kill not armed", result("unknown"), no_control=told)
    assert not found.proven
    assert found.reason == told


def test_a_damaged_record_is_no_control() -> None:
    torn = measured().model_copy(update={"problems": ("ops/prober.jsonl: missing",)})
    assert "ops/prober.jsonl: missing" in (why_no_control("kill", history(DISARMED, COMPLETE), torn) or "")


def test_a_run_without_an_answer_is_neither_a_proof_nor_a_disproof() -> None:
    """A busy machine is no reason to call a drill unable to turn red."""
    for outcome in ("unknown", "aborted"):
        assert not judge_as_written(result(outcome)).answered
        assert not judge_left_out(
            "promote left out", result(outcome, transfer_rto="unknown"), WRITTEN
        ).answered
    assert judge_as_written(result("fail")).answered
    assert judge_as_written(result("unknown", as_expected=True)).answered
    assert not judge_disarmed("kill not armed", result("unknown"), no_control="db did not start").answered
    assert not judge_disarmed("kill not armed", result("aborted")).answered
    assert judge_disarmed("kill not armed", result("pass")).answered
    met = result("unknown", transfer_rto="pass", timeline="unknown")
    assert judge_left_out("promote left out", met, WRITTEN).answered
    assert judge_left_out("promote left out", result("pass", transfer_rto="pass"), WRITTEN).answered


@pytest.mark.parametrize(
    ("verdicts", "code"),
    [
        ([(True, True), (True, True)], 0),
        ([(False, False)], 3),
        ([(True, True), (False, False)], 3),
        ([(True, True), (False, True)], 1),
        ([(True, True)], 1),
    ],
)
def test_exit_code_of_a_proof(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, verdicts: list[tuple[bool, bool]], code: int
) -> None:
    """Of the run as written and one control; the last one was never made."""
    run = SimpleNamespace(
        result=SimpleNamespace(exit_code=3, as_expected=False),
        folder=tmp_path,
        history=SimpleNamespace(events=(), plan=SimpleNamespace(steps=())),
        measurements=measured(),
    )
    control = Control("disarm", "kill", "the kill")
    made = [
        proof.Proven(cast(Run, run), ControlVerdict("x", proven, "unknown", "why", answered))
        for proven, answered in verdicts
    ]
    plan = SimpleNamespace(drill=SimpleNamespace(drill="d"))
    monkeypatch.setattr(proof, "plan_of_proof", lambda *_: (plan, (control,), None))
    monkeypatch.setattr(proof, "prove", lambda *_, **__: iter(made))
    assert proving._prove(cast(Loaded, None), "", "local", tmp_path).code == code


@pytest.mark.parametrize("outcome", ["pass", "unknown", "aborted"])
def test_without_its_recovery_anything_but_a_miss_is_wrong(outcome: Outcome) -> None:
    assert not judge_left_out("promote left out", result(outcome, transfer_rto="pass"), WRITTEN).proven


def test_a_recovery_without_which_nothing_is_missed_is_told_so() -> None:
    without = result("unknown", transfer_rto="pass", timeline="unknown")
    assert judge_left_out("promote left out", without, WRITTEN).reason == "nothing is missed without it"
    unclear = result("unknown", transfer_rto="unknown", timeline="unknown")
    assert judge_left_out("promote left out", unclear, WRITTEN).reason == "why"


def test_miss_of_what_the_drill_meets_proves_the_recovery() -> None:
    found = judge_left_out(
        "promote left out", result("fail", transfer_rto="fail", transfer_lost="unknown"), WRITTEN
    )
    assert found.proven
    assert "transfer.rto" in found.reason


def test_miss_of_what_the_drill_misses_anyway_proves_nothing() -> None:
    found = judge_left_out("promote left out", result("fail", balance_rto="fail"), WRITTEN)
    assert not found.proven
    assert "does not meet either" in found.reason
    both = judge_left_out(
        "promote left out", result("fail", balance_rto="fail", transfer_rto="fail"), WRITTEN
    )
    assert both.proven
    assert "anew: transfer.rto" in both.reason
