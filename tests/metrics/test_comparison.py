"""Two sets of runs are told apart when one is slower, and hardly ever when nothing has changed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chaoskit.metrics.comparison import ALPHA, miss_bound, shifts, smallest_p

RUNS = 10
TRIALS = 200
RTA_S, RTA_SPREAD, PERIOD_S = 0.55, 0.10, 0.1
"""The flagship on two cores: median, relative spread of the truth, and the prober's period."""


def staged_run(generator: np.random.Generator, slower: float = 1.0) -> Mapping[str, float]:
    """The metrics of one run: three journeys hurt by one failover, seen by probers of random phase."""
    outage = RTA_S * slower * float(generator.lognormal(0.0, RTA_SPREAD))
    run = {}
    for journey in ("transfer", "balance", "history"):
        phase = float(generator.random())
        run[f"{journey}.rta"] = (math.ceil(outage / PERIOD_S - phase) + phase) * PERIOD_S
        run[f"{journey}.bad"] = outage / 15 + float(generator.normal(0, 0.002))
    run["detection"] = 0.25 + 0.1 * float(generator.random())
    run["ledger.lost"] = 0.0
    run["unanswered"] = 0.0
    return run


def flagged(baseline: Sequence[Mapping[str, float]], new: Sequence[Mapping[str, float]]) -> bool:
    return any(shift.flagged for shift in shifts(baseline, new))


def test_comparisons_of_equals_are_flagged_in_at_most_ten_of_two_hundred() -> None:
    generator = np.random.default_rng(1)
    alarms = sum(
        flagged(*([staged_run(generator) for _ in range(RUNS)] for _ in range(2))) for _ in range(TRIALS)
    )
    assert alarms <= 10


def test_failover_that_is_a_third_slower_is_found_in_nine_of_ten_comparisons() -> None:
    generator = np.random.default_rng(2)
    found = 0
    for _ in range(TRIALS):
        baseline = [staged_run(generator) for _ in range(RUNS)]
        slower = [staged_run(generator, slower=1.3) for _ in range(RUNS)]
        told = {shift.metric: shift for shift in shifts(baseline, slower)}
        found += any(told[f"{journey}.rta"].flagged for journey in ("transfer", "balance", "history"))
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


def test_metric_that_one_run_lacks_is_left_out() -> None:
    assert shifts([{"a": 1.0, "b": 1.0}], [{"b": 2.0}])[0].metric == "b"
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
