"""The bank's own watchdog takes over with nobody's help; proofs leave it out, and never do two take writes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from chaoskit import pipeline, registry
from chaoskit.spec import load
from tests.end_to_end.conftest import ROOT, Workplace

DRILLS = [
    ROOT / "drills" / "server" / f"watchdog-{name}.yaml"
    for name in ("takeover", "split-brain", "fencing-cut")
]
CUT = DRILLS[2]


@pytest.mark.parametrize("drill", DRILLS, ids=lambda one: one.stem)
@pytest.mark.parametrize("runtime", ["local", "docker"])
def test_nobody_helps_it(runtime: str, drill: Path) -> None:
    """Each plans on both runtimes, without a response."""
    plan = pipeline.make_plan(load(drill, registry), runtime)
    assert {step.kind for step in plan.steps} <= {"fault", "probe"}
    assert any(note.startswith("watchdog brings database back by itself") for note in plan.notes)


def test_writers_that_no_check_judges_are_told_in_the_plan(tmp_path: Path) -> None:
    text = CUT.read_text().replace(", one-writer]", "]").replace("../../fixtures", str(ROOT / "fixtures"))
    (tmp_path / "drill.yaml").write_text(text)
    plan = pipeline.make_plan(load(tmp_path / "drill.yaml", registry), "local")
    assert any("nobody judges what the step writers sees" in note for note in plan.notes)
    assert not any("nobody judges" in n for n in pipeline.make_plan(load(CUT, registry), "local").notes)


@pytest.mark.timeout(200)
def test_a_primary_that_nobody_can_reach_or_stop_has_stopped_before_another_is_promoted(
    workplace: Workplace,
) -> None:
    done = workplace.run(CUT, timeout_s=180)
    assert done.code == 0, done.both
    (folder,) = workplace.folders()
    events = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    (ended,) = (one["data"] for one in events if one["kind"] == "service.exit")
    assert (ended["service"], ended["status"]) == (
        "ledger-db",
        "exit status 0",
    )  # it stopped in good order, by itself
    verdicts = {one["name"]: one for one in json.loads((folder / "result.json").read_text())["verdicts"]}
    assert "never both took writes: ledger-db took" in verdicts["one-writer"]["reason"]


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("drill", DRILLS, ids=lambda one: one.stem)
def test_without_its_watchdog_each_turns_red(workplace: Workplace, drill: Path) -> None:
    done = workplace.chaoskit("prove", drill, "--reports", workplace.reports, timeout_s=380)
    assert done.code == 0, done.both
    assert "ok: the watchdog watchdog left out: fail" in done.out
