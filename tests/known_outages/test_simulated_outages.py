"""Intervals contain the truth: always for solid outages, in at least 95 % for those that come and go."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.known_outages import simulated
from tests.known_outages.simulated import GAMBLES, SOLID, Trial


def check(trials: list[Trial]) -> None:
    told = simulated.table(trials)
    solid = [trial for trial in trials if trial.kind in SOLID]
    assert all(trial.right for trial in solid), told
    assert not [trial for trial in solid if trial.judged_wrong], told
    for outcome in ("pass", "fail"):  # else nothing was judged
        assert sum(trial.verdict == outcome for trial in solid) >= len(solid) // 4, told
    for trial in trials:
        if trial.kind == "partial":  # the journey that was never hurt: at most one period
            assert trial.other == (0, simulated.PERIOD), trial


def test_intervals_of_simulated_outages_contain_the_truth(tmp_path: Path) -> None:
    trials = simulated.run(60, tmp_path)
    check(trials)
    inside = sum(trial.contained for trial in trials if trial.kind in GAMBLES)
    assert inside >= 18, simulated.table(trials)  # of 20; how often exactly is the slow tier's to say


def test_a_brown_out_that_no_probe_met(tmp_path: Path) -> None:
    """Twenty-one lucky probes in two seconds, while 4 of 44 customers were refused."""
    met = simulated.trial("brown-out", 10_179, tmp_path / "run")
    assert met.contained, met
    assert met.verdict == "unknown", met


def test_trial_beside_the_truth_is_told() -> None:
    """The failing twin."""
    assert not Trial("clean", 0, truth=5, lo=6, hi=9).contained
    assert not Trial("clean", 0, truth=5, lo=1, hi=4).contained
    assert Trial("clean", 0, truth=5, lo=1, hi=None).contained
    assert not Trial("clean", 0, truth=5, lo=0, hi=10**9).right
    assert Trial("clean", 0, truth=5, lo=1, hi=9, asked=4, verdict="pass").judged_wrong
    assert Trial("clean", 0, truth=5, lo=1, hi=9, asked=5, verdict="fail").judged_wrong
    assert not Trial("clean", 0, truth=5, lo=1, hi=9, asked=5, verdict="pass").judged_wrong
    assert not Trial("clean", 0, truth=5, lo=1, hi=9, asked=4, verdict="unknown").judged_wrong
    assert simulated.coverage([Trial("flapping", 0, truth=5, lo=6, hi=9)], "flapping") == 0
    assert simulated.coverage([], "flapping") is None


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_thousand_simulated_outages(tmp_path: Path) -> None:
    trials = simulated.run(1000, tmp_path, seed=10_000, processes=2)
    check(trials)
    for kind in GAMBLES:
        assert (simulated.coverage(trials, kind) or 0) >= 0.95, simulated.table(trials)


def test_trials_are_the_same_ones_in_other_processes(tmp_path: Path) -> None:
    alone = simulated.run(4, tmp_path / "one", kinds=("clean", "flapping"))
    assert simulated.run(4, tmp_path / "two", kinds=("clean", "flapping"), processes=2) == alone
