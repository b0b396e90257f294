"""Recovery of each journey: when its clock started, when it was good again to stay, and the bounds of both.

f_lo  f_hi                    a_k  a_l
├──fault──┤ × × × × × × × × × ×    ✓ ✓ ✓ ✓ ✓ ✓ …  holds q, w, W
          └────── more than ───┘
└──────────── at most ─────────────┘               RTA ∈ (a_k − f_hi, a_l − f_lo]
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import msgspec

from chaoskit.metrics.arrivals import Arrival, good_series, ok_series
from chaoskit.metrics.clock_start import first_bad, starting_volley
from chaoskit.metrics.criterion import Hold, LoadRule, search
from chaoskit.metrics.crossed import HeldUp, crossed
from chaoskit.metrics.intermittence import NO_DOUBT, Doubt, doubt
from chaoskit.metrics.live import LiveRecovery, recovered_at
from chaoskit.metrics.outages import outages_of
from chaoskit.metrics.people import modelled_across, modelled_ns
from chaoskit.metrics.timeline import Timeline, Volley
from chaoskit.metrics.unseen import SURPRISE, unseen, usual_share
from chaoskit.metrics.validity import invalid_reasons
from chaoskit.model.measurement import Interval, Outage, Unseen
from chaoskit.model.plan import Criterion

__all__ = ["LiveRecovery", "Probed", "Recovery", "measure_recovery", "recovered_at"]

MINIMUM_SERVICE = 0.5
"""Minimum service is back when at least half of the probes of every window w are good again."""


@dataclass(frozen=True)
class Probed:
    """What is known of one journey. `data_end`: arrivals before it are complete; `before`: the steady start.

    `links` are those that its operations may go through; None: any. `doubts`: why good may not be good.
    """

    journey: str
    probes: tuple[Arrival, ...]
    load: tuple[Arrival, ...]
    period: int
    within: int
    criterion: Criterion
    data_end: int
    before: int
    links: frozenset[str] | None = None
    doubts: tuple[str, ...] = ()

    def crossed(
        self, timeline: Timeline, start: int, stop: int, answered: int | None = None
    ) -> tuple[str, ...]:
        """Why [start, stop] cannot be decided from what its links' proxies did in it (`metrics.crossed`), or at all."""
        held = HeldUp(timeline.gaps, self.links)
        span = (start, stop)
        met = crossed(held, self.probes, self.load, span, self.period, self.within, answered)
        return (*met, *self.doubts)

    @property
    def as_minimum(self) -> Probed:
        """The same, as minimum service sees it: a promise, or an answer that admits to be old, is good enough."""
        if not any(probe.promised for probe in self.probes):
            return self
        served = (msgspec.structs.replace(probe, good=probe.served) for probe in self.probes)
        return replace(self, probes=tuple(served))


@dataclass(frozen=True)
class Recovery:
    """The recovery of one journey; instants absolute, intervals relative to the journey's clock (ns)."""

    rta: Interval | None = None
    never_bad: bool = False
    volley: Volley | None = None
    recovered_at: int | None = None
    answered_at: int | None = None
    minimum_service: Interval | None = None
    outages: tuple[Outage, ...] = ()
    bad_again: int = 0
    modelled: int = 0
    minimum_modelled: int = 0
    invalid: tuple[str, ...] = ()
    doubt: Doubt = NO_DOUBT
    unseen: Unseen | None = None


def measure_recovery(probed: Probed, timeline: Timeline) -> Recovery:
    """Everything of one journey's recovery. What cannot be said stays None, with the reason in `invalid`."""
    if timeline.zero is None:
        return Recovery(invalid=("no fault began",))
    if timeline.last_fault is None:
        return Recovery(outages=_unprovoked(probed, timeline.zero), invalid=("no fault began",))
    if not probed.probes:
        return Recovery(invalid=("no probe was sent",))
    bad = first_bad(probed.probes, timeline.zero)
    if bad is None:
        return _never_bad(probed, timeline)
    outages = outages_of(probed.probes, bad, probed.criterion.window_ns)
    volley = starting_volley(probed.probes, bad, timeline.volleys, probed.period)
    if volley is None:
        met = probed.crossed(timeline, timeline.zero, probed.data_end)
        return Recovery(outages=outages, invalid=("it was bad before any fault began", *met))
    return replace(_recovered(probed, timeline, bad, volley), outages=outages)


