"""What a comparison of runs says of one metric, and what a number of runs can say at all; needs no arrays."""

from __future__ import annotations

import math
from dataclasses import dataclass

ALPHA = 0.025
"""The chance that any metric at all is flagged when nothing has changed."""


@dataclass(frozen=True)
class MetricShift:
    """One metric on both sides; larger is worse. `p` is corrected over all metrics; medians may be inf (censored).

    `moved`: by how much the new runs rank above the baseline's, below 0 if they rank lower.
    """

    metric: str
    baseline: float
    new: float
    p: float
    moved: float

    @property
    def flagged(self) -> bool:
        return self.p <= ALPHA

    @property
    def worse(self) -> bool:
        # Not by the medians: what fewer than half of the runs do moves none.
        return self.moved > 0


def smallest_p(baseline: int, new: int) -> float:
    """The smallest p that so many runs can give, two-sided: with too few, no difference could ever be flagged."""
    return min(1.0, 2 / math.comb(baseline + new, new)) if baseline and new else 1.0


def miss_bound(misses: int, runs: int, confidence: float) -> float:
    """Upper bound on P(miss) after `misses` in `runs` runs that were fixed in advance, at this confidence.

    Clopper and Pearson, 1934: BetaInv(confidence; k + 1, n − k); 1 when every run missed or none was made.
    """
    if misses >= runs:
        return 1.0
    # Here, because only a series needs it: it would be a quarter of the start of every command, and 30 MB.
    from scipy.special import betaincinv

    return float(betaincinv(misses + 1, runs - misses, confidence))
