"""Backlog: when the last operation that was asked for during the outage had its final answer."""

from __future__ import annotations

from collections.abc import Iterable

from chaoskit.metrics.timeline import Volley
from chaoskit.model.history import Operation
from chaoskit.model.measurement import Interval


def backlog_drained(
    operations: Iterable[Operation], journey: str, volley: Volley, recovered_at: int
) -> Interval:
    """From the fault until each key of the load first intended in [f_lo, a_l) had its last answer, in ns.

    A time-out is an answer too, where the customer gives up on it. hi None: an attempt was never answered at
    all. This is the client's side of the queue, the one a customer waits in; queues inside the system are not
    looked into.
    """
    own = [o for o in operations if o.journey == journey and o.source == "load" and o.sent is not None]
    asked = {o.key for o in own if o.attempt == 1 and not o.tap and volley.lo <= o.intended < recovered_at}
    attempts = [o for o in own if o.key in asked and not o.tap]
    last = max((o.done for o in attempts if o.done is not None), default=volley.lo)
    lo = max(0, last - volley.hi)
    if any(o.done is None for o in attempts):
        return Interval(lo=lo, hi=None)
    return Interval(lo=lo, hi=max(lo, last - volley.lo))