def _unprovoked(probed: Probed, zero: int) -> tuple[Outage, ...]:
    """Outages of a run without any fault: what a proof holds against the outages of the run with it."""
    bad = first_bad(probed.probes, zero)
    return () if bad is None else outages_of(probed.probes, bad, probed.criterion.window_ns)


def _never_bad(probed: Probed, timeline: Timeline) -> Recovery:
    """No bad probe: whatever happened lasted less than one period between two probes, so RTA ∈ [0, p].

    The load has its say here too: if it was served worse than the criterion allows, the clock of the first volley runs
    until it was not. If more of it was not ok than chance explains, the upper bound is not before the last of that.
    """
    assert timeline.last_fault is not None
    probes, period, volley = probed.probes, probed.period, timeline.volleys[0]
    first = next((i for i, a in enumerate(probes) if a.intended >= volley.lo), len(probes))
    hold = _hold(probed, timeline, probed.criterion.good_ratio, with_load=True)
    held = search(good_series(probes), first, probed.data_end, hold)
    stop = min(hold.horizon(timeline.last_fault), probed.data_end)
    invalid = (
        *invalid_reasons(probes, volley.lo - period, stop - period, period, probed.load),
        *probed.crossed(timeline, volley.lo - period, stop),
    )
    within_a_period = Interval(lo=0, hi=period)
    modelled = modelled_across(timeline, volley.lo, (*probes, *probed.load))
    if held.found == first:
        own = Recovery(
            rta=within_a_period,
            never_bad=True,
            recovered_at=probes[first].intended,
            minimum_service=within_a_period,
            modelled=modelled,
            minimum_modelled=modelled,
            invalid=invalid,
        )
        return _heard(own, probed, timeline, stop)
    if held.open == first:
        watched = max(0, probed.data_end - timeline.last_fault) / 1e9
        why = f"no probe was bad, but it was watched for only {watched:.1f} s after the last fault"
        return Recovery(rta=Interval(lo=0, hi=None), never_bad=True, invalid=(*invalid, why))
    rta, found, around = _interval(probed, first, volley, hold)
    at = None if found is None else probes[found].intended
    path = modelled_ns(timeline.decisions, timeline.responses, volley.lo, _answered(probed, found))
    own = Recovery(
        rta=rta,
        volley=volley,
        recovered_at=at,
        answered_at=_answered(probed, found),
        minimum_service=within_a_period,
        modelled=max(path, modelled),
        minimum_modelled=modelled,
        invalid=invalid,
        doubt=around,
    )
    return own if at is None else _heard(own, probed, timeline, min(hold.horizon(at), probed.data_end))


def _heard(own: Recovery, probed: Probed, timeline: Timeline, stop: int) -> Recovery:
    """A recovery of which no probe was bad, with the customers heard whom no probe speaks for.

    If before `stop` more of them were not served than chance explains, then every one of them counts, up to the end of
    the data and from the first fault: which fault it was, and whether one was a stray, no probe tells. What came after
    the last must be more than luck, and nobody may have decided meanwhile in modelled time: else the end is open.
    """
    rta, start = own.rta, timeline.volleys[0].lo
    assert rta is not None
    assert rta.hi is not None
    met = unseen(probed.load, (start, stop), _usual(probed, timeline), probed.criterion.window_ns)
    if met is None:
        return own
    after = [a for a in probed.load if start <= a.intended < probed.data_end and not a.asleep]
    over = max(a.sampled for a in after if not a.ok)
    met = met.model_copy(update={"over": over})
    back = next((p for p in probed.probes if p.good and p.intended >= over), None)
    lucky = (1 - met.bad / met.of) ** sum(a.intended >= over for a in after)
    people = modelled_ns(timeline.decisions, timeline.responses, start, over)
    if back is not None and lucky < SURPRISE and people <= own.modelled:
        return replace(own, rta=Interval(lo=rta.lo, hi=max(rta.hi, back.sampled - start)), unseen=met)
    why = (
        f"no probe was bad, but {met.bad} of {met.of} operations of the load were not ok, more than before the fault "
        "and than chance, "
    )
    if people > own.modelled:
        why += "until after people had decided in modelled time: how long that would have been is not known"
    else:
        why += "and what was watched after the last of them is too little to say that it was over"
    return replace(own, rta=Interval(lo=rta.lo, hi=None), unseen=met, invalid=(*own.invalid, why))


