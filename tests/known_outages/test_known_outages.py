"""Known outages contain the truth: a few each time, a hundred in the slow tier (`make known-outages` prints them)."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaoskit.metrics.arrivals import arrivals_of
from chaoskit.metrics.outages import outages_of
from tests.known_outages import trials


def test_a_few_known_outages(tmp_path: Path) -> None:
    results = trials.run(6, seed=20, folder=tmp_path)
    assert not any(result.wrong for result in results), trials.table(results)
    assert sum(result.passed for result in results) >= 3, trials.table(
        results
    )  # the others void: a machine too busy
    arrivals = arrivals_of(trials.read(tmp_path / trials.JOURNAL), trials.JOURNEY, "prober", trials.WITHIN_NS)
    outages = {outage.first_bad: outage.duration for outage in outages_of(arrivals, 0, 100_000_000)}
    for result in results:  # chaoskit.metrics, from the same journal
        if not result.problem:
            lo, hi = outages[result.first_bad or 0].lo, outages[result.first_bad or 0].hi
            assert hi is not None
            assert lo - result.truth_error <= result.truth <= hi + result.truth_error


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_hundred_known_outages(tmp_path: Path) -> None:
    results = trials.run_measured(100, seed=100, folder=tmp_path)
    assert not any(result.wrong for result in results), trials.table(results)
    assert sum(result.passed for result in results) == 100, trials.table(results)


def test_a_trial_that_misses_the_truth_is_not_passed() -> None:
    """The failing twin: intervals beside the truth, too wide, or not measured."""
    good = trials.Result("503", 300_000_000, 500_000, (290_000_000, 310_000_000))
    beside = trials.Result("503", 300_000_000, 500_000, (301_000_000, 321_000_000))
    wide = trials.Result("503", 300_000_000, 500_000, (290_000_000, 311_000_000))
    assert good.passed
    assert not beside.contained
    assert not wide.passed
    assert trials.Result("503", 300_000_000, 0, None).wrong  # an outage not seen at all
    assert "NO" in trials.table([beside])
    assert "1 of 3 intervals" in trials.table([good, beside, wide, trials.Result("hang", 1, 1, None, "void")])
