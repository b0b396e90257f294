"""After the failure: the old primary rejoins, the roles go back without a loss; a second failure comes before it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.end_to_end.conftest import ROOT, SHORT, Workplace

SERVER = ROOT / "drills" / "server"
THERE_AND_BACK = SHORT.replace(
    "objectives:\n",
    """\
  - {when: {done: promote}, respond: rejoin, on: ledger-db}
  - {when: {done: rejoin}, after: 3s, respond: switch-back, on: ledger-db}
objectives:
  redundancy-restored: {rto: 1m}
""",
).replace("checks: [", "checks: [one-writer, ")


def result(workplace: Workplace) -> Any:
    [folder] = workplace.folders()
    return json.loads((folder / "result.json").read_text())


@pytest.mark.timeout(200)
def test_redundancy_comes_back_and_the_way_home_loses_nothing(workplace: Workplace) -> None:
    done = workplace.run(workplace.drill(THERE_AND_BACK), timeout_s=150)
    assert done.code == 0, done.both
    found = result(workplace)
    clocks = {row["clock"]: row for row in found["clocks"]}
    assert "a standby streams from ledger-db-standby; rewind: " in clocks["redundancy restored"]["what"]
    assert "while ledger-db took over, as planned" in clocks["writes paused: switch-back"]["what"]
    verdicts = {one["name"]: one for one in found["verdicts"]}
    assert verdicts["redundancy-restored.rto"]["outcome"] == "pass"
    assert "ledger-db alone accepts writes" in verdicts["one-writer"]["reason"]
    told = workplace.chaoskit("explain", workplace.folders()[0], "redundancy-restored.rto").out
    assert "first look at which it was: answered" in told
    assert "DOES NOT ADD UP" not in told


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_shipped_drill_passes(workplace: Workplace) -> None:
    done = workplace.run(SERVER / "rejoin.yaml", timeout_s=250)
    assert done.code == 0, done.both


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_second_failure_before_that_is_told_with_what_it_cost(workplace: Workplace) -> None:
    done = workplace.run(SERVER / "second-failure.yaml", timeout_s=250)
    assert done.code == 0, done.both
    found = result(workplace)
    missed = {one["name"] for one in found["verdicts"] if one["outcome"] != "pass"}
    assert missed == {"transfer.rto", "balance.rto"}
    [told] = [
        one for one in found["findings"] if "a second failure before redundancy was back" in one["title"]
    ]
    assert "process.kill on ledger-db-standby" in told["title"]
    assert "no standby was left to take over" in told["detail"]
    assert "0 of " in told["detail"]
