"""Percentiles of a measurer's own lateness, as the last record of its journal tells them."""

from __future__ import annotations


def percentiles_ms(values_ns: list[int]) -> dict[str, float]:
    """p50, p99 and max in ms, by nearest rank; {} of nothing."""
    if not values_ns:
        return {}
    ordered = sorted(values_ns)
    last = len(ordered) - 1
    at = {
        "p50": ordered[-(-len(ordered) // 2) - 1],
        "p99": ordered[min(last, -(-len(ordered) * 99 // 100) - 1)],
    }
    return {name: round(value / 1e6, 3) for name, value in {**at, "max": ordered[last]}.items()}
