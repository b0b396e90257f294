"""The steady state: every journey good enough over a window, before the first fault and again at the end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from chaoskit.conductor.observation import is_first, is_good
from chaoskit.model.drill import Steady
from chaoskit.model.history import Operation


@dataclass(frozen=True)
class JourneyState:
    """One journey over a window: arrivals, share of good ones, 99th percentile of latency from the intended time."""

    scheduled: int
    success: float | None
    p99_ms: float | None

    def as_data(self) -> dict[str, Any]:
        """For an event."""
        return {"scheduled": self.scheduled, "success": self.success, "p99_ms": self.p99_ms}


def states(
    operations: Iterable[Operation], limits_ns: Mapping[str, int], start_ns: int, end_ns: int
) -> dict[str, JourneyState]:
    """Each journey's state over arrivals with start ≤ intended < end; one without an answer counts as not good."""
    arrivals: dict[str, list[Operation]] = {journey: [] for journey in limits_ns}
    for operation in operations:
        if is_first(operation) and start_ns <= operation.intended < end_ns and operation.journey in arrivals:
            arrivals[operation.journey].append(operation)
    return {journey: _state(found, limits_ns[journey]) for journey, found in arrivals.items()}


def shortfalls(found: Mapping[str, JourneyState], steady: Steady) -> list[str]:
    """What keeps the system from being steady, in words; empty if it is."""
    reasons = []
    for journey, state in found.items():
        if state.success is None:
            reasons.append(f"{journey}: nothing was sent")
            continue
        if state.success < steady.success.ratio:
            reasons.append(f"{journey}: {state.success:.2%} good, {steady.success} wanted")
        if steady.p99 is not None and (state.p99_ms is None or state.p99_ms > steady.p99.ns / 1e6):
            shown = "no latency" if state.p99_ms is None else f"p99 {state.p99_ms:.1f} ms"
            reasons.append(f"{journey}: {shown}, at most {steady.p99} wanted")
    return reasons


def window_end(operations: Iterable[Operation], limits_ns: Mapping[str, int], now_ns: int) -> int:
    """Up to when arrivals are decided: the earliest one still waiting for its answer within its limit, or now."""
    return min(
        (operation.intended for operation in operations if may_be_answered(operation, limits_ns, now_ns)),
        default=now_ns,
    )


def may_be_answered(operation: Operation, limits_ns: Mapping[str, int], now_ns: int) -> bool:
    """Whether it is still out, and within its limit: past that it is not good, whatever comes."""
    limit = limits_ns.get(operation.journey, 0)
    return operation.done is None and operation.error is None and now_ns <= operation.intended + limit


def _state(arrivals: list[Operation], limit_ns: int) -> JourneyState:
    if not arrivals:
        return JourneyState(0, None, None)
    latencies = sorted(
        operation.done - operation.intended
        for operation in arrivals
        if operation.outcome == "ok" and operation.done is not None
    )
    good = sum(is_good(operation, limit_ns) for operation in arrivals)
    # Nearest rank: the smallest latency that at least 99 % of the answered arrivals do not exceed.
    p99 = latencies[-(-len(latencies) * 99 // 100) - 1] / 1e6 if latencies else None
    return JourneyState(len(arrivals), round(good / len(arrivals), 6), None if p99 is None else round(p99, 3))
