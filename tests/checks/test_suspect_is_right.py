"""The diagnosis in a history: right, wrong, and nobody named; its clocks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from chaoskit import evidence, registry
from chaoskit.judge import judge
from chaoskit.metrics import measure
from chaoskit.model.verdict import Result, Verdict
from tests.histories.builder import MS, ZERO, RunBuilder, drill, plan_for

NAMED = ZERO + 900 * MS


def judged(folder: Path, *suspects: dict[str, Any], undone: int | None = None) -> tuple[Verdict, Result]:
    run = RunBuilder(plan=plan_for(drill(checks=["suspect-is-right"]))).crash()
    if undone is not None:
        run.event(undone, "fault.undone", step="crash", target="db")
    for number, facts in enumerate(suspects):
        run.event(
            NAMED + number, "response.fact", step="look", fact="suspect", evidence=["db: refused"], **facts
        )
    history = evidence.load_history(run.write(folder / "run"))
    result = judge(history, measure(history), registry)
    return next(v for v in result.verdicts if v.name == "suspect-is-right"), result


def test_right(tmp_path: Path) -> None:
    verdict, result = judged(tmp_path, {"suspect": "db"})
    assert (verdict.outcome, verdict.reason) == ("pass", "db was named, and db had been broken")
    rows = {row["clock"]: row for row in result.clocks}
    assert rows["detected"]["what"] == "the alert names db, what was broken"
    assert rows["identified"]["what"] == "db: right (db: refused)"
    assert rows["identified"]["after the fault"].endswith("0.90 s")
    assert rows["repaired"]["what"].endswith("was good again last")


def test_what_suffers_in_place_of_what_is_broken_is_wrong(tmp_path: Path) -> None:
    verdict, result = judged(tmp_path, {"suspect": "ledger"})
    assert (verdict.outcome, verdict.details) == ("fail", ("db: refused",))
    assert "ledger: wrong, db was broken" in next(
        r["what"] for r in result.clocks if r["clock"] == "identified"
    )
    assert result.exit_code == 1


def test_the_last_word_counts(tmp_path: Path) -> None:
    assert judged(tmp_path, {"suspect": "ledger"}, {"suspect": "db"})[0].outcome == "pass"
    assert judged(tmp_path / "other", {"suspect": "db"}, {"suspect": "ledger -> db"})[0].outcome == "fail"


def test_a_fault_that_was_undone_before_makes_nobody_right(tmp_path: Path) -> None:
    verdict, _ = judged(tmp_path, {"suspect": "db"}, undone=NAMED - MS)
    assert (verdict.outcome, "had been undone" in verdict.reason) == ("unknown", True)
    assert judged(tmp_path / "wrong", {"suspect": "ledger"}, undone=NAMED - MS)[0].outcome == "fail"
    assert judged(tmp_path / "later", {"suspect": "db"}, undone=NAMED + 10 * MS)[0].outcome == "pass"


def test_nobody_named(tmp_path: Path) -> None:
    verdict, result = judged(tmp_path)
    assert (verdict.outcome, verdict.exercised) == ("unknown", False)
    assert not {row["clock"] for row in result.clocks} & {"detected", "identified", "repaired"}
