"""A control that stays green, or is red for another reason, proves nothing."""

from __future__ import annotations

import pytest

from chaoskit.judge.controls import judge_as_written, judge_disarmed, judge_left_out
from chaoskit.model.verdict import Outcome, Result, Verdict


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


@pytest.mark.parametrize("outcome", ["pass", "unknown", "aborted"])
def test_without_its_recovery_anything_but_a_miss_is_wrong(outcome: Outcome) -> None:
    assert not judge_left_out("promote left out", result(outcome, transfer_rto="pass"), WRITTEN).proven


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
