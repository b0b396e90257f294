"""Backlog: when the last operation that was asked for during the outage had its final answer."""

from __future__ import annotations

from collections.abc import Sequence

from chaoskit.metrics.timeline import Volley
from chaoskit.model.history import Operation
from chaoskit.model.measurement import Interval


def backlog_drained(
    operations: Sequence[Operation], journey: str, volley: Volley, recovered_at: int
) -> Interval:
    """From the fault until each key of the load first intended in [f_lo, a_l) had its last answer, in ns.

    A time-out is an answer too, where the customer gives up on it. hi None: an attempt was never answered at
    all. This is the client's side of the queue, the one a customer waits in; queues inside the system are not
    looked into.
    """
    asked = {
        o.key
        for o in operations
        if volley.lo <= o.intended < recovered_at and _is_of(o, journey) and o.attempt == 1 and not o.tap
    }
    attempts = [o for o in operations if o.key in asked and _is_of(o, journey) and not o.tap]
    last = max((o.done for o in attempts if o.done is not None), default=volley.lo)
    lo = max(0, last - volley.hi)
    if any(o.done is None for o in attempts):
        return Interval(lo=lo, hi=None)
    return Interval(lo=lo, hi=max(lo, last - volley.lo))


def _is_of(operation: Operation, journey: str) -> bool:
    return operation.journey == journey and operation.source == "load" and operation.sent is not None
