"""What stood for each service is told with the running server's version: in the result, on the card, in comparisons."""

from __future__ import annotations

from pathlib import Path

from chaoskit import judging
from chaoskit.cli.comparing import side_by_side
from chaoskit.evidence.stored_run import StoredRun, load_stored_run
from chaoskit.judge.comparison import compare
from chaoskit.model.plan import Fidelity
from chaoskit.reporters.scorecard import Scorecard
from tests.histories.builder import ZERO, RunBuilder

EMBEDDED = (
    Fidelity(service="db", kind="embedded", what="processes of this machine"),
    Fidelity(service="ledger", kind="real", what="its own code"),
)


def judged(folder: Path, version: str | None) -> StoredRun:
    builder = RunBuilder().crash()
    builder.plan = builder.plan.model_copy(update={"fidelity": EMBEDDED})
    builder.usual_events()
    builder.event(ZERO - 1, "service.version", service="db", version=version, error=None)
    judging.judge_folder(builder.write(folder))
    return load_stored_run(folder)


def test_the_version_is_in_the_result_and_on_the_card(tmp_path: Path) -> None:
    run = judged(tmp_path / "run", "PostgreSQL 18.6")
    db, ledger = run.result.fidelity
    assert db["version"] == "PostgreSQL 18.6"
    assert "version" not in ledger
    card = Scorecard().render(run.result, "run/")
    assert "· db: embedded, processes of this machine; it says it is PostgreSQL 18.6" in card
    assert "· ledger: real, its own code\n" in card


def test_a_server_that_did_not_say_has_none(tmp_path: Path) -> None:
    assert "version" not in judged(tmp_path / "run", None).result.fidelity[0]


def test_a_comparison_of_two_versions_names_both(tmp_path: Path) -> None:
    old, new = judged(tmp_path / "old", "PostgreSQL 15.8"), judged(tmp_path / "new", "PostgreSQL 18.6")
    told = side_by_side([old, new])
    assert "db is" in told
    assert "PostgreSQL 15.8" in told
    assert "PostgreSQL 18.6" in told
    found = compare([old] * 5, [new] * 5)
    assert found.outcome == "not comparable"
    assert any(reason.startswith("another fidelity") for reason in found.reasons)
