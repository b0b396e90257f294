"""Time to detect, to decide and to respond, counted from the fault that first hurt a journey."""

from __future__ import annotations

from collections.abc import Sequence

from chaoskit.metrics.people import modelled_ns
from chaoskit.metrics.timeline import Timeline, Volley
from chaoskit.model.measurement import Clocks, Interval


def measure_clocks(timeline: Timeline, hurt: Sequence[Volley], recovered_at: int | None) -> Clocks:
    """The run's clocks, ns after the first volley that hurt a journey, or else the last one before the first alert.

    `recovered_at`: when the last journey was good again (None: one never was). Without any fault all clocks stay empty.
    """
    volley = _reference(timeline, hurt)
    if volley is None:
        return Clocks()
    alert = next((alert for alert in timeline.alerts if alert.at >= volley.lo), None)
    decisions = [d for d in timeline.decisions if d.end >= volley.lo]
    responses = [r for r in timeline.responses if r.done is not None and r.done >= volley.lo]
    done = max((r.done for r in responses if r.done is not None), default=None)
    return Clocks(
        started=Interval(lo=volley.lo, hi=volley.hi),
        detected=None if alert is None else _since(volley, alert.at),
        alerted=None if alert is None else alert.service,
        alert=None if alert is None else alert.event,
        decided=_since(volley, max(d.end for d in decisions)) if decisions else None,
        decided_modelled=modelled_ns(timeline.decisions, timeline.responses, volley.lo, recovered_at),
        decided_lived=sum(d.slept for d in decisions),
        responded=None if done is None else _since(volley, done),
        events=tuple(
            sorted(
                {
                    *volley.events,
                    *([alert.event] if alert else []),
                    *(d.event for d in decisions),
                    *(n for r in responses for n in r.events),
                }
            )
        ),
    )


def _reference(timeline: Timeline, hurt: Sequence[Volley]) -> Volley | None:
    if hurt:
        return min(hurt, key=lambda volley: volley.lo)
    seen = min((alert.at for alert in timeline.alerts), default=None)
    before = [v for v in timeline.volleys if seen is None or v.lo <= seen]
    return before[-1] if before else None


def _since(volley: Volley, at: int) -> Interval:
    lo = max(0, at - volley.hi)
    return Interval(lo=lo, hi=max(lo, at - volley.lo))
