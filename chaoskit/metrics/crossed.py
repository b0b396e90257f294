"""Whether chaoskit's own proxies were up to it: what one that was replaced, stopped or starved made bad is its doing.

A hold-up is noted to 25 ms. It counts

- when it is longer than the probe's period, as a probe counts as late by then: the width of the interval is in doubt;
- below that, when an operation was bad while the proxy was held up, in all, for more of its time than a measurer may be
  late by, and no probe was bad later on that was not held up: otherwise it decides nothing.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate

from chaoskit.metrics.arrivals import LATE_SHARE, Arrival
from chaoskit.metrics.timeline import ProxyGap


class HeldUp:
    """The time in which a journey's proxies carried nothing, for summing over what was under way."""

    def __init__(self, gaps: Iterable[ProxyGap], links: frozenset[str] | None) -> None:
        """`links` are those that the journey's operations may go through; None: any."""
        self.gaps = tuple(gap for gap in gaps if links is None or not links.isdisjoint(gap.links))
        merged: list[tuple[int, int]] = []
        for lo, hi in sorted((gap.lo, gap.hi) for gap in self.gaps):
            if merged and lo <= merged[-1][1]:
                merged[-1] = (merged[-1][0], max(hi, merged[-1][1]))
            else:
                merged.append((lo, hi))
        self._los, self._his = [lo for lo, _ in merged], [hi for _, hi in merged]
        self._sums = [0, *accumulate(hi - lo for lo, hi in merged)]

    def within(self, lo: int, hi: int) -> int:
        """How much of [lo, hi] it was, ns."""
        first, last = bisect_right(self._his, lo), bisect_left(self._los, hi)
        if first >= last:
            return 0
        before, after = max(0, lo - self._los[first]), max(0, self._his[last - 1] - hi)
        return self._sums[last] - self._sums[first] - before - after

    def spoils(self, intended: int, limit: int) -> bool:
        """Whether it alone may have made bad what was asked for then and had to be answered within `limit`."""
        return bool(self._los) and self.within(intended, intended + limit) > LATE_SHARE * limit


NEVER_HELD = HeldUp((), None)


def crossed(
    held: HeldUp,
    arrivals: Sequence[Arrival],
    load: Sequence[Arrival],
    span: tuple[int, int],
    period: int,
    limit: int,
    answered: int | None = None,
) -> tuple[str, ...]:
    """Why `span` cannot be decided from what the journey met in it; empty if it can.

    `answered` is when a_l had its answer: what was held up later, and made nothing bad, decided nothing.
    """
    start, stop = span
    inside = [gap for gap in held.gaps if gap.hi >= start and gap.lo <= stop]
    reasons = [_replaced(gap) for gap in inside if not gap.held]
    until = stop if answered is None else answered
    long = [gap for gap in inside if gap.held and gap.lo <= until and gap.hi - gap.lo > period]
    reasons += [_held(gap, period) for gap in long]
    if not reasons and (spoilt := _spoilt(held, arrivals, load, span, limit)):
        reasons.append(
            f"{spoilt} of its operations were bad while the proxy of its links was held up for more than "
            f"{LATE_SHARE:.0%} of their limit of {limit / 1e6:.0f} ms: this machine was too busy"
        )
    return tuple(reasons)


def _spoilt(
    held: HeldUp, arrivals: Sequence[Arrival], load: Sequence[Arrival], span: tuple[int, int], limit: int
) -> int:
    """How many bad operations it may have made bad, after the last probe that was bad without it."""
    if not held.gaps:
        return 0
    start, stop = span
    bad = [a for a in arrivals if start <= a.intended <= stop and not a.good]
    spoilt = [a.intended for a in bad if held.spoils(a.intended, limit)]
    sound = max((a.intended for a in bad if not held.spoils(a.intended, limit)), default=start)
    spoilt += [
        a.intended for a in load if sound < a.intended <= stop and not a.ok and held.spoils(a.intended, limit)
    ]
    return sum(at > sound for at in spoilt)


def _replaced(gap: ProxyGap) -> str:
    return (
        f"a proxy of its links was replaced in that time, for {_ms(gap)} (event {gap.event}): "
        "what was lost in it is not the system's doing"
    )


def _held(gap: ProxyGap, period: int) -> str:
    return (
        f"the proxy of its links was held up for {_ms(gap)}, longer than the probes' period of "
        f"{period / 1e6:.0f} ms ({gap.why}; event {gap.event}): what was late or lost in that time is not the "
        "system's doing"
    )


def _ms(gap: ProxyGap) -> str:
    return f"{(gap.hi - gap.lo) / 1e6:.0f} ms"
