"""What becomes of decisions: measured apart from modelled time, judged, and a row of the clocks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from chaoskit import evidence, registry
from chaoskit.judge import judge
from chaoskit.metrics import measure
from chaoskit.model.measurement import DecisionMeasure
from chaoskit.model.verdict import Result
from tests.histories.builder import MS, ZERO, RunBuilder, S

ALERT = ZERO + 700 * MS


def judged(folder: Path, run: RunBuilder) -> tuple[tuple[DecisionMeasure, ...], Result]:
    history = evidence.load_history(run.write(folder / "run"))
    measurements = measure(history)
    return measurements.decisions, judge(history, measurements, registry)


def decided(kind: str, t: int, asked: bool = True, drop: bool = False, **data: Any) -> RunBuilder:
    run = RunBuilder().crash(good=(lambda t: t < ZERO) if drop else (lambda t: not ZERO <= t < ZERO + 2 * S))
    about = {"step": "promote", "role": "duty-manager", "takes_ns": 0}
    run.event(ALERT, "decision.begin", asked=asked, within_ns=5 * S, **about)
    run.event(t, kind, **{**about, **data})
    return run.without("response.begin", "response.done") if drop else run


def test_an_asked_decision_is_measured_and_passes(tmp_path: Path) -> None:
    run = decided("decision.end", ALERT + 5 * MS, slept_ns=5 * MS, takes_ns=5 * MS, who="Kim")
    (one,), result = judged(tmp_path, run)
    assert (one.outcome, one.how, one.who, one.lived, one.modelled) == ("taken", "asked", "Kim", 5 * MS, 0)
    (verdict,) = (v for v in result.verdicts if v.name == "decision.promote")
    assert (verdict.outcome, verdict.reason) == (
        "pass",
        "Kim decided it as duty-manager after 0.0 s, within 5s asked for",
    )
    assert result.clocks[0]["clock"] == "decided: promote"


def test_an_answer_after_its_limit_fails(tmp_path: Path) -> None:
    late = decided("decision.end", ALERT + 20 * S, slept_ns=20 * S, takes_ns=20 * S, who="Kim")
    _, result = judged(tmp_path, late)
    (verdict,) = (v for v in result.verdicts if v.name == "decision.promote")
    assert (verdict.outcome, "later than 5s asked for" in verdict.reason) == ("fail", True)
    # The way to the substitute is no part of the answer.
    far = decided(
        "decision.end", ALERT + 20 * S, slept_ns=20 * S, takes_ns=20 * S, answer_ns=4 * S, who="Kim"
    )
    _, result = judged(tmp_path / "far", far)
    assert next(v.outcome for v in result.verdicts if v.name == "decision.promote") == "pass"


def test_a_missed_decision_fails_by_name_and_not_as_a_step_that_never_began(tmp_path: Path) -> None:
    run = decided("decision.missed", ALERT + 5 * S, drop=True, reason="nobody answered within 5s")
    (one,), result = judged(tmp_path, run)
    assert (one.outcome, one.lived, one.modelled) == ("missed", 5 * S, 0)
    outcomes = {v.name: v.outcome for v in result.verdicts}
    assert outcomes["decision.promote"] == "fail"
    assert "timeline" not in outcomes
    assert (result.clocks[0]["clock"], result.clocks[0]["what"]) == (
        "not decided: promote",
        "nobody answered within 5s",
    )


def test_a_refused_decision_is_unknown(tmp_path: Path) -> None:
    run = decided("decision.refused", ALERT + 2 * S, drop=True, slept_ns=2 * S, takes_ns=2 * S, who="Kim")
    (one,), result = judged(tmp_path, run)
    assert (one.outcome, one.who) == ("refused", "Kim")
    verdict = next(v for v in result.verdicts if v.name == "decision.promote")
    assert (verdict.outcome, "Kim refused it as duty-manager after 2.0 s" in verdict.reason) == (
        "unknown",
        True,
    )


def test_a_substitutes_way_is_modelled_and_added_to_the_recovery_time(tmp_path: Path) -> None:
    run = decided(
        "decision.end",
        ALERT,
        asked=False,
        slept_ns=0,
        takes_ns=10 * S,
        reached_ns=4 * S,
        role="deputy",
        absent=["duty-manager"],
    )
    (one,), result = judged(tmp_path, run)
    assert (one.how, one.modelled, one.reached, one.absent) == ("modelled", 10 * S, 4 * S, ("duty-manager",))
    assert "deputy in place of duty-manager: 10s modelled, 4s of it until reached" in result.clocks[0]["what"]
    assert "people 10s modelled" in next(v.reason for v in result.verdicts if v.name == "transfer.rto")
    assert not [v for v in result.verdicts if v.name.startswith("decision.")]


def test_a_missed_decision_does_not_excuse_other_steps(tmp_path: Path) -> None:
    """A response that follows nothing undecided, and never began, is told as before."""
    run = RunBuilder().crash().without("response.begin", "response.done")
    _, result = judged(tmp_path, run)
    assert {v.name: v.outcome for v in result.verdicts}["timeline"] == "unknown"
