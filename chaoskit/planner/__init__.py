"""Plans: a pure function from drill, system, runtime and seed to all that a run will do."""

from __future__ import annotations

from chaoskit.planner.planner import mistakes, plan
from chaoskit.planner.timeline import read_aloud

__all__ = ["mistakes", "plan", "read_aloud"]
