"""Bad probes that come and go: by how much the bounds of a recovery are widened for what fell between two probes.

              r = share of bad probes in the last window before a_k
    ✓ × ✓ ✓ × ✓ × × ✓ ✓ × ✓ │ ✓ ✓ ✓ ✓ ✓ ✓ ✓ ✓ …
                        a_k   a_l      k probes can all have been lucky: (1 − r)^k > 5 %

A solid outage has no good probe between its bad ones; its end lies between a_k and a_l, and nothing is widened. When
every single request is a gamble, the last bad probe is only the last one that was seen: the gamble may have gone on
for as long as so many good ones in a row are no surprise. And since the criterion forgives the share 1 − q of a window,
the recovery may have begun before the last bad probe, by as long as it takes that share to come together.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from chaoskit.metrics.arrivals import Arrival

SURPRISE = 0.05
"""A row of good probes less likely than this ends the gamble."""


@dataclass(frozen=True)
class Doubt:
    """`earlier`: ns that the lower bound goes down; `later`: probes after a_l by which the upper bound goes up."""

    share: float = 0.0
    earlier: int = 0
    later: int = 0


NO_DOUBT = Doubt()


def doubt(probes: Sequence[Arrival], last_bad: int, window: int, forgiven: float) -> Doubt:
    """The doubt about a recovery after `last_bad` (index of a_k), from the probes of one window (ns) that end there.

    `forgiven`: share of a window that the criterion forgives, 1 − q.
    """
    start = probes[last_bad].intended - window
    inside = [p for p in probes[: last_bad + 1] if p.intended > start]
    runs = [good for good, _ in groupby(inside, key=lambda p: p.good)]
    if sum(not good for good in runs) < 2:
        return NO_DOUBT
    share = sum(not p.good for p in inside) / len(inside)
    return Doubt(
        share=share,
        earlier=int(forgiven * window / share),
        later=math.ceil(math.log(SURPRISE) / math.log1p(-share)),
    )
