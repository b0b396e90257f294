"""When a journey is probed."""

from __future__ import annotations

from chaoskit.model.base import Frozen
from chaoskit.quantity import Duration


class ProbeSchedule(Frozen):
    """The prober's period and random phase for one journey."""

    journey: str
    every: Duration
    phase_ns: int
