"""Measurement: pure functions from a recorded history to intervals with stated bounds."""

from chaoskit.metrics.measure import measure

__all__ = ["measure"]
