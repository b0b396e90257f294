"""Two sets of runs are told apart when one is slower, and hardly ever when nothing has changed."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chaoskit.metrics.comparison import _standardised, shifts
from chaoskit.metrics.metric_shift import ALPHA, miss_bound, smallest_p

TRIALS = 200
SAMPLE = json.loads((Path(__file__).parent / "samples" / "flagship_local.json").read_text("utf-8"))
"""Eighty-seven runs of the flagship as measured, those without an answer too: the spread of a machine in use."""
RUNS = 40
"""What a side needs at that spread: with ten, 60 of 200 failovers that take 30 % longer are found, with 30, 180."""

Metrics = Mapping[str, float]


def measured_runs() -> list[Metrics]:
    """null: not measured, or never recovered; both count as the worst."""
    named = [dict(zip(SAMPLE["metrics"], run, strict=True)) for run in SAMPLE["runs"]]
    return [{name: value for name, value in run.items() if value is not None} for run in named]


def slower(run: Metrics, factor: float) -> Metrics:
    """The run with a failover that takes so much longer, and nothing else changed."""
    return {name: value * factor if name.endswith(".rta, s") else value for name, value in run.items()}


def two_sides(seed: int) -> tuple[list[Metrics], list[Metrics]]:
    """Two sides of RUNS runs each, drawn from the sample with replacement."""
    runs = measured_runs()
    drawn = np.random.default_rng(seed).integers(len(runs), size=2 * RUNS)
    return [runs[n] for n in drawn[:RUNS]], [runs[n] for n in drawn[RUNS:]]


def flagged(baseline: Sequence[Metrics], new: Sequence[Metrics]) -> bool:
    return any(shift.flagged for shift in shifts(baseline, new))


def test_comparisons_of_equals_are_flagged_in_at_most_ten_of_two_hundred() -> None:
    assert sum(flagged(*two_sides(seed)) for seed in range(TRIALS)) <= 10


def test_failover_that_is_a_third_slower_is_found_in_nine_of_ten_comparisons() -> None:
    found = 0
    for seed in range(TRIALS):
        baseline, new = two_sides(1000 + seed)
        told = shifts(baseline, [slower(run, 1.3) for run in new])
        found += any(shift.flagged and shift.worse for shift in told if shift.metric.endswith(".rta, s"))
    assert found >= 180


def test_whatever_never_differs_is_never_flagged() -> None:
    same = [{"lost": 0.0}] * RUNS
    assert [shift.p for shift in shifts(same, same)] == [1.0]


def test_runs_that_never_recovered_count_as_the_slowest() -> None:
    baseline = [{"rta": 1.0 + i / 100} for i in range(5)]
    (shift,) = shifts(baseline, [{"rta": math.inf}] * 5)
    assert shift.flagged
    assert shift.worse
    assert math.isinf(shift.new)


def test_metric_that_one_run_lacks_counts_as_the_worst_there() -> None:
    lacking, measured = shifts([{"a": 1.0, "b": 1.0}], [{"b": 2.0}])
    assert (lacking.metric, lacking.new, lacking.worse) == ("a", math.inf, True)
    assert (measured.metric, measured.new) == ("b", 2.0)
    assert shifts([], [{"b": 2.0}]) == ()


def test_fewer_than_five_runs_a_side_can_never_flag_anything() -> None:
    assert smallest_p(4, 4) > ALPHA >= smallest_p(5, 5)
    few = [{"rta": float(i)} for i in range(8)]
    assert not flagged(few[:4], few[4:])


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 9), st.floats(0, 9)), min_size=6, max_size=12), st.integers(2, 4))
def test_order_of_runs_and_order_preserving_units_change_nothing(
    values: list[tuple[float, float]], cut: int
) -> None:
    runs = [{"a": a, "b": b} for a, b in values]
    scaled = [{"a": run["a"] * 8, "b": run["b"] * 2} for run in runs]
    expected = [shift.p for shift in shifts(runs[:cut], runs[cut:])]
    assert [s.p for s in shifts(scaled[:cut], scaled[cut:])] == pytest.approx(expected)
    assert [s.p for s in shifts(runs[:cut][::-1], runs[cut:][::-1])] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("misses", "runs", "bound"), [(0, 5, 0.451), (0, 20, 0.139), (0, 59, 0.0495), (1, 20, 0.216), (3, 3, 1.0)]
)
def test_bound_on_the_probability_of_a_miss(misses: int, runs: int, bound: float) -> None:
    assert miss_bound(misses, runs, 0.95) == pytest.approx(bound, abs=0.001)


def test_bound_without_a_miss_is_the_closed_form() -> None:
    assert miss_bound(0, 7, 0.9) == pytest.approx(1 - 0.1 ** (1 / 7))
    assert miss_bound(0, 0, 0.95) == 1.0


def test_ranks_are_those_of_the_textbook() -> None:
    """Against SciPy's, which the product does not import: it alone took a second and 80 MB at every start."""
    from scipy.stats import rankdata

    generator = np.random.default_rng(3)
    for _ in range(300):
        row = generator.integers(0, 6, int(generator.integers(1, 30))).astype(float)
        row[generator.random(len(row)) < 0.1] = math.inf
        centred = rankdata(row) - (len(row) + 1) / 2
        length = float(np.sqrt((centred**2).sum()))
        assert np.allclose(_standardised(row), centred / length if length else 0.0)


def test_no_command_pays_for_scipy_at_its_start() -> None:
    code = "import sys, chaoskit.cli.running, chaoskit.cli.comparing; sys.exit('scipy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
