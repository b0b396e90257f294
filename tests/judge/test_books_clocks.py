"""Backlog and right books: shown for who was out, and an RTO waits for books that lost data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from chaoskit import judging
from chaoskit.judge.explanation import explain, names
from chaoskit.judge.paper import Paper
from chaoskit.model.verdict import Result, Verdict
from tests.histories.builder import ZERO, RunBuilder, S
from tests.histories.destroyed import destroyed


def paper_of(builder: RunBuilder, folder: Path) -> Paper:
    run = judging.judge_folder(builder.write(folder / "run"))
    return Paper(run.history, run.measurements, run.result)


def asked(rto: str, **more: Any) -> RunBuilder:
    return destroyed(objectives={"transfer": {"rto": rto}, "balance": {"rto": rto}}, **more)


def rto(result: Result, journey: str = "transfer") -> Verdict:
    return next(one for one in result.verdicts if one.name == f"{journey}.rto")


def row(result: Result, clock: str) -> dict[str, str] | None:
    return next((dict(one) for one in result.clocks if one["clock"] == clock), None)


@pytest.mark.parametrize(("limit", "outcome"), [("5s", "fail"), ("5998ms", "unknown"), ("6s", "pass")])
def test_service_that_is_back_before_the_books_are_right_is_not_enough(
    tmp_path: Path, limit: str, outcome: str
) -> None:
    found = rto(paper_of(asked(limit, again=ZERO + 6 * S), tmp_path).result)
    assert found.outcome == outcome
    assert found.reason.startswith("its books were right after 5.99 – 6.00 s")
    assert "crash destroyed data" in found.reason
    assert "recovered after 4.10 – 4.21 s" in found.reason
    assert found.measured == "5.99 – 6.00 s"


def test_books_that_are_right_before_service_is_back_leave_it_to_that(tmp_path: Path) -> None:
    found = rto(paper_of(asked("5s", again=ZERO + 2 * S), tmp_path).result)
    assert found.outcome == "pass"
    assert found.reason == "recovered after 4.10 – 4.21 s; its books were right by then, after 1.99 – 2.00 s"


def test_a_journey_that_only_reads_is_judged_on_its_service(tmp_path: Path) -> None:
    found = rto(paper_of(asked("5s", again=ZERO + 6 * S), tmp_path).result, "balance")
    assert (found.outcome, found.reason) == ("pass", "recovered after 4.10 – 4.21 s")


def test_a_fault_that_destroys_nothing_is_judged_on_service(tmp_path: Path) -> None:
    found = rto(paper_of(asked("5s", flags=False), tmp_path).result)
    assert (found.outcome, found.reason) == ("pass", "recovered after 4.10 – 4.21 s")


@pytest.mark.parametrize(("limit", "outcome"), [("10s", "fail"), ("30s", "unknown")])
def test_books_that_were_never_right_pass_nothing(tmp_path: Path, limit: str, outcome: str) -> None:
    builder = asked(limit)
    builder.postings.pop(0)
    found = rto(paper_of(builder, tmp_path).result)
    assert found.outcome == outcome
    assert "its books were not right when they were last looked at, > 12.99 s after the fault" in found.reason


def test_books_that_say_nothing_are_no_pass(tmp_path: Path) -> None:
    result = paper_of(asked("30s").without("collect.snapshot"), tmp_path).result
    assert rto(result).outcome == "unknown"
    assert "when the books were right again is not known" in rto(result).reason
    told = row(result, "reconciled: transfer")
    assert told is not None
    assert told["after the fault"] == "unknown"


def test_people_that_only_the_books_waited_for_count(tmp_path: Path) -> None:
    builder = asked("5m", again=ZERO + 6 * S, people=300 * S)
    found = rto(paper_of(builder, tmp_path).result)
    assert found.outcome == "fail"
    assert "305.99 – 306.00 s (machine 5.99 – 6.00 s and people 5m modelled)" in found.reason


@pytest.mark.parametrize(("limit", "outcome"), [("4s", "fail"), ("4m", "unknown"), ("6m", "pass")])
def test_people_after_full_service_miss_no_rto_of_books_that_no_step_put_right(
    tmp_path: Path, limit: str, outcome: str
) -> None:
    """They may have been right with full service, before those people decided anything."""
    builder = asked(limit, again=ZERO + 6 * S, people=300 * S)
    steps = [step.model_copy(update={"mends_books": False}) for step in builder.plan.steps]
    builder.plan = builder.plan.model_copy(update={"steps": tuple(steps)})
    paper = paper_of(builder, tmp_path)
    assert rto(paper.result).outcome == outcome
    if outcome != "fail":
        assert "its books were right after 4.10 – 313.00 s" in rto(paper.result).reason
    assert "right books, 4.10 – 313.00 s" in explain(paper, "transfer.rto")
    assert "5m of modelled human time: 4.10 – 313.00 s" in explain(paper, "transfer.reconciled")


def test_the_headline_tells_people_that_only_the_books_waited_for(tmp_path: Path) -> None:
    paper = paper_of(asked("6m", again=ZERO + 6 * S, people=300 * S), tmp_path)
    assert rto(paper.result).outcome == "pass"
    assert paper.measurements.journeys["transfer"].modelled == 0
    assert paper.result.modelled_s == 300
    assert any("5m of human time are modelled and were not waited for" in note for note in paper.result.notes)
    assert "transfer: 5m of it lie on its way to right books" in explain(paper, "people")
    assert "until its books were right: transfer + 5m" in explain(paper, "decided: again")
    shown = paper_of(asked("6m", again=ZERO + 6 * S, people=300 * S, flags=False), tmp_path / "old").result
    assert shown.modelled_s == 0  # no RTO waits for these books


def test_both_clocks_are_shown_with_the_journey_and_who_put_the_books_right(tmp_path: Path) -> None:
    result = paper_of(asked("30s", again=ZERO + 6 * S), tmp_path).result
    right = row(result, "reconciled: transfer")
    assert right == {
        "clock": "reconciled: transfer",
        "after the fault": "5.99 – 6.00 s",
        "what": "again put the books right last; crash destroyed data",
    }
    drained = row(result, "backlog drained: transfer")
    assert drained is not None
    assert drained["after the fault"] == "5.34 – 5.35 s"
    assert row(result, "backlog drained: balance") is not None
    assert row(result, "reconciled: balance") is None


def test_who_was_never_out_has_no_row(tmp_path: Path) -> None:
    builder = RunBuilder().crash(good=lambda t: True)
    clocks = [one["clock"] for one in paper_of(builder, tmp_path).result.clocks]
    assert not [clock for clock in clocks if clock.startswith(("backlog", "reconciled"))]


def test_both_clocks_and_the_rto_are_explained_and_add_up(tmp_path: Path) -> None:
    paper = paper_of(asked("30s", again=ZERO + 6 * S, people=300 * S), tmp_path)
    assert {"transfer.reconciled", "transfer.backlog-drained"} <= set(names(paper))
    for name in names(paper):
        assert "NOT ADD UP" not in explain(paper, name)
    assert "again put the books right last" in explain(paper, "reconciled: transfer")
    told = explain(paper, "transfer.rto")
    assert "the RTO is judged by the later of full service, 4.10 – 4.21 s, and right books, 305.99" in told
    assert "6 s − f_hi = 5.997 s; − f_lo = 5.999 s" in told.replace("6.000000 s", "6 s")


def test_a_clock_that_was_tampered_with_does_not_add_up(tmp_path: Path) -> None:
    paper = paper_of(asked("30s", again=ZERO + 6 * S), tmp_path)
    journey = paper.measurements.journeys["transfer"]
    assert journey.reconciled is not None
    assert journey.reconciled.hi is not None
    better = journey.reconciled.model_copy(update={"hi": journey.reconciled.hi - S, "lo": 0})
    forged = paper.measurements.model_copy(
        update={"journeys": {"transfer": journey.model_copy(update={"reconciled": better})}}
    )
    text = explain(Paper(paper.history, forged, paper.result), "transfer.reconciled")
    assert "DOES NOT ADD UP" in text
