"""A series keeps every run it fixed in advance: what is unknown, aborted or missing is no success."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from chaoskit import series
from chaoskit.cli.app import run_app
from chaoskit.errors import InputError
from chaoskit.evidence.chain import ChainWriter
from chaoskit.evidence.manifest import write_manifest
from chaoskit.evidence.seal import seal_files
from chaoskit.judge.series import in_words, judge_series
from chaoskit.model.series import Place, SeriesFile
from chaoskit.model.verdict import Outcome, Result
from chaoskit.quantity import Percent
from tests.histories.builder import drill, plan_for

ASKED = SeriesFile(
    series="primary-crash",
    drill="primary-crash",
    runs=5,
    confidence=Percent.parse("95%"),
    seeds=(7, 8, 9, 10, 11),
)


def result(outcome: Outcome, as_expected: bool | None = None) -> Result:
    return Result(
        run="r",
        drill="primary-crash",
        title="t",
        outcome=outcome,
        expected="pass",
        as_expected=outcome == "pass" if as_expected is None else as_expected,
        exit_code=0,
        reason="why",
        verdicts=(),
        scorecard=(),
    )


def publish(reports: Path, number: int, outcome: Outcome, folder: str | None = None, **changes: Any) -> None:
    place = reports / (folder or f"run-{number}")
    place.mkdir()
    about = {
        "series": Place(series=ASKED.series, number=number, runs=5),
        "seed": ASKED.seeds[number - 1],
    }
    plan = plan_for(drill(repeat={"runs": 5})).model_copy(update=about | changes)
    (place / "plan.json").write_text(plan.model_dump_json())
    with ChainWriter(place / "events.jsonl") as chain:
        chain.append(1, "run.begin", {"run": "r"})
        chain.append(2, "seal", {"files": seal_files(place)})
    (place / "result.json").write_text(result(outcome).model_dump_json())
    write_manifest(place)


@pytest.fixture
def reports(tmp_path: Path) -> Path:
    (tmp_path / "primary-crash.series.json").write_text(ASKED.model_dump_json())
    return tmp_path


def test_five_of_five_still_leave_a_chance_of_a_miss() -> None:
    found = judge_series(ASKED, {n: (f"run-{n}", result("pass")) for n in range(1, 6)})
    assert in_words(found) == "5/5 met; at 95% confidence P(miss) ≤ 46 %"
    assert found.miss_at_most == pytest.approx(1 - 0.05 ** (1 / 5))


def test_unknown_and_aborted_stay_in_n(reports: Path) -> None:
    for number, outcome in enumerate(("pass", "unknown", "aborted", "fail", "pass"), start=1):
        publish(reports, number, outcome)  # type: ignore[arg-type]
    found = series.read(reports / "primary-crash.series.json")
    assert found.met == 2
    assert len(found.runs) == 5
    assert "1 unknown; 1 aborted; 1 fail" in in_words(found)
    assert found.miss_at_most > 0.9


def test_missing_run_is_reported_by_its_number(reports: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in (1, 2, 4, 5):
        publish(reports, number, "pass")
    found = series.read(reports / "primary-crash.series.json")
    assert found.missing == (3,)
    assert "missing: run 3 of 5" in in_words(found)
    assert run_app(["report", str(reports / "primary-crash.series.json")]) == 3
    assert "missing" in capsys.readouterr().out


def test_run_that_was_made_again_does_not_replace_a_bad_one(reports: Path) -> None:
    publish(reports, 1, "pass", "better")
    publish(reports, 1, "fail", "a-worse")
    assert series.read(reports / "primary-crash.series.json").runs[0].outcome == "fail"


def test_run_that_was_altered_after_it_was_judged_meets_nothing(reports: Path) -> None:
    publish(reports, 1, "fail")
    (reports / "run-1" / "result.json").write_text(result("pass").model_dump_json())
    (run, *_) = series.read(reports / "primary-crash.series.json").runs
    assert (run.outcome, run.as_expected) == ("unknown", False)
    assert "altered" in run.reason


@pytest.mark.parametrize(
    "changes",
    [
        {"runs": 0, "seeds": []},
        {"runs": -1, "seeds": []},
        {"runs": 10**9},
        {"runs": 2},
        {"confidence": "0%"},
        {"confidence": "100%"},
    ],
)
def test_series_file_that_was_edited_is_no_series(
    reports: Path, changes: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    path = reports / "primary-crash.series.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    assert run_app(["report", str(path)]) == 2
    assert "is no series" in capsys.readouterr().err


def test_bound_is_at_the_confidence_that_was_fixed_in_advance(reports: Path) -> None:
    """At half the confidence the same runs bound the chance of a miss by 13 % and not by 46 %."""
    repeating = drill(repeat={"runs": 5, "confidence": "95%"})
    for number in range(1, 6):
        publish(reports, number, "pass", drill=repeating)
    path = reports / "primary-crash.series.json"
    assert series.read(path).met == 5
    path.write_text(json.dumps(json.loads(path.read_text()) | {"confidence": "50%"}))
    assert series.read(path).missing == (1, 2, 3, 4, 5)


def test_folder_of_another_series_and_rubbish_beside_it_count_for_nothing(reports: Path) -> None:
    (reports / "rubbish").mkdir()
    (reports / "rubbish" / "plan.json").write_text("{")
    (reports / "file").write_text("")
    assert series.read(reports / "primary-crash.series.json").missing == (1, 2, 3, 4, 5)


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 99},
        {"drill": drill(drill="another", repeat={"runs": 5})},
        {"series": Place(series=ASKED.series, number=1, runs=20)},
    ],
    ids=["seed", "drill", "number of runs"],
)
def test_run_of_another_series_by_the_same_name_is_none_of_this_one(
    reports: Path, changes: dict[str, Any]
) -> None:
    publish(reports, 1, "pass", **changes)
    assert series.read(reports / "primary-crash.series.json").missing == (1, 2, 3, 4, 5)


def test_new_series_does_not_take_the_name_of_runs_whose_series_file_is_gone(tmp_path: Path) -> None:
    """They would be counted in it: a series that was stopped after one run would find the others made already."""

    class Loaded:
        drill = drill(repeat={"runs": 3})

    first, path = series.begin(Loaded(), tmp_path)  # type: ignore[arg-type]
    place = Place(series=first.series, number=2, runs=3)
    publish(tmp_path, 2, "pass", series=place, seed=first.seeds[1])
    assert series.read(path).met == 1
    path.unlink()
    again, path = series.begin(Loaded(), tmp_path)  # type: ignore[arg-type]
    assert again.series != first.series
    assert series.read(path).missing == (1, 2, 3)


def test_drill_that_is_expected_to_fail_meets_it_by_failing() -> None:
    found = judge_series(
        ASKED.model_copy(update={"runs": 1}), {1: ("run-1", result("fail", as_expected=True))}
    )
    assert found.met == 1


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"version": "1", "series": 3}'])
def test_file_that_is_no_series_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.series.json"
    path.write_text(text)
    with pytest.raises(InputError, match="is no series"):
        series.read(path)


def test_number_of_runs_is_on_disk_before_the_first_run_and_names_do_not_collide(tmp_path: Path) -> None:
    class Loaded:
        drill = drill(repeat={"runs": 3})

    one, path = series.begin(Loaded(), tmp_path)  # type: ignore[arg-type]
    two, _ = series.begin(Loaded(), tmp_path)  # type: ignore[arg-type]
    assert json.loads(path.read_text())["runs"] == 3
    assert one.seeds == tuple(Loaded.drill.seed + k for k in range(3))
    assert one.series != two.series
