"""Every number of a scorecard can be explained, and the arithmetic on paper gives the number that was printed."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from chaoskit import evidence, judging, metrics
from chaoskit.cli.app import run_app
from chaoskit.errors import InputError
from chaoskit.judge.explanation import explain, names
from chaoskit.judge.paper import Paper
from chaoskit.model.measurement import Interval, LossMeasure, LostOperation, Measurements
from tests.histories.builder import (
    BACK,
    KILL_HI,
    KILL_LO,
    MS,
    PERIOD,
    SYSTEM,
    ZERO,
    RunBuilder,
    S,
    drill,
    plan_for,
)


def paper_of(folder: Path, builder: RunBuilder) -> Paper:
    builder.usual_events()
    run = judging.judge_folder(builder.write(folder))
    return Paper(run.history, run.measurements, run.result)


@pytest.fixture
def paper(tmp_path: Path) -> Paper:
    return paper_of(tmp_path / "run", RunBuilder().crash())


def test_every_number_and_verdict_has_an_explanation_that_adds_up(paper: Paper) -> None:
    for name in names(paper):
        text = explain(paper, name)
        assert text.startswith(name)
        assert "NOT ADD UP" not in text
    for verdict in paper.result.verdicts:
        assert verdict.name in names(paper)
    for row in paper.result.scorecard:
        for number in ("rta", "good"):
            assert f"{row['journey']}.{number}" in names(paper)


def test_outages_without_any_fault_can_be_asked_for(tmp_path: Path) -> None:
    """A proof says of a run without its fault that customers were badly off in it as well."""
    unarmed = RunBuilder().crash().without("fault.begin", "fault.applied", "fault.witnessed")
    paper = paper_of_unarmed(tmp_path / "run", unarmed)
    assert "transfer.outages: 1, as the prober saw them" in explain(paper, "transfer.outages")


def paper_of_unarmed(folder: Path, builder: RunBuilder) -> Paper:
    run = judging.judge_folder(builder.write(folder))
    return Paper(run.history, run.measurements, run.result)


def test_loss_on_paper_is_the_loss_of_the_scorecard(paper: Paper) -> None:
    """What was accepted and is not booked is lost as well, and of books that cannot be read nothing is known."""
    loss = paper.measurements.losses["ledger"]
    gone = LostOperation(key="k-1", journey="transfer", amount=1, currency="CNY", sent=ZERO, done=ZERO + S)
    unbooked = replace(paper, measurements=with_loss(paper, loss.model_copy(update={"unbooked": (gone,)})))
    text = explain(unbooked, "transfer.lost")
    assert "transfer.lost: 1 key" in text
    assert "not booked k-1: sent 0.000000 s, accepted 1.000000 s" in text
    torn = loss.model_copy(update={"problems": ("the books cannot be read",), "acknowledged_by_journey": {}})
    text = explain(replace(paper, measurements=with_loss(paper, torn)), "transfer.lost")
    assert "transfer.lost: unknown" in text
    assert "cannot be used: the books cannot be read" in text
    text = explain(replace(paper, measurements=with_loss(paper, torn)), "transfer.in-doubt")
    assert "transfer.in-doubt: unknown" in text


def with_loss(paper: Paper, loss: LossMeasure) -> Measurements:
    return paper.measurements.model_copy(update={"losses": {"ledger": loss}})


def test_recovery_time_shows_both_ends_and_the_subtraction(paper: Paper) -> None:
    text = explain(paper, "transfer.rta")
    assert f"command started {(KILL_LO - ZERO) / 1e9:.6f} s" in text
    assert f"{(KILL_HI - ZERO) / 1e9:.6f} s: the kernel has no such process" in text
    lower = re.search(r"lower bound = a_k − f_hi = ([\d.]+) s − ([\d.]+) s = ([\d.]+) s", text)
    upper = re.search(r"upper bound = a_l − f_lo = ([\d.]+) s − ([\d.]+) s = ([\d.]+) s", text)
    assert lower is not None
    assert upper is not None
    for a, b, difference in (lower.groups(), upper.groups()):
        assert float(a) - float(b) == pytest.approx(float(difference), abs=2e-6)
    rta = paper.measurements.journeys["transfer"].rta
    assert rta is not None
    assert rta.hi is not None
    assert float(lower[3]) == pytest.approx(rta.lo / 1e9, abs=1e-6)
    assert float(upper[3]) == pytest.approx(rta.hi / 1e9, abs=1e-6)
    assert (BACK - PERIOD - ZERO) / S <= float(upper[1]) <= (BACK + PERIOD - ZERO) / S
    assert "woke" in text
    assert "bad" in text
    assert "good" in text


def test_number_that_was_tampered_with_does_not_add_up(paper: Paper) -> None:
    journey = paper.measurements.journeys["transfer"]
    assert journey.rta is not None
    assert journey.rta.hi is not None
    better = Interval(lo=journey.rta.lo // 2, hi=journey.rta.hi - 500 * MS)
    forged = paper.measurements.model_copy(
        update={"journeys": {"transfer": journey.model_copy(update={"rta": better})}}
    )
    assert "DOES NOT ADD UP" in explain(replace(paper, measurements=forged), "transfer.rta")
    rows = [{**row, "RTA (bounds)": "0.10 – 0.20 s"} for row in paper.result.scorecard]
    printed = paper.result.model_copy(update={"scorecard": tuple(rows)})
    assert "the scorecard shows 0.10 – 0.20 s" in explain(replace(paper, result=printed), "transfer.rta")


def test_lost_payments_are_listed_with_the_query_that_finds_them(tmp_path: Path) -> None:
    builder = RunBuilder().crash()
    gone = builder.postings.pop(0)
    text = explain(paper_of(tmp_path / "run", builder), "transfer.lost")
    assert gone.key in text
    assert "ANTI JOIN" in text


def test_bounds_widened_for_bad_probes_that_came_and_went_say_so(tmp_path: Path) -> None:
    def good(t: int) -> bool:
        return not KILL_LO <= t < BACK or (t // (300 * MS)) % 2 == 0

    paper = paper_of(tmp_path / "run", RunBuilder().crash(good=good))
    text = explain(paper, "transfer.rta")
    assert "came and went" in text
    assert "NOT ADD UP" not in text


def test_recovery_that_never_came_is_more_than_its_lower_bound(tmp_path: Path) -> None:
    paper = paper_of(tmp_path / "run", RunBuilder().crash(good=lambda t: t < KILL_LO))
    text = explain(paper, "transfer.rta")
    assert "upper bound: none" in text
    assert "to the end of the run" in text


def test_journey_that_was_never_bad_says_so(tmp_path: Path) -> None:
    paper = paper_of(tmp_path / "run", RunBuilder().crash(good=lambda t: True))
    assert "no probe was bad" in explain(paper, "transfer.rta")


def test_unknown_name_lists_the_known_ones(paper: Paper) -> None:
    with pytest.raises(InputError, match=r"there are: transfer\.good, transfer\.rta"):
        explain(paper, "transfer.speed")


def test_command_lists_and_explains(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "run"
    paper_of(folder, RunBuilder().crash())
    assert run_app(["explain", str(folder)]) == 0
    assert "transfer.rta" in capsys.readouterr().out.splitlines()
    assert run_app(["explain", str(folder), "transfer.rta"]) == 0
    assert "a_l − f_lo" in capsys.readouterr().out
    assert run_app(["explain", str(folder), "nothing"]) == 2
    assert run_app(["explain", str(tmp_path / "none")]) == 2


def test_explaining_changes_nothing_on_disk(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "run"
    paper_of(folder, RunBuilder().crash())
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert run_app(["explain", str(folder), "transfer.lost"]) == 0
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    history = evidence.load_history(folder)
    assert metrics.measure(history).run == history.run
    assert "ledger" in capsys.readouterr().out


def test_the_agreed_minimum_service_is_explained(tmp_path: Path) -> None:
    agreed = {"journeys": ["transfer", "balance"], "share": "80%", "for": "3s"}
    system = {**SYSTEM, "minimum-service": agreed}
    asked = drill(objectives={"transfer": {"rto": "30s"}, "minimum-service": {"rto": "30s"}})
    made = paper_of(tmp_path / "run", RunBuilder(plan=plan_for(asked, system)).crash())
    minimum = made.measurements.minimum_service
    assert minimum is not None
    assert minimum.rta is not None
    assert minimum.rta.hi is not None
    text = explain(made, "minimum-service.rto")
    assert text.startswith("minimum-service.rto: pass")
    assert f"lower bound = the last probe that fails − f_hi = {minimum.rta.lo / 1e9:.3f} s" in text
    assert f"= {minimum.rta.hi / 1e9:.3f} s; {minimum.last} was good enough last" in text
    assert "transfer: 42 bad probes until then, the last at 4.107000 s" in text
