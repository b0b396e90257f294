"""Which drill a run is judged by when a file is given: of a matrix, the cell that the run was."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaoskit import pipeline, registry, run_folder, spec
from chaoskit.cli import judging
from chaoskit.errors import InputError
from chaoskit.model.drill import Expect

ROOT = Path(__file__).parents[2]
PAIR = ROOT / "drills" / "server" / "standby-dies.yaml"


def planned(folder: Path, cell: str) -> Path:
    """A folder with the plan of one cell of the pair."""
    loaded = dict(spec.cells(spec.load(PAIR, registry)))[cell]
    run_folder.write_json(folder / "plan.json", pipeline.make_plan(loaded, "local"))
    return folder


def test_a_run_of_one_variant_is_not_judged_by_what_is_expected_of_another(tmp_path: Path) -> None:
    """The synchronous variant is expected to miss `transfer.rto`: for the other that it is a failure."""
    assert judging.drill_for(planned(tmp_path, "variant=async"), PAIR).expect == "pass"
    found = judging.drill_for(planned(tmp_path, "variant=synchronous"), PAIR).expect
    assert isinstance(found, Expect)
    assert found.fail == ("transfer.rto",)


def test_a_variant_that_the_file_does_not_have_is_refused(tmp_path: Path) -> None:
    other = ROOT / "drills" / "server" / "stale-standby.yaml"
    with pytest.raises(InputError, match=r"no cell of its matrix has the variant async.*drifted, checked"):
        judging.drill_for(planned(tmp_path, "variant=async"), other)


def test_cells_that_ask_for_different_things_are_refused(tmp_path: Path) -> None:
    text = PAIR.read_text().replace("../../fixtures", str(ROOT / "fixtures"))
    several = tmp_path / "several.yaml"
    axes = "matrix: {variant: [synchronous, async], objectives.balance.rto: [5s, 10s]}"
    several.write_text(text.replace("matrix: {variant: [synchronous, async]}", axes))
    with pytest.raises(InputError, match="ask for different things"):
        judging.drill_for(planned(tmp_path, "variant=async"), several)
    seeds = axes.replace("objectives.balance.rto: [5s, 10s]", "seed: [1, 2]")
    several.write_text(text.replace("matrix: {variant: [synchronous, async]}", seeds))
    assert judging.drill_for(tmp_path, several).expect == "pass"
