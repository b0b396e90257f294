"""The pairs of the server's failure: one drill file, two systems, and the bad day misses exactly what it says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from chaoskit import pipeline, registry
from chaoskit.model.plan import Plan, PlannedStep
from chaoskit.spec import cells, load
from tests.end_to_end.conftest import ROOT, Workplace

REPORT = ROOT / "drills" / "server" / "standby-report.yaml"
STALE = ROOT / "drills" / "server" / "stale-standby.yaml"
PRICE = ROOT / "drills" / "server" / "standby-dies.yaml"
LAG = ROOT / "drills" / "server" / "lagging-standby.yaml"
DEPUTY = ROOT / "drills" / "resilience" / "deputy-decides.yaml"
PAIRS = [
    (STALE, ("drifted", "checked")),
    (REPORT, ("reports-first", "replay-first")),
    (PRICE, ("synchronous", "async")),
    (LAG, ("async", "synchronous")),
    (DEPUTY, ("no-deputy", "deputy")),
]


def plans(drill: Path) -> dict[str, Plan]:
    made = [pipeline.make_plan(one, "local") for _, one in cells(load(drill, registry))]
    return {str(plan.system.variant): plan for plan in made}


@pytest.mark.parametrize(("drill", "days"), PAIRS, ids=[one.stem for one, _ in PAIRS])
def test_both_days_are_one_drill(drill: Path, days: tuple[str, str]) -> None:
    """Load, seed, timeline, objectives and checks are alike; what differs is the system, and what is expected of it."""
    found = plans(drill)
    assert tuple(found) == days
    bad, mended = found.values()
    assert timed(bad) == timed(mended)
    for part in ("load", "seed", "probes", "criteria", "deadline", "pace", "wirings"):
        assert getattr(bad, part) == getattr(mended, part), part
    changed = {
        name
        for name in type(bad.drill).model_fields
        if getattr(bad.drill, name) != getattr(mended.drill, name)
    }
    assert changed == {"variant", "expect"}
    assert bad.system != mended.system
    assert mended.drill.expect == "pass"
    assert not isinstance(bad.drill.expect, str)


def timed(plan: Plan) -> list[PlannedStep]:
    """The steps, but for what a runbook of the system fills in and who stands in for whom: the system's part, which may
    differ."""
    own = [written.respond in plan.system.runbooks for written in plan.drill.timeline]
    filled: dict[str, Any] = {"name": "", "requires": (), "recovers": True}
    pairs = zip(plan.steps, own, strict=True)
    return [
        step.model_copy(update={"decider": None, **(filled if runbook else {})}) for step, runbook in pairs
    ]


def results(workplace: Workplace) -> dict[str, Any]:
    """result.json of each run by its variant."""
    read = [
        (
            json.loads((folder / "plan.json").read_text()),
            json.loads((folder / "result.json").read_text()),
        )
        for folder in workplace.folders()
    ]
    return {plan["system"]["variant"]: result for plan, result in read}


def missed(result: Any) -> set[str]:
    return {one["name"] for one in result["verdicts"] if one["outcome"] != "pass"}


@pytest.mark.timeout(400)
def test_a_drift_that_nobody_mended_is_paid_for_in_the_recovery(workplace: Workplace) -> None:
    done = workplace.run(STALE, timeout_s=350)
    assert done.code == 0, done.both
    found = results(workplace)
    bad, mended = found["drifted"], found["checked"]
    assert missed(bad) == {"transfer.rto"}
    assert missed(mended) == set()
    assert bad["machine-s"][0] > 2 * mended["machine-s"][1]
    for result in (
        bad,
        mended,
    ):  # found beforehand on both days; that is what the bad day could have been spared
        (named,) = (one for one in result["findings"] if one["title"].startswith("standby-ready"))
        assert "lets the application 'bank' not in" in named["detail"]
        assert "it would refuse every payment" in named["detail"]


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_report_delays_the_recovery_and_loses_nothing(workplace: Workplace) -> None:
    done = workplace.run(REPORT, timeout_s=350)
    assert done.code == 0, done.both
    found = results(workplace)
    bad, mended = found["reports-first"], found["replay-first"]
    assert missed(bad) == {"transfer.rto"}
    assert missed(mended) == set()
    assert bad["machine-s"][0] > 2 * mended["machine-s"][1]
    told = " ".join(one["title"] for one in bad["findings"])
    assert "the standby lagged when it was needed: replay lag bytes" in told


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_synchronous_replication_makes_payments_wait_for_a_dead_standby(workplace: Workplace) -> None:
    done = workplace.run(PRICE, timeout_s=350)
    assert done.code == 0, done.both
    found = results(workplace)
    assert missed(found["synchronous"]) == {"transfer.rto"}
    assert missed(found["async"]) == set()


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_what_a_lagging_standby_loses_the_mended_bank_does_not(workplace: Workplace) -> None:
    done = workplace.run(LAG, timeout_s=350)
    assert done.code == 0, done.both
    found = results(workplace)
    bad, mended = found["async"], found["synchronous"]
    assert missed(bad) == {"transfer.lost"}
    assert missed(mended) == set()
    assert lost(bad) > 0
    assert lost(mended) == 0
    assert mended["machine-s"][0] > bad["machine-s"][1], (
        "the price: refused from the lag on, not from the death on"
    )


def lost(result: Any) -> int:
    (row,) = (one for one in result["scorecard"] if one["journey"] == "transfer")
    return int(row["lost"])
