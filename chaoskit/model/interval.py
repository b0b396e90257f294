"""An interval that holds the truth: every measured time is one."""

from __future__ import annotations

from chaoskit.model.base import Frozen


class Interval(Frozen):
    """Nanoseconds; the truth lies in [lo, hi]. `hi` None: censored, more than lo."""

    lo: int
    hi: int | None
