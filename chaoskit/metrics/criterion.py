"""The criterion of recovery: the earliest good arrival from which every window was good enough, for as long as agreed.

       a_k  a_l                                     horizon = max(a_l, last fault) + W
× × × ·  ×  ✓ ✓ ✓ ✓ ✓ ✓ ✓ ✓ ✓ ✓ ✓ ✓ ✓ ✓ ✓ ✓ ✓ ✓ ✓ ✓ ✓ ✓ │
            ├── w ──┤  good ÷ all ≥ q
              ├── w ──┤
                ├── w ──┤ …                     ├── w ──┤
            ├──────── load's ok ÷ scheduled ≥ 95 % of before ────────┤
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

from chaoskit.metrics.arrivals import Series

ROUNDING = 1e-9
"""Shares are compared in floating point; 0.99 × 100 must not refuse 99 of 100."""


@dataclass(frozen=True)
class LoadRule:
    """The load's own say: its ok ÷ scheduled over [a_l, horizon) must reach `least`. No load there: no say."""

    load: Series
    least: float

    def holds(self, start: int, stop: int) -> bool:
        ok, scheduled = self.load.counts(start, stop)
        return ok >= self.least * scheduled - ROUNDING


@dataclass(frozen=True)
class Hold:
    """What must hold: good share `q` in every window of `w` ns, for `hold` ns (W) from a_l and from `after` on."""

    q: float
    w: int
    hold: int
    after: int
    load: LoadRule | None = None

    def horizon(self, start: int) -> int:
        """Until when a run that starts at `start` must hold. A hold shorter than w is w: one window must be whole."""
        return max(start, self.after) + max(self.hold, self.w)


@dataclass(frozen=True)
class Search:
    """`found`: index of a_l, or None. `open`: the first index not yet refuted, where a search may go on."""

    found: int | None
    open: int


def search(prober: Series, start: int, data_end: int, hold: Hold) -> Search:
    """Find a_l at index ≥ `start`, with the arrivals complete for times < `data_end`. O(n log n).

    Windows start at arrivals; between two arrivals a window holds the same ones, or fewer good ones at its end
    only, which the next window counts.
    """
    times, n = prober.times, len(prober.times)
    failing = _failing_windows(prober, start, data_end, hold)
    cursor = 0
    index = start
    while index < n:
        if not prober.marks[index]:
            index += 1
            continue
        horizon = hold.horizon(times[index])
        while cursor < len(failing) and failing[cursor] < index:
            cursor += 1
        if cursor < len(failing) and times[failing[cursor]] <= horizon - hold.w:
            # Every candidate up to the failing window has that window in its run as well.
            index = failing[cursor] + 1
            continue
        if horizon > data_end:
            return Search(None, index)
        if hold.load is None or hold.load.holds(times[index], horizon):
            return Search(index, index)
        index += 1
    return Search(None, n)


def _failing_windows(prober: Series, start: int, data_end: int, hold: Hold) -> list[int]:
    """Indices at which a whole window [t, t + w) starts whose good share is below q, in order."""
    times, n = prober.times, len(prober.times)
    failing: list[int] = []
    begin = stop = start
    for bad in range(start, n):
        if prober.marks[bad]:
            continue
        # A window without a bad arrival fails no share. Those with this one begin less than w before it, or at it.
        begin = max(begin, bisect_right(times, times[bad] - hold.w, start, bad))
        for index in range(begin, bad + 1):
            if times[index] + hold.w > data_end:
                return failing
            while stop < n and times[stop] < times[index] + hold.w:
                stop += 1
            if prober.marked(index, stop) < hold.q * (stop - index) - ROUNDING:
                failing.append(index)
        begin = bad + 1
    return failing
