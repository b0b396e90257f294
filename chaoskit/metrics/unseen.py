"""What the load met and no probe did: customers refused between two probes, or others than those the prober plays.

    prober   ✓   ✓   ✓   ✓   ✓   ✓   ✓   ✓   ✓   ✓        no probe was bad
    load     ✓✓✓✓✓✓×✓✓✓✓✓✓×✓✓✓×✓✓✓✓✓✓✓✓✓✓✓✓✓✓✓✓✓✓✓        and yet more was not ok than before the fault
             fault  since     until

The criterion of recovery forgives one in twenty of the load's operations. That must not become a claim that nothing
happened: with more of them bad than chance explains, the time goes on until the last one.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from chaoskit.metrics.arrivals import Arrival
from chaoskit.model.measurement import Unseen

SURPRISE = 0.01
"""Of a load that is no worse than usual, at most one in a hundred is taken for worse by each kind of stretch."""
STEADY_BOUND = 0.95
"""Confidence of the upper bound on a usual share that is higher than the criterion forgives."""


def unseen(load: Sequence[Arrival], span: tuple[int, int], usual: float, window: int) -> Unseen | None:
    """The last stretch with more operations that were not ok than chance explains; None: there is none in [span).

    A stretch ends with one of them; it begins with the span, or a `window` (ns) earlier. `usual`: the share that is no
    surprise. What the measurer itself held up says nothing of the system and is left out. O(n + k log n), k bad ones.
    """
    seen = [a for a in load if span[0] <= a.intended < span[1] and not a.asleep]
    bad = [index for index, a in enumerate(seen) if not a.ok]
    times = [a.intended for a in seen]
    for rank in reversed(range(1, len(bad))):
        last = bad[rank]
        # The wider stretch first: what it shows, it shows of more customers.
        for first in (0, bisect_right(times, times[last] - window)):
            begin = bisect_left(bad, first)
            if _chance(rank + 1 - begin, last + 1 - first, usual) < SURPRISE / len(bad):
                own = [seen[index] for index in bad[begin : rank + 1]]
                until = max(one.sampled for one in own)
                return Unseen(bad=len(own), of=last + 1 - first, since=own[0].intended, until=until)
    return None


def usual_share(load: Sequence[Arrival], span: tuple[int, int], forgiven: float) -> float:
    """The share not ok that is no surprise after [span), the steady phase: `forgiven`, 1 − q, or what it was.

    Few operations say little of a share. If more were bad than is forgiven, it is the upper bound on it that counts.
    """
    marks = [a.ok for a in load if span[0] <= a.intended < span[1] and not a.asleep]
    bad = marks.count(False)
    if bad <= forgiven * len(marks):
        return forgiven
    from chaoskit.metrics.metric_shift import miss_bound  # as below

    return miss_bound(bad, len(marks), STEADY_BOUND)


def _chance(bad: int, of: int, share: float) -> float:
    """How likely `bad` or more of `of` are at that share; one alone is always likely enough."""
    if bad < 2:
        return 1.0
    from scipy.special import bdtrc  # slow to import, and hardly ever needed

    return float(bdtrc(bad - 1, of, share))
