"""Compares two sets of runs: which metrics have moved, with one error rate for all of them together.

    baseline runs ┐                 ┌ labels shuffled ─► largest |z| over all metrics ┐
                  ├─ ranks per metric                                                 ├─► adjusted p
    new runs      ┘                 └ labels as they are ─► |z| of each metric ───────┘

Ranks, because recovery times have long tails and a run that never recovered is only known to be slower than those that
did. A run that lacks a metric which another has counts as the worst: to leave the metric out would let one broken run
hide what the others show. The labels of whole runs are shuffled, so that metrics which move together are not counted as
many: Westfall and Young, Resampling-Based Multiple Testing, 1993 (single-step maxT).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from chaoskit.metrics.metric_shift import MetricShift

SHUFFLES = 20_000
_SEED = 20_000
"""The shuffles are part of the method: the same runs always give the same answer."""


def shifts(
    baseline: Sequence[Mapping[str, float]], new: Sequence[Mapping[str, float]]
) -> tuple[MetricShift, ...]:
    """Each metric that any run has, in the order in which they are first met.

    Args:
        baseline, new: a mapping a run, metric → value, larger is worse, inf for censored; what is missing is inf.
    """
    runs = [*baseline, *new]
    names = list(dict.fromkeys(name for run in runs for name in run))
    if not baseline or not new or not names:
        return ()
    values = np.array([[run.get(name, math.inf) for run in runs] for name in names], dtype=float)
    ranks = np.vstack([_standardised(row) for row in values])
    labels = _shuffled(len(baseline), len(new))
    largest = np.abs(ranks @ labels.T).max(axis=0)
    moved = ranks @ _label(range(len(baseline), len(runs)), len(runs))
    found = []
    for name, row, z in zip(names, values, moved, strict=True):
        # Shuffles as extreme as what was seen, the labels as they are among them.
        p = float(np.mean(largest >= abs(z) - 1e-9))
        medians = _median(row[: len(baseline)]), _median(row[len(baseline) :])
        found.append(MetricShift(name, *medians, p, float(z)))
    return tuple(found)


def _standardised(row: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks (ties share theirs) with mean 0 and length 1; all 0 when every run has the same value."""
    _, which, counts = np.unique(row, return_inverse=True, return_counts=True)
    # Of equal values each has the mean of the places that they take together.
    shared = np.cumsum(counts) - (counts - 1) / 2
    ranks = shared[which] - (len(row) + 1) / 2
    length = float(np.sqrt((ranks**2).sum()))
    return ranks / length if length else np.zeros_like(ranks)


def _label(chosen: Sequence[int], runs: int) -> NDArray[np.float64]:
    """1 for the runs that count as new, shifted so that the labels sum to 0."""
    label = np.zeros(runs)
    label[list(chosen)] = 1.0
    centred: NDArray[np.float64] = label - label.mean()
    return centred


@lru_cache(maxsize=4)
def _shuffled(baseline: int, new: int) -> NDArray[np.float64]:
    """Every way to call `new` of the runs new, or SHUFFLES of them when there are more; the real one is among them."""
    runs = baseline + new
    if math.comb(runs, new) <= SHUFFLES:
        return np.array([_label(chosen, runs) for chosen in combinations(range(runs), new)])
    generator = np.random.default_rng(_SEED)
    rows = [_label(range(baseline, runs), runs)]
    rows += [_label(generator.permutation(runs)[:new].tolist(), runs) for _ in range(SHUFFLES - 1)]
    return np.array(rows)


def _median(row: NDArray[np.float64]) -> float:
    """The middle value; of an even number the upper of the two when one is inf, so that no inf is averaged away."""
    ordered = np.sort(row)
    middle = len(ordered) // 2
    if len(ordered) % 2:
        return float(ordered[middle])
    low, high = float(ordered[middle - 1]), float(ordered[middle])
    return high if math.isinf(high) else (low + high) / 2
