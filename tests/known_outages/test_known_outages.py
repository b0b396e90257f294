"""Known outages contain the truth: a few each time, a hundred in the slow tier (`make known-outages` prints them)."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaoskit.metrics.arrivals import arrivals_of
from chaoskit.metrics.outages import outages_of
from tests.known_outages import trials


def _assert_proven(results: list[trials.Result]) -> None:
    assert not any(result.wrong for result in results), trials.table(results)


def _measured_again(journal: Path) -> list[tuple[int, int | None]]:
    """The same journal through chaoskit.metrics."""
    operations = trials.read(journal)
    arrivals = arrivals_of(operations, trials.JOURNEY, "prober", trials.WITHIN_NS)
    outages = outages_of(arrivals, 0, 100_000_000)
    return [(outage.duration.lo, outage.duration.hi) for outage in outages]


def test_a_few_known_outages(tmp_path: Path) -> None:
    results = trials.run(6, seed=20, folder=tmp_path)
    _assert_proven(results)
    metrics = _measured_again(tmp_path / trials.JOURNAL)
    assert len(metrics) == len(results)
    for result, (lo, hi) in zip(results, metrics, strict=True):
        assert hi is not None
        assert lo - result.truth_error <= result.truth <= hi + result.truth_error


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_hundred_known_outages(tmp_path: Path) -> None:
    results = trials.run(100, seed=100, folder=tmp_path)
    _assert_proven(results)
    assert all(result.passed for result in results), trials.table(results)


def test_a_trial_that_misses_the_truth_is_not_passed() -> None:
    """The failing twin: intervals beside the truth, too wide, or not measured."""
    good = trials.Result("503", 300_000_000, 500_000, (290_000_000, 310_000_000))
    beside = trials.Result("503", 300_000_000, 500_000, (301_000_000, 321_000_000))
    wide = trials.Result("503", 300_000_000, 500_000, (290_000_000, 311_000_000))
    assert good.passed
    assert not beside.contained
    assert not wide.passed
    assert not trials.Result("503", 300_000_000, 0, None, "no outage").passed
    assert "NO" in trials.table([beside])
    assert "1 of 4 intervals" in trials.table([good, beside, wide, trials.Result("hang", 1, 1, None)])
