"""Minimum service of the whole system: from when every journey that it names was good enough at the same time, to stay.

balance  × × × ✓ ✓ × ✓ ✓ ✓ ✓ ✓ ✓ ✓ ✓ …
history  × × × × × × × ✓ ✓ ✓ ✓ ✓ ✓ ✓ …      share of every window w, for as long as agreed, in all of them
                   a_k  │a_l
         a journey that was back early and is bad again when the last one comes back starts anew

A promise to do it later counts as good here, and so does an answer that admits to be old.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass

from chaoskit.metrics.arrivals import good_series
from chaoskit.metrics.clock_start import first_bad, starting_volley
from chaoskit.metrics.criterion import Hold, search
from chaoskit.metrics.intermittence import NO_DOUBT, doubt
from chaoskit.metrics.people import modelled_across, modelled_ns
from chaoskit.metrics.recovery import Probed
from chaoskit.metrics.timeline import Timeline, Volley
from chaoskit.metrics.validity import invalid_reasons
from chaoskit.model.journey import MinimumService
from chaoskit.model.measurement import Interval, MinimumMeasure


@dataclass(frozen=True)
class _Back:
    """Where one journey is good enough again: its first arrival, and what is known of the time before and after."""

    index: int | None
    at: int
    lo: int
    hi: int
    decided: int


def measure_minimum(
    agreed: MinimumService, probed: Mapping[str, Probed], timeline: Timeline
) -> MinimumMeasure | None:
    """The clock of the minimum service that was agreed; None where this run did not probe all of its journeys."""
    names = agreed.journeys
    if any(name not in probed for name in names):
        return None
    about = MinimumMeasure(journeys=names, share=agreed.share.ratio, hold=agreed.for_.ns)
    zero = timeline.zero
    if zero is None or timeline.last_fault is None:
        return about.model_copy(update={"invalid": ("no fault began",)})
    ours = [probed[name].as_minimum for name in names]
    if not all(one.probes for one in ours):
        return about.model_copy(update={"invalid": ("no probe was sent",)})
    bad = {one.journey: first_bad(one.probes, zero) for one in ours}
    hurt = {one.journey: index for one in ours if (index := bad[one.journey]) is not None}
    if not hurt:
        return _never_bad(about, ours, timeline)
    probes = {one.journey: one.probes for one in ours}
    period = {one.journey: one.period for one in ours}
    volleys = [starting_volley(probes[n], index, timeline.volleys, period[n]) for n, index in hurt.items()]
    known = [volley for volley in volleys if volley is not None]
    if len(known) < len(volleys):
        return about.model_copy(update={"invalid": ("it was bad before any fault began",)})
    begun = min(probes[name][index].intended for name, index in hurt.items())
    return _measured(about, ours, timeline, min(known, key=lambda volley: volley.lo), begun)


def _measured(
    about: MinimumMeasure, ours: list[Probed], timeline: Timeline, volley: Volley, begun: int
) -> MinimumMeasure:
    at, lo, hi, last = begun, 0, 0, ""
    while True:
        # Each must hold for as long from the instant at which all do, not only from its own recovery.
        holds = {one.journey: _hold(about, one, timeline, at) for one in ours}
        found = {one.journey: _back(one, at, holds[one.journey], volley) for one in ours}
        lo = max(lo, *(one.lo for one in found.values()))
        never = [name for name, one in found.items() if one.index is None]
        if never:
            rta, last, decided = Interval(lo=lo, hi=None), never[0], None
            until = min(one.data_end for one in ours)
            break
        hi = max(hi, *(one.hi for one in found.values()))
        latest = max(found, key=lambda name: found[name].at)
        if found[latest].at <= at:
            rta, decided = Interval(lo=lo, hi=max(lo, hi)), max(one.decided for one in found.values())
            until = max(hold.horizon(at) for hold in holds.values())
            last = last or latest
            break
        at, last = found[latest].at, latest
    return about.model_copy(
        update={
            "rta": rta,
            "last": last,
            "clock": Interval(lo=volley.lo, hi=volley.hi),
            "modelled": modelled_ns(timeline.decisions, timeline.responses, volley.lo, decided),
            "invalid": _invalid(ours, timeline, min(volley.lo, begun), until),
            "events": volley.events,
        }
    )


def _hold(about: MinimumMeasure, one: Probed, timeline: Timeline, at: int) -> Hold:
    assert timeline.last_fault is not None
    return Hold(about.share, one.criterion.window_ns, about.hold, max(timeline.last_fault, at))


def _back(one: Probed, at: int, hold: Hold, volley: Volley) -> _Back:
    """The journey's first arrival that holds, from the one that was the latest at `at` on."""
    probes = one.probes
    times = [probe.intended for probe in probes]
    start = max(0, bisect_right(times, at) - 1)
    result = search(good_series(probes), start, one.data_end, hold)
    lo, around = 0, NO_DOUBT
    if result.open > start:
        refuted = result.open - 1
        last_bad = next((i for i in range(refuted, -1, -1) if not probes[i].good), None)
        if last_bad is not None:
            around = doubt(probes, last_bad, hold.w, 1 - hold.q)
        lo = max(0, probes[refuted].intended - around.earlier - volley.hi)
    if result.found is None:
        return _Back(None, 0, lo, 0, 0)
    reached = probes[min(result.found + around.later, len(probes) - 1)]
    found = probes[result.found]
    return _Back(result.found, found.intended, lo, max(0, reached.sampled - volley.lo), found.decided)


def _never_bad(about: MinimumMeasure, ours: list[Probed], timeline: Timeline) -> MinimumMeasure:
    """No bad probe in any of them: it was away for less than one period, if at all."""
    volley, last_fault = timeline.volleys[0], timeline.last_fault
    assert last_fault is not None
    period = max(one.period for one in ours)
    until = max(_hold(about, one, timeline, last_fault).horizon(last_fault) for one in ours)
    arrivals = [arrival for one in ours for arrival in (*one.probes, *one.load)]
    short = [one.journey for one in ours if one.data_end < until]
    why = (f"no probe was bad, but {short[0]} was not watched for as long as it must hold",) if short else ()
    return about.model_copy(
        update={
            "rta": Interval(lo=0, hi=None if short else period),
            "never_bad": True,
            "clock": Interval(lo=volley.lo, hi=volley.hi),
            "modelled": modelled_across(timeline, volley.lo, arrivals),
            "invalid": (*_invalid(ours, timeline, volley.lo, until), *why),
            "events": volley.events,
        }
    )


def _invalid(ours: list[Probed], timeline: Timeline, start: int, until: int) -> tuple[str, ...]:
    reasons = []
    for one in ours:
        stop = min(until, one.data_end) - one.period
        found = (
            *invalid_reasons(one.probes, start - one.period, stop, one.period, one.load),
            *one.crossed(timeline, start - one.period, stop),
        )
        reasons += [f"{one.journey}: {reason}" for reason in found]
    return tuple(reasons)
