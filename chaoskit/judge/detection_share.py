"""How much of the longest outage passed before anybody knew: counted from the failure that started that outage.

drift ─────────────── crash ×××××××× alert ××××××× ✓        a fault laid long before is no part of the outage
                      │─── share ───│
                      │────────── outage ──────────│
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from chaoskit.judge.wording import bounds
from chaoskit.metrics.timeline import Timeline, Volley, read_timeline
from chaoskit.model.history import History
from chaoskit.model.measurement import Interval, JourneyMeasure
from chaoskit.model.verdict import Finding

SHARE = 0.5
"""Above this a quicker repair would have helped less than a quicker look."""


class _Down(NamedTuple):
    """A journey's outage: the faults that started it, how long it was after them, and until when an alert is its."""

    volley: Volley
    lasted: Interval
    until: int


def detection_share(history: History, longest: JourneyMeasure | None) -> Iterator[Finding]:
    """A finding where detection took most of the longest outage of the journey that was out for longest."""
    timeline = read_timeline(history)
    outages = [] if longest is None else list(_outages(longest, timeline))
    if not outages or longest is None:
        return
    down = max(outages, key=lambda one: one.lasted.hi or 0)
    alert = next((one for one in timeline.alerts if down.volley.lo <= one.at <= down.until), None)
    if alert is None:
        return
    lo = max(0, alert.at - down.volley.hi)
    detected = Interval(lo=lo, hi=max(lo, alert.at - down.volley.lo))
    found, whole = _middle(detected), _middle(down.lasted)
    if whole and found / whole > SHARE:
        after = "the fault" if len(timeline.volleys) == 1 else _named(down.volley, timeline)
        yield Finding(
            title=f"detection took {round(100 * min(1.0, found / whole))} % of the outage",
            detail=f"Detected {bounds(detected)} after {after}; {longest.journey} recovered after "
            f"{bounds(down.lasted)}{_waited(down, found)}. Look more often, or ask for fewer misses.",
        )


def _outages(journey: JourneyMeasure, timeline: Timeline) -> Iterator[_Down]:
    """The outages until the recovery, together as far as one volley started them; the last ends with the recovery."""
    clock, rta = journey.clock, journey.rta
    if clock is None or clock.hi is None or rta is None or rta.hi is None:
        return
    if journey.recovered_at is None or journey.answered_at is None:
        return
    ends: dict[int, tuple[Volley, int, int]] = {}
    for outage in journey.outages:
        # A probe that was on its way when the fault struck had been sent before it.
        begun = [one for one in timeline.volleys if one.lo <= outage.first_bad + journey.probe_period]
        if begun and outage.first_bad < journey.recovered_at and outage.first_good_after is not None:
            ends[begun[-1].lo] = (begun[-1], outage.last_bad, outage.first_good_after)
    for start, (volley, bad, good) in ends.items():
        if start == max(ends):
            # The arrival that ends the outage may have waited for its answer, so the alert can lie behind its arrival.
            lo = max(0, rta.lo - (volley.hi - clock.hi))
            yield _Down(
                volley, Interval(lo=lo, hi=max(lo, rta.hi - (volley.lo - clock.lo))), journey.answered_at
            )
        else:
            lo = max(0, bad - volley.hi)
            yield _Down(volley, Interval(lo=lo, hi=max(lo, good - volley.lo)), good)


def _named(volley: Volley, timeline: Timeline) -> str:
    faults = [one for one in timeline.faults if one.volley == volley.number]
    return " and ".join(dict.fromkeys(f"{one.name} on {one.target}" for one in faults))


def _waited(down: _Down, alert: float) -> str:
    """Why a recovery can lie before the alert that led to it: it is dated by its customer's arrival."""
    if down.lasted.hi is None or alert <= down.lasted.hi:
        return ""
    return (
        ", counted from when customers arrived: whoever came shortly before waited, and was answered in time"
    )


def _middle(interval: Interval) -> float:
    return (interval.lo + (interval.lo if interval.hi is None else interval.hi)) / 2
