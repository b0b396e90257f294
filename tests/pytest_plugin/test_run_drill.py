"""The `run_drill` fixture, for engineers who assert on a drill in Python. Its runs are staged."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from chaoskit.model.interval import Interval
from chaoskit.model.loss import LossMeasure, LostOperation
from chaoskit.pytest_plugin.running import tell
from chaoskit.spec import Loaded
from tests.histories.builder import drill as drill_of
from tests.pytest_plugin import staged_runs
from tests.pytest_plugin.staged_runs import drill, write

pytest_plugins = ["pytester"]


@pytest.fixture
def staged(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    monkeypatch.setattr("chaoskit.pipeline.run", staged_runs.run)
    write(pytester.path)
    return pytester


def test_it_returns_the_run_whatever_the_verdict(staged: pytest.Pytester) -> None:
    write(staged.path, shop=drill(title="fail"))
    staged.makepyfile(
        """
        def test_shop(run_drill, request):
            run = run_drill("shop.yaml", seed=9)
            assert run.result.outcome == "fail"
            assert run.measurements.journeys["visit"].rta.hi < 20e9
            assert run.folder.name == "staged-9"
            assert ("outcome", "fail") in request.node.user_properties
        """
    )
    staged.runpytest_inprocess("shop.yaml", "-p", "no:randomly").assert_outcomes(failed=1)
    staged.runpytest_inprocess("-p", "no:randomly", "-k", "test_shop").assert_outcomes(passed=1, deselected=1)


def test_properties_are_those_of_the_scorecard() -> None:
    """Books that could not be read have lost nothing that is known, and a measurement that is invalid is none."""
    made = staged_runs.run(
        cast(Loaded, SimpleNamespace(drill=drill_of(title="pass"))), reports=Path("reports")
    )
    unread = LossMeasure(books="ledger", survivor="db", acknowledged=0, lost=(), problems=("torn",))
    gone = LostOperation(key="k", journey="visit", amount=1, currency="CNY", sent=1, done=2)
    promised = LossMeasure(books="other", survivor="db", acknowledged=9, lost=(gone,), unbooked=(gone,))
    visit = made.measurements.journeys["visit"].model_copy(update={"invalid": ("the prober was late",)})
    measured = made.measurements.model_copy(
        update={"losses": {"ledger": unread, "other": promised}, "journeys": {"visit": visit}}
    )
    item = SimpleNamespace(user_properties=[])
    tell(cast(pytest.Item, item), replace(made, measurements=measured))
    properties = dict(item.user_properties)
    assert properties["ledger.lost"] == "unknown"
    assert properties["other.lost"] == "2"
    assert (properties["visit.rta_lower_s"], properties["visit.rta_upper_s"]) == ("unknown", "unknown")


def test_bounds_are_rounded_outward_as_everywhere() -> None:
    made = staged_runs.run(cast(Loaded, SimpleNamespace(drill=drill_of(title="pass"))), reports=Path("r"))
    rta = Interval(lo=4_180_600_000, hi=4_290_400_000)
    visit = made.measurements.journeys["visit"].model_copy(update={"rta": rta})
    measured = made.measurements.model_copy(update={"journeys": {"visit": visit}})
    item = SimpleNamespace(user_properties=[])
    tell(cast(pytest.Item, item), replace(made, measurements=measured))
    properties = dict(item.user_properties)
    assert (properties["visit.rta_lower_s"], properties["visit.rta_upper_s"]) == ("4.18", "4.291")


def test_modelled_human_time_stands_beside_the_machine_s(tmp_path: Path) -> None:
    """The RTO is judged on their sum: of 4 s alone nobody would see why it was missed."""
    made = staged_runs.run(cast(Loaded, SimpleNamespace(drill=drill_of(title="pass"))), reports=tmp_path)
    visit = made.measurements.journeys["visit"].model_copy(update={"modelled": 120_000_000_000})
    for journeys, said in (({"visit": visit}, "120"), (made.measurements.journeys, None)):
        item = SimpleNamespace(user_properties=[])
        measured = made.measurements.model_copy(update={"journeys": journeys})
        tell(cast(pytest.Item, item), replace(made, measurements=measured))
        assert dict(item.user_properties).get("visit.people_modelled_s") == said


def test_paths_start_at_the_test_or_at_the_root(staged: pytest.Pytester) -> None:
    sub = staged.mkdir("sub")
    write(sub, near=drill())
    write(staged.path, far=drill())
    (sub / "test_paths.py").write_text(
        "def test_paths(run_drill):\n    run_drill('near.yaml')\n    run_drill('far.yaml')\n"
    )
    (staged.path / "pytest.ini").write_text("[pytest]\n")
    staged.runpytest_inprocess("-k", "test_paths", "-p", "no:randomly").assert_outcomes(
        passed=1, deselected=2
    )


def test_mistakes_are_told_without_a_traceback_of_ours(staged: pytest.Pytester) -> None:
    write(staged.path, shop=drill(rto="soon"))
    staged.makepyfile(
        """
        import asyncio

        def test_missing(run_drill):
            run_drill("nowhere.yaml")

        def test_mistaken(run_drill):
            run_drill("shop.yaml")

        def test_not_mine(drill_run):
            pass

        def test_in_a_loop(run_drill):
            async def body():
                run_drill("shop.yaml")
            asyncio.run(body())
        """
    )
    result = staged.runpytest_inprocess(
        "-p", "no:randomly", "--continue-on-collection-errors", "--ignore=shop.yaml"
    )
    result.assert_outcomes(failed=3, errors=1)
    text = result.stdout.str()
    assert "nowhere.yaml:1:1: no such drill file" in text
    assert "shop.yaml:11:16: " in text
    assert "in your own tests use run_drill(path)" in text
    assert "run_drill blocks" in text
    assert "chaoskit/pytest_plugin" not in text
