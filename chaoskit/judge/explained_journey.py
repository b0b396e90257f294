"""A journey's numbers on paper: which probes decided them, and the arithmetic."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from chaoskit.judge import explained_books, explained_loss
from chaoskit.judge.explained_unseen import unseen
from chaoskit.judge.paper import Paper, doubt, listed, seconds
from chaoskit.judge.wording import bounds, ceil_s, floor_s, share, span
from chaoskit.metrics.arrivals import Arrival, arrivals_of, ok_series
from chaoskit.metrics.availability import availability_of
from chaoskit.metrics.intermittence import SURPRISE
from chaoskit.metrics.recovery import MINIMUM_SERVICE
from chaoskit.model.measurement import Interval, JourneyMeasure

AROUND = 4
"""Probes shown on either side of each end."""


def _rta(paper: Paper, journey: str) -> str:
    measure = paper.measurements.journeys[journey]
    if measure.rta is None:
        return listed(f"{journey}.rta: unknown", measure.invalid)
    probes = _probes(paper, journey)
    head = [
        f"{journey}.rta: {bounds(measure.rta)}",
        *_printed(paper, journey, measure.rta),
        *(f"  cannot be used: {why}" for why in measure.invalid),
    ]
    if measure.never_bad:
        head += (
            unseen(paper, measure, measure.rta)
            if measure.unseen
            else [
                "  no probe was bad after the first fault: an outage lasted at most one period, "
                f"{seconds(measure.probe_period)}"
            ]
        )
        return "\n".join(
            [*head, *_criterion(paper, journey), *_table(paper, _after_zero(paper, probes)[: 2 * AROUND])]
        )
    return "\n".join(
        [
            *head,
            *_fault(paper, measure),
            *unseen(paper, measure, measure.rta),
            *_ends(paper, measure, probes),
            *_criterion(paper, journey),
            *_arithmetic(paper, measure, measure.rta, measure.doubt, probes),
        ]
    )


def _printed(paper: Paper, journey: str, rta: Interval) -> list[str]:
    """Told when the scorecard on disk shows another number than the history gives."""
    cards = [row for row in paper.result.scorecard if row.get("journey") == journey]
    printed = str(cards[0].get("RTA (bounds)")) if cards else "nothing"
    return [] if printed.startswith(bounds(rta)) else [f"  the scorecard shows {printed}", *doubt(False)]


def _minimum(paper: Paper, journey: str) -> str:
    measure = paper.measurements.journeys[journey]
    if measure.minimum_service is None:
        return f"{journey}.minimum-service: unknown"
    text = [
        f"{journey}.minimum-service: {bounds(measure.minimum_service)}",
        *(f"  cannot be used: {why}" for why in measure.invalid),
        f"  as {journey}.rta, with at least {share(MINIMUM_SERVICE)} of the probes of every window good, and no say "
        "of the load",
    ]
    if not measure.outages:
        text.append("  no probe was bad: it was away for at most one period, if at all")
    elif measure.clock is not None:
        text += _arithmetic(paper, measure, measure.minimum_service, (0, 0), _probes(paper, journey))
    return "\n".join(text)


def _good(paper: Paper, journey: str) -> str:
    plan = paper.history.plan
    measure = paper.measurements.journeys[journey]
    since = paper.zero - plan.drill.steady.for_.ns
    within = plan.system.journeys[journey].good.within
    again = availability_of(paper.history.operations, journey, within.ns, since)
    late = again.ok - again.good
    return "\n".join(
        [
            f"{journey}.good: {share(measure.good_ratio)}",
            f"  arrivals of the load from {paper.at(since)} on (the steady phase counts, retries and double taps do "
            "not):",
            f"    scheduled  {again.scheduled}",
            f"    never sent {again.missed}",
            f"    refused    {again.failed}",
            f"    unknown    {again.unknown}",
            f"    ok         {again.ok}, of which {late} took longer than {within} from the intended time, "
            "or admit to be old",
            *(
                [f"    held up    {measure.held} of them were bad while the proxy of their links was held up"]
                if measure.held
                else []
            ),
            *([f"    accepted   {again.accepted}, to be done later"] if again.accepted else []),
            f"  good = ok in time ÷ scheduled = {again.good} ÷ {again.scheduled} = {share(again.good_ratio)}, "
            "rounded down",
            *doubt(again.good == measure.good and again.scheduled == measure.scheduled),
        ]
    )


def _outages(paper: Paper, journey: str) -> str:
    measure = paper.measurements.journeys[journey]
    text = []
    for outage in measure.outages:
        before = (
            "nothing good before"
            if outage.last_good_before is None
            else f"last good before {paper.at(outage.last_good_before)}"
        )
        after = (
            "nothing good after"
            if outage.first_good_after is None
            else f"first good after {paper.at(outage.first_good_after)}"
        )
        text.append(
            f"first bad {paper.at(outage.first_bad)}, last bad {paper.at(outage.last_bad)}, {before}, {after}: "
            f"lasted {bounds(outage.duration)}"
        )
    return listed(f"{journey}.outages: {len(measure.outages)}, as the prober saw them", text)


def _fault(paper: Paper, measure: JourneyMeasure) -> list[str]:
    assert measure.clock is not None
    text = ["  the fault that started this clock:"]
    for fault in paper.measurements.faults:
        if fault.step in measure.started_by:
            seen = "never witnessed" if fault.hi is None else f"{paper.at(fault.hi)}: {fault.witness}"
            cited = ", ".join(map(str, fault.events))
            text += [
                f"    {fault.name} on {fault.target} (events {cited})",
                f"      command started {paper.at(fault.lo)}",
                f"      witnessed       {seen}",
            ]
    hi = measure.clock.lo if measure.clock.hi is None else measure.clock.hi
    return [*text, f"    f_lo {paper.at(measure.clock.lo)}, f_hi {paper.at(hi)}"]


def _ends(paper: Paper, measure: JourneyMeasure, probes: Sequence[Arrival]) -> list[str]:
    text = [f"  the prober, one probe every {seconds(measure.probe_period)}:"]
    bad = next((i for i, p in enumerate(probes) if p.intended >= paper.zero and not p.good), None)
    if bad is not None:
        text += ["    around the first bad one:", *_table(paper, probes[max(0, bad - AROUND) : bad + AROUND])]
    back = next((i for i, p in enumerate(probes) if p.intended == measure.recovered_at), None)
    if back is None:
        return [*text, "    and to the end of the run:", *_table(paper, probes[-2 * AROUND :])]
    return [*text, "    around the recovery:", *_table(paper, probes[max(0, back - AROUND) : back + AROUND])]


def _table(paper: Paper, probes: Iterable[Arrival]) -> list[str]:
    rows = []
    for probe in probes:
        what = (
            "good" if probe.good else "never sent" if probe.missed else "ok, too late" if probe.ok else "bad"
        )
        rows.append(
            f"      intended {paper.at(probe.intended):>14}  woke {paper.at(probe.sampled):>14}  "
            f"decided {paper.at(probe.decided):>14}  {what}"
        )
    return rows


def _criterion(paper: Paper, journey: str) -> list[str]:
    criterion = paper.history.plan.criteria[journey]
    measure = paper.measurements.journeys[journey]
    shortened = " (shortened by the drill)" if criterion.shortened else ""
    text = [
        f"  recovered: the first good probe from which every window of {seconds(criterion.window_ns)} has at least "
        f"{share(criterion.good_ratio)} good probes, for {seconds(criterion.hold_ns)}{shortened},",
        f"    and the load's ok ÷ scheduled over that time is at least {share(criterion.load_ratio)} of its share "
        "before",
    ]
    if measure.recovered_at is not None:
        load = ok_series(arrivals_of(paper.history.operations, journey, "load", 0))
        steady = paper.history.plan.drill.steady.for_.ns
        ok, scheduled = load.counts(paper.zero - steady, paper.zero)
        faults = [fault.lo for fault in paper.measurements.faults]
        held = max([measure.recovered_at, *faults]) + max(criterion.hold_ns, criterion.window_ns)
        ok_after, after = load.counts(measure.recovered_at, held)
        text.append(
            f"    before: {ok} of {scheduled}; while it held, until {paper.at(held)}: {ok_after} of {after}"
        )
    return text


def _arithmetic(
    paper: Paper,
    measure: JourneyMeasure,
    found: Interval,
    widened: tuple[int, int],
    probes: Sequence[Arrival],
) -> list[str]:
    assert measure.clock is not None
    f_lo, f_hi = measure.clock.lo, measure.clock.lo if measure.clock.hi is None else measure.clock.hi
    earlier, later = widened
    text = _widened(paper, earlier, later)
    last_failing = next((p for p in probes if p.intended == found.lo + earlier + f_hi), None)
    if last_failing is not None:
        less = f" − {seconds(earlier)}" if earlier else ""
        text.append(
            f"  lower bound = a_k − f_hi{less} = {paper.at(last_failing.intended)} − {paper.at(f_hi)}{less} = "
            f"{seconds(found.lo)}  (a_k: the last probe that fails the criterion)"
        )
    else:
        text.append(
            f"  lower bound = {seconds(found.lo)}: no probe that fails the criterion was due after f_hi"
        )
    if measure.unseen is not None and measure.unseen.over is not None:
        return text  # the upper bound was told with the customers that it is for
    if found.hi is None:
        return [
            *text,
            "  upper bound: none; the run ended before the criterion had held: more than the lower bound",
        ]
    back = next((i for i, p in enumerate(probes) if p.sampled == found.hi + f_lo), None)
    first = None if back is None else probes[max(0, back - later)]
    what = f"the {later}. probe after a_l" if later else "a_l"
    text += [
        f"  upper bound = {what} − f_lo = {paper.at(found.hi + f_lo)} − {paper.at(f_lo)} = {seconds(found.hi)}"
        "  (a_l: when the first good probe of the run that held was made)",
        f"  printed rounded outward to 10 ms: {floor_s(found.lo):.2f} – {ceil_s(found.hi):.2f} s",
        *doubt(found.hi == found.lo or (first is not None and first.good)),
    ]
    if measure.modelled:
        total = Interval(lo=found.lo + measure.modelled, hi=found.hi + measure.modelled)
        text.append(
            f"  with {span(measure.modelled)} of modelled human time, which the RTO is judged by: {bounds(total)}"
        )
    return text


def _widened(paper: Paper, earlier: int, later: int) -> list[str]:
    if not later:
        return []
    return [
        "  bad probes came and went before the last one, which is only the last that was seen: the lower bound",
        f"    goes down by how long the criterion's forgiven share takes to come together ({seconds(earlier)}), the",
        f"    upper one up by as many probes as can all have been lucky ({later}: less likely than {share(SURPRISE)})",
    ]


def _probes(paper: Paper, journey: str) -> tuple[Arrival, ...]:
    within = paper.history.plan.system.journeys[journey].good.within.ns
    return arrivals_of(paper.history.operations, journey, "prober", within)


def _after_zero(paper: Paper, probes: Sequence[Arrival]) -> list[Arrival]:
    return [probe for probe in probes if probe.intended >= paper.zero]


NUMBERS: Mapping[str, Callable[[Paper, str], str]] = {
    "rta": _rta,
    "minimum-service": _minimum,
    "good": _good,
    "lost": explained_loss.lost,
    "in-doubt": explained_loss.in_doubt,
    "outages": _outages,
    "backlog-drained": explained_books.backlog_drained,
    "reconciled": explained_books.reconciled,
}
"""What can be asked of a journey."""
