"""The table of all drills says what is wrong; the slow tier runs them all."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from chaoskit import registry
from chaoskit.drill_files import drills_in
from chaoskit.spec import load
from tests.shipped_drills import __main__ as shipped
from tests.shipped_drills.__main__ import Ran, Refused, table


def ran(
    outcome: str = "pass", *, as_expected: bool = True, wall_s: float = 20.0, runtime: str = "local"
) -> Ran:
    return Ran("web-dies", "old", runtime, outcome, as_expected, (("visit.rto", outcome),), wall_s)


def test_alike_and_as_expected_is_well() -> None:
    text, wrong = table([ran(), ran(wall_s=25.2)], [])
    assert wrong == []
    assert "web-dies (old) | local     | pass      | 2 of 2        | yes                  | 25" in text


def test_a_run_is_told_as_it_ends() -> None:
    assert shipped.told(ran(outcome="fail", as_expected=False)) == "old: fail, NOT as expected, 20 s"


def test_one_run_is_the_same_as_none() -> None:
    assert "1 of 1        | –" in table([ran()], [])[0]


@pytest.mark.parametrize(
    ("runs", "told"),
    [
        ([ran(), ran("unknown", as_expected=False)], "as expected only 1 of 2 times"),
        ([ran(), ran("fail")], "not the same verdicts each time"),
        ([ran(), ran(wall_s=61)], "61 s, more than 60 s"),
    ],
)
def test_what_is_not_is_told(runs: list[Ran], told: str) -> None:
    assert any(told in line for line in table(runs, [])[1])


def test_refused_for_a_lack_is_well_and_for_anything_else_is_not() -> None:
    lack = Refused("clock", "local", "`clock.skew` needs clocks, which the runtime", "…")
    assert table([], [lack])[1] == []
    assert table([], [Refused("clock", "local", "", "1:1: unknown key")])[1] == [
        "clock on local was not run: 1:1: unknown key"
    ]


def test_a_run_folder_is_read(tmp_path: Path) -> None:
    result = {
        "drill": "web-dies",
        "outcome": "fail",
        "as-expected": True,
        "verdicts": [{"name": "visit.rto", "outcome": "fail"}],
        "wall-s": {"provision": 3.0, "slot": 40.0, "hold": 6.5},
    }
    (tmp_path / "result.json").write_text(json.dumps(result))
    (tmp_path / "plan.json").write_text(json.dumps({"drill": {"variant": "old"}}))
    read = shipped.read(tmp_path / "result.json", "local")
    assert read == Ran("web-dies", "old", "local", "fail", True, (("visit.rto", "fail"),), 9.5)


def test_a_drill_that_this_runtime_cannot_run_is_refused_by_what_it_lacks() -> None:
    came = shipped.run(shipped.FOLDER / "resilience" / "ledger-cpu.yaml", "local")
    assert isinstance(came, Refused)
    assert came.lacks == "`resource.cpu` needs limits, which the runtime"


def test_drills_of_attacks_ask_that_customers_are_served() -> None:
    """A bank that shuts everybody out repels every attack; `success` of every journey is what makes it red."""
    loaded = [load(file, registry).drill for file in drills_in(shipped.FOLDER / "attack")]
    judged = [drill for drill in loaded if "attack-repelled" in drill.checks]
    assert len(judged) == 3
    for drill in judged:
        served = {name for name, asked in drill.objectives.items() if asked.success is not None}
        assert served in ({"*"}, set(drill.load)), drill.drill


@pytest.mark.slow
@pytest.mark.docker
@pytest.mark.timeout(3 * 3600)
def test_every_shipped_drill_twice_on_every_runtime() -> None:
    assert shipped.main([]) == 0
