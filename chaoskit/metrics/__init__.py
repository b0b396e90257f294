"""Measurement: pure functions from a recorded history to intervals with stated bounds."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chaoskit.model.history import History
    from chaoskit.model.measurement import Measurements

__all__ = ["measure"]


def measure(history: History) -> Measurements:
    """All that is measured of a run (`metrics.measuring`)."""
    # Here: who conducts a run needs one metric, and would load them all before the system is started.
    from chaoskit.metrics.measuring import measure as all_metrics

    return all_metrics(history)
