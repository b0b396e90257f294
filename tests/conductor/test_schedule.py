"""Arrivals: by chance, without memory, and the same for the same seed."""

from __future__ import annotations

import math
from itertools import islice, pairwise, takewhile

from chaoskit.conductor.schedule import Arrival, merged, periodic, poisson

SECOND = 1_000_000_000


def test_poisson_has_its_rate_and_exponential_gaps() -> None:
    arrivals = [a.intended_ns for a in islice(poisson("a", 200.0, 0, "seed"), 40_000)]
    gaps = [(later - earlier) / SECOND for earlier, later in pairwise(arrivals)]
    mean = sum(gaps) / len(gaps)
    assert abs(mean - 1 / 200) < 4 / 200 / math.sqrt(len(gaps))  # 4 standard errors
    for k in (0.1, 0.5, 1, 2, 3):  # P(gap > k/rate) = e^-k
        share = sum(gap > k / 200 for gap in gaps) / len(gaps)
        expected = math.exp(-k)
        assert abs(share - expected) < 4 * math.sqrt(expected * (1 - expected) / len(gaps))


def test_poisson_counts_vary_as_they_must() -> None:
    """Index of dispersion 1: neither a clock (0) nor bursts."""
    arrivals = takewhile(lambda a: a.intended_ns < 2000 * SECOND, poisson("a", 20.0, 0, "seed"))
    counts = [0] * 2000
    for arrival in arrivals:
        counts[arrival.intended_ns // SECOND] += 1
    mean = sum(counts) / len(counts)
    variance = sum((count - mean) ** 2 for count in counts) / (len(counts) - 1)
    assert 0.87 < variance / mean < 1.13


def test_the_same_seed_arrives_at_the_same_instants() -> None:
    first, second, other = (list(islice(poisson("a", 5.0, 7, seed), 100)) for seed in ("x", "x", "y"))
    assert first == second
    assert first != other
    assert [arrival.number for arrival in first] == list(range(100))


def test_periodic_does_not_drift() -> None:
    arrivals = list(islice(periodic("a", 100, 30, 1000), 1_000))
    assert arrivals[0] == Arrival(1030, "a", 0)
    assert arrivals[-1] == Arrival(1030 + 999 * 100, "a", 999)


def test_merged_keeps_the_order_of_time() -> None:
    streams = [poisson("a", 50.0, 0, "a"), periodic("b", 10_000_000, 3, 0), poisson("c", 5.0, 0, "c")]
    arrivals = list(islice(merged(streams), 500))
    assert arrivals == sorted(arrivals)
    assert {arrival.journey for arrival in arrivals} == {"a", "b", "c"}
