"""Outages as customers saw them: groups of bad arrivals, each with the bounds that the probe's period allows."""

from __future__ import annotations

from collections.abc import Sequence

from chaoskit.metrics.arrivals import Arrival
from chaoskit.model.measurement import Interval, Outage


def outages_of(arrivals: Sequence[Arrival], first: int, window: int) -> tuple[Outage, ...]:
    """Outages from index `first` on. Bad arrivals less than one window w apart belong to one outage.

    With i the last good arrival before, j and k the first and last bad, l the first good after:
    D ∈ (a_k − a_j, a_l − a_i), at most two periods wide. An instant that was sampled late is taken at its
    unfavourable end.
    """
    bad = [index for index in range(first, len(arrivals)) if not arrivals[index].good]
    groups: list[list[int]] = []
    for index in bad:
        if groups and arrivals[index].intended - arrivals[groups[-1][-1]].intended < window:
            groups[-1].append(index)
        else:
            groups.append([index])
    return tuple(_outage(arrivals, group[0], group[-1]) for group in groups)


def _outage(arrivals: Sequence[Arrival], j: int, k: int) -> Outage:
    before = arrivals[j - 1] if j > 0 else None
    after = arrivals[k + 1] if k + 1 < len(arrivals) else None
    start = before.intended if before else None
    return Outage(
        first_bad=arrivals[j].intended,
        last_bad=arrivals[k].intended,
        last_good_before=start,
        first_good_after=after.intended if after else None,
        duration=Interval(
            lo=max(0, arrivals[k].intended - arrivals[j].sampled),
            hi=after.sampled - start if after and start is not None else None,
        ),
    )
