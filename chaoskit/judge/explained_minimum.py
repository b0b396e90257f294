"""The agreed minimum service on paper: per journey the last probe that was not good enough, and the arithmetic."""

from __future__ import annotations

from chaoskit.judge.minimum import in_words
from chaoskit.judge.paper import Paper, listed, seconds
from chaoskit.judge.wording import bounds, span
from chaoskit.metrics.arrivals import arrivals_of
from chaoskit.model.journey import MINIMUM_SERVICE
from chaoskit.model.measurement import MinimumMeasure


def explain(paper: Paper, measure: MinimumMeasure) -> str:
    """Where the number comes from."""
    text = [
        f"agreed: {in_words(measure)}, in every window of the criterion",
        "a promise to do it later counts as good here, and so does an answer that admits to be old",
        *(f"cannot be used: {why}" for why in measure.invalid),
    ]
    if measure.clock is not None:
        hi = measure.clock.lo if measure.clock.hi is None else measure.clock.hi
        text.append(
            f"the first fault that hurt one of them: f_lo {paper.at(measure.clock.lo)}, f_hi {paper.at(hi)}"
        )
    if measure.never_bad:
        text.append("no probe of any of them was bad")
    elif measure.rta is not None and measure.clock is not None:
        text += [_last_bad(paper, measure, journey) for journey in measure.journeys]
        text.append(f"lower bound = the last probe that fails − f_hi = {seconds(measure.rta.lo)}")
        if measure.rta.hi is None:
            text.append("upper bound: none; it was not back when the run ended")
        else:
            back = paper.at(measure.clock.lo + measure.rta.hi)
            text.append(
                f"upper bound = {back} − f_lo = {seconds(measure.rta.hi)}; {measure.last} was good enough last"
            )
    if measure.modelled and measure.total is not None:
        text.append(f"with {span(measure.modelled)} of modelled human time: {bounds(measure.total)}")
    return listed(f"{MINIMUM_SERVICE}: {bounds(measure.rta)}", text)


def _last_bad(paper: Paper, measure: MinimumMeasure, journey: str) -> str:
    assert measure.clock is not None
    within = paper.history.plan.system.journeys[journey].good.within.ns
    probes = arrivals_of(paper.history.operations, journey, "prober", within)
    until = None if measure.rta is None or measure.rta.hi is None else measure.clock.lo + measure.rta.hi
    seen = [
        probe
        for probe in probes
        if probe.intended >= measure.clock.lo and (until is None or probe.intended <= until)
    ]
    bad = [probe for probe in seen if not probe.served]
    if not bad:
        return f"{journey}: no probe was bad until then"
    promised = sum(probe.promised for probe in probes if probe.intended >= measure.clock.lo)
    last = f"{journey}: {len(bad)} bad probes until then, the last at {paper.at(bad[-1].intended)}"
    return f"{last}; {promised} of the run are promises or old answers" if promised else last
