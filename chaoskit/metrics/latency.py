"""Latency of acknowledged operations, from the time they were intended, not from when they got through."""

from __future__ import annotations

from collections.abc import Iterable

FLOOR_MS = 0.1
"""Values are rounded to this; nothing finer than 5 ms is printed or judged."""


def percentiles_ms(spans: Iterable[int]) -> dict[str, float]:
    """p50, p95, p99 in ms by nearest rank, of spans in ns from intended to done; {} if there are none."""
    ordered = sorted(spans)
    if not ordered:
        return {}
    return {
        f"p{rank}": max(FLOOR_MS, round(ordered[-(-len(ordered) * rank // 100) - 1] / 1e6, 1))
        for rank in (50, 95, 99)
    }
