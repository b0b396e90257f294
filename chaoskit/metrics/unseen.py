"""What the load met and no probe did: customers refused between two probes, or others than those the prober plays.

    prober   ✓   ✓   ✓   ✓   ✓   ✓   ✓   ✓   ✓   ✓        no probe was bad
    load     ✓✓✓✓✓✓×✓✓✓✓✓✓×✓✓✓×✓✓✓✓✓✓✓✓✓✓✓✓✓✓✓✓✓✓✓        and yet more customers were refused than before
             fault               └ until

The criterion of recovery forgives one in twenty of the load's operations. That must not become a claim that nothing
happened: with enough of them bad, by more than chance, the time goes on until the last one.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from chaoskit.metrics.arrivals import Arrival

SURPRISE = 0.01
"""So many bad ones are more than chance if fewer than one in a hundred such stretches would have as many."""


@dataclass(frozen=True)
class Unseen:
    """`bad` of the load's `of` operations from the start to the last of them, which was sampled at `until` (ns)."""

    bad: int
    of: int
    until: int


def unseen(load: Sequence[Arrival], span: tuple[int, int], usual: float, window: int) -> Unseen | None:
    """The last bad operation intended in [span) that is one of more bad ones than chance explains; None: there is none.

    They are counted from the start of the span, and over the `window` (ns) that ends with it. `usual`: share of bad
    ones that is no surprise. What the measurer itself held up says nothing of the system and is left out.
    """
    seen = [a for a in load if span[0] <= a.intended < span[1] and not a.asleep]
    bad = [index for index, a in enumerate(seen) if not a.ok]
    times = [a.intended for a in seen]
    for rank in reversed(range(1, len(bad))):
        last = bad[rank]
        first = bisect_right(times, times[last] - window)
        recent = rank + 1 - bisect_left(bad, first)
        if (
            _chance(rank + 1, last + 1, usual) < SURPRISE
            or _chance(recent, last + 1 - first, usual) < SURPRISE
        ):
            return Unseen(rank + 1, last + 1, max(seen[index].sampled for index in bad[: rank + 1]))
    return None


def _chance(bad: int, of: int, share: float) -> float:
    """How likely `bad` or more of `of` are at that share; one alone is always likely enough."""
    if bad < 2:
        return 1.0
    from scipy.special import bdtrc  # slow to import, and hardly ever needed

    return float(bdtrc(bad - 1, of, share))
