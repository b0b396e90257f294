"""Drills about what stands around a failure, each cell of a pair run once: it must come out exactly as it says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from chaoskit import judging, pipeline, registry, spec
from chaoskit.judge import explanation
from chaoskit.judge.paper import Paper

ROOT = Path(__file__).parents[2]


def run(name: str, cell: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> judging.Run:
    monkeypatch.setenv("CHAOSKIT_STATE_DIR", str(folder / "state"))
    loaded = dict(spec.cells(spec.load(ROOT / "drills" / "resilience" / f"{name}.yaml", registry)))[cell]
    return pipeline.run(loaded, reports=folder / "reports")


def outcomes(made: judging.Run) -> dict[str, Any]:
    return {verdict.name: verdict.outcome for verdict in made.result.verdicts}


@pytest.mark.timeout(400)
@pytest.mark.parametrize("variant", [pytest.param("no-deputy", marks=pytest.mark.slow), "deputy"])
def test_a_deputy_decides_or_nobody_does(
    variant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = run("deputy-decides", f"variant={variant}", tmp_path, monkeypatch)
    assert made.result.as_expected, made.result.reason
    (decision,) = made.measurements.decisions
    if variant == "deputy":
        assert (decision.role, decision.absent, decision.outcome) == (
            "deputy-manager",
            ("duty-manager",),
            "taken",
        )
        assert decision.modelled == 10 * 10**9
        assert made.result.modelled_s == 10
    else:
        assert (decision.outcome, outcomes(made)["decision.promote-standby"]) == ("missed", "fail")
        assert "could not be reached" in made.result.clocks[0]["what"]


@pytest.mark.timeout(400)
def test_the_suspect_is_named_and_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = run("suspect-named", "", tmp_path, monkeypatch)
    assert made.result.as_expected, made.result.reason
    assert made.measurements.clocks.alerted == "ledger", "what alerts is not what is broken"
    (suspect,) = made.measurements.suspects
    assert (suspect.suspect, suspect.right, suspect.broken) == ("ledger-db", True, ("ledger-db",))
    clocks = [row["clock"] for row in made.result.clocks]
    assert "reconciled: transfer" in clocks
    assert [one for one in clocks if not one.startswith(("backlog drained: ", "reconciled: "))] == [
        "detected",
        "identified",
        "decided: promote-standby",
        "repaired",
    ]


@pytest.mark.timeout(400)
def test_minimum_service_is_back_long_before_full_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = run("minimum-service", "", tmp_path, monkeypatch)
    assert made.result.as_expected, made.result.reason
    minimum, transfer = made.measurements.minimum_service, made.measurements.journeys["transfer"].rta
    assert minimum is not None
    assert minimum.rta is not None
    assert transfer is not None
    assert minimum.rta.hi is not None
    assert 1.5e9 < minimum.rta.lo < minimum.rta.hi < 5e9, "with the network, which was cut for 2 s"
    assert transfer.lo > 8e9, "with the standby, which hung for 9 s"
    assert outcomes(made)["minimum-service.rto"] == "pass"


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_small_payments_are_promised_at_once_and_booked_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = run("stand-in", "", tmp_path, monkeypatch)
    assert made.result.as_expected, made.result.reason
    minimum, transfer = made.measurements.minimum_service, made.measurements.journeys["transfer"].rta
    assert minimum is not None
    assert minimum.rta is not None
    assert minimum.rta.hi is not None
    assert transfer is not None
    assert minimum.rta.hi < 4e9, "long before anybody has decided"
    assert transfer.lo > 8e9, "a promise is not the payment"
    one = made.measurements.stand_ins["transfer"]
    assert one.accepted == one.booked > 50
    assert (one.unbooked, one.over_limit) == ((), ())
    assert made.measurements.books["ledger"].counts["marked-stale"] > 50
    paper = Paper(made.history, made.measurements, made.result)
    for name in ("minimum-service.rto", "transfer.stand-in", "transfer.double-spent", "transfer.over-limit"):
        assert name in explanation.names(paper)
        assert explanation.explain(paper, name).startswith(name)


@pytest.mark.timeout(400)
def test_customers_are_told_on_every_channel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = run("customers-told", "", tmp_path, monkeypatch)
    assert made.result.as_expected, made.result.reason
    told = {one.channel: one for one in made.measurements.notices}
    assert sorted(told) == ["app", "sms", "status-page"]
    for one in told.values():
        assert (one.missing, one.announced) == ((), "10s")
        assert one.after is not None
        assert one.after.hi is not None
        assert one.after.hi < 5e9
        assert one.late is not None
    assert any(one["service"] == "notices" and one["kind"] == "stand-in" for one in made.result.fidelity)
