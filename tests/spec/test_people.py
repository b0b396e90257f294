"""People in drill and system files: mistakes told at their places."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.spec import sample_files
from tests.spec.test_drill_file import load, refusal

MODELLED = "decision: {role: duty-manager, takes: 2m}"
LINE = "substitutes: {duty-manager: [{role: deputy, after: 5m}, {role: head, after: 10m}]}\n"


def test_a_decision_that_is_asked_for_and_substitutes_in_their_order(tmp_path: Path) -> None:
    drill = sample_files.DRILL.replace(MODELLED, "decision: {role: duty-manager, asked: true, within: 90s}")
    loaded = load(tmp_path, drill=f"{drill}absent: [duty-manager]\n", system=sample_files.SYSTEM + LINE)
    decision = loaded.drill.timeline[1].decision
    assert decision is not None
    assert (decision.asked, str(decision.within), decision.takes) == (True, "90s", None)
    assert [(one.role, str(one.after)) for one in loaded.system.substitutes["duty-manager"]] == [
        ("deputy", "5m"),
        ("head", "10m"),
    ]


@pytest.mark.parametrize(
    ("decision", "said"),
    [
        ("{role: boss}", "drill.yaml:13:15: nothing says how long the decision takes"),
        ("{role: boss, asked: false}", "drill.yaml:13:15: nothing says how long the decision takes"),
        (
            "{role: boss, asked: true}",
            "drill.yaml:13:28: nothing says how long an asked-for decision may take",
        ),
        ("{role: boss, asked: true, within: 0s}", "drill.yaml:13:49: `within` is 0"),
        (
            "{role: boss, asked: true, within: 9s, takes: 2m}",
            "drill.yaml:13:53: `takes` models a decision, and this one is asked for",
        ),
        (
            "{role: boss, asked: true, within: 9s, pace: 2s}",
            "drill.yaml:13:53: `pace` models a decision, and this one is asked for",
        ),
        (
            "{role: boss, takes: 2m, within: 9s}",
            "drill.yaml:13:39: `within` belongs to a decision that is asked for",
        ),
    ],
)
def test_a_decision_is_taken_in_one_way(tmp_path: Path, decision: str, said: str) -> None:
    text = refusal(tmp_path, drill=sample_files.DRILL.replace(MODELLED, f"decision: {decision}"))
    assert text.startswith(said), text


@pytest.mark.parametrize(
    ("absent", "said"),
    [
        ("[cleaner]", "drill.yaml:19:10: 'cleaner' decides nothing in this drill"),
        ("[deputy, deputy]", "drill.yaml:19:18: 'deputy' is named twice"),
    ],
)
def test_whoever_is_absent_has_something_to_decide(tmp_path: Path, absent: str, said: str) -> None:
    drill = f"{sample_files.DRILL}absent: {absent}\n"
    assert refusal(tmp_path, drill=drill, system=sample_files.SYSTEM + LINE).startswith(said)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("[{role: duty-manager, after: 1m}]", "system.yaml:34:37: 'duty-manager' cannot stand in for itself"),
        ("[{role: a, after: 1m}, {role: a, after: 2m}]", "system.yaml:34:59: 'a' is named twice"),
        ("[{role: a}]", "system.yaml:34:30: `after` is missing"),
    ],
)
def test_nobody_stands_in_twice(tmp_path: Path, line: str, said: str) -> None:
    system = f"{sample_files.SYSTEM}substitutes: {{duty-manager: {line}}}\n"
    assert refusal(tmp_path, system=system).startswith(said)


def test_expect_may_name_a_decision_of_the_drill(tmp_path: Path) -> None:
    expect = "expect: {fail: decision.promote-standby}\n"
    assert load(tmp_path, drill=sample_files.DRILL + expect).drill.expect != "pass"
    said = refusal(tmp_path, drill=sample_files.DRILL + "expect: {fail: decision.process.kill}\n")
    assert "'decision.process.kill' is neither an objective nor a check of this drill" in said