def _recovered(probed: Probed, timeline: Timeline, bad: int, volley: Volley) -> Recovery:
    full = _hold(probed, timeline, probed.criterion.good_ratio, with_load=True)
    rta, found, around = _interval(probed, bad, volley, full)
    minimum, back, _ = _interval(
        probed.as_minimum, bad, volley, _hold(probed, timeline, MINIMUM_SERVICE, with_load=False)
    )
    at = None if found is None else probed.probes[found].intended
    decided_by = probed.data_end if at is None else full.horizon(at)
    start = min(volley.lo, probed.probes[bad].intended) - probed.period
    again, met = 0, None
    if at is not None:
        until = full.horizon(at)
        again = sum(not a.good for a in probed.probes if a.intended >= until)
        met = unseen(probed.load, (at, until), _usual(probed, timeline), probed.criterion.window_ns)
    return Recovery(
        rta=rta,
        volley=volley,
        recovered_at=at,
        answered_at=_answered(probed, found),
        minimum_service=minimum,
        bad_again=again,
        doubt=around,
        unseen=met,
        modelled=modelled_ns(timeline.decisions, timeline.responses, volley.lo, _answered(probed, found)),
        minimum_modelled=modelled_ns(
            timeline.decisions, timeline.responses, volley.lo, _answered(probed, back)
        ),
        # The last due probe lies up to one period before the end of the window.
        invalid=(
            *invalid_reasons(probed.probes, start, decided_by - probed.period, probed.period, probed.load),
            *probed.crossed(timeline, start, decided_by, _answered(probed, found)),
        ),
    )


def _answered(probed: Probed, found: int | None) -> int | None:
    """When a_l had its answer: it may have arrived before the decision that it had to wait for."""
    return None if found is None else probed.probes[found].decided


def _interval(probed: Probed, bad: int, volley: Volley, hold: Hold) -> tuple[Interval, int | None, Doubt]:
    """The bounds of the recovery under `hold`, the index of a_l, and the doubt; hi None: censored, more than lo."""
    probes = probed.probes
    result = search(good_series(probes), bad, probed.data_end, hold)
    # Every arrival before the first one that is not refuted fails the criterion: a_k is the last of them.
    refuted = result.open - 1 if result.open > bad else bad
    last_bad = next((i for i in range(refuted, bad - 1, -1) if not probes[i].good), bad)
    # Minimum service forgives half of everything: it is a rough clock, and stays one.
    around = doubt(probes[bad:], last_bad - bad, hold.w, 1 - hold.q) if hold.load is not None else NO_DOUBT
    lo = max(0, probes[refuted].intended - around.earlier - volley.hi)
    if result.found is None:
        return Interval(lo=lo, hi=None), None, around
    # What lies beyond the last probe was not seen: the run that held is all that can be doubted.
    last = min(result.found + around.later, len(probes) - 1)
    return Interval(lo=lo, hi=max(lo, probes[last].sampled - volley.lo)), result.found, around


def _hold(probed: Probed, timeline: Timeline, q: float, with_load: bool) -> Hold:
    assert timeline.zero is not None
    assert timeline.last_fault is not None
    rule = None
    if with_load:
        load = ok_series(probed.load)
        ok, scheduled = load.counts(probed.before, timeline.zero)
        ratio = ok / scheduled if scheduled else 1.0
        rule = LoadRule(load, probed.criterion.load_ratio * ratio)
    criterion = probed.criterion
    return Hold(q, criterion.window_ns, criterion.hold_ns, timeline.last_fault, rule)


def _usual(probed: Probed, timeline: Timeline) -> float:
    assert timeline.zero is not None
    return usual_share(probed.load, (probed.before, timeline.zero), 1 - probed.criterion.good_ratio)
