"""Latency of acknowledged operations, from the time they were intended, not from when they got through."""

from __future__ import annotations

from collections.abc import Iterable

from chaoskit.model.history import Operation

FLOOR_MS = 0.1
"""Values are rounded to this; nothing finer than 5 ms is printed or judged."""


def latency_ms(operations: Iterable[Operation]) -> dict[str, float]:
    """p50, p95, p99 in ms by nearest rank, of operations that were acknowledged; {} if there were none."""
    spans = sorted([o.done - o.intended for o in operations if o.outcome == "ok" and o.done is not None])
    if not spans:
        return {}
    return {
        f"p{rank}": max(FLOOR_MS, round(spans[-(-len(spans) * rank // 100) - 1] / 1e6, 1))
        for rank in (50, 95, 99)
    }
