"""The search for a recovery agrees with a plain one that looks at every window."""

from __future__ import annotations

from random import Random

import pytest

from chaoskit.metrics.arrivals import Series
from chaoskit.metrics.criterion import ROUNDING, Hold, Search, search


def plainly(prober: Series, start: int, data_end: int, hold: Hold) -> Search:
    """Every candidate against every whole window that begins in its run."""
    times = prober.times

    def share_is_low(index: int) -> bool:
        good, every = prober.counts(times[index], times[index] + hold.w)
        return good < hold.q * every - ROUNDING

    for index in range(start, len(times)):
        horizon = hold.horizon(times[index])
        windows = [i for i in range(index, len(times)) if times[i] + hold.w <= min(horizon, data_end)]
        if not prober.marks[index] or any(share_is_low(i) for i in windows):
            continue
        return Search(None, index) if horizon > data_end else Search(index, index)
    return Search(None, len(times))


@pytest.mark.parametrize("seed", range(40))
def test_it_finds_what_a_look_at_every_window_finds(seed: int) -> None:
    random = Random(seed)
    for _ in range(25):
        count = random.randrange(1, 60)
        times = sorted(random.sample(range(300), count))
        likely = random.choice((0.1, 0.5, 0.9, 0.99))
        prober = Series(times, [random.random() < likely for _ in times])
        hold = Hold(
            q=random.choice((0.5, 0.8, 0.99, 1.0)),
            w=random.randrange(1, 60),
            hold=random.randrange(0, 100),
            after=random.randrange(0, 200),
        )
        start, data_end = random.randrange(0, count), random.randrange(100, 400)
        assert search(prober, start, data_end, hold) == plainly(prober, start, data_end, hold)
