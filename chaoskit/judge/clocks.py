"""The clocks of people and bank: one row each, with what it was made from.

detected ──► identified ──► decided ──► repaired
"""

from __future__ import annotations

from collections.abc import Iterator

from chaoskit.judge import attacks, books_clocks, decisions, minimum, redundancy, stand_in
from chaoskit.judge.clock_row import ClockRow, Kind, said
from chaoskit.judge.wording import bounds, share, span
from chaoskit.model.measurement import (
    DecisionMeasure,
    Interval,
    JourneyMeasure,
    Measurements,
    NoticeMeasure,
    RollOutMeasure,
    SuspectMeasure,
    WarningMeasure,
    WayBack,
)

_WORDS: dict[str, Kind] = {"taken": "decided", "refused": "refused", "missed": "not decided"}
_RECOVERIES = {
    "roll-back": "roll-back",
    "restore": "restore",
    "restore-and-replay": "restore plus replay",
    "forward-fix": "forward fix",
}
_EVIDENCE_SHOWN = 2


def clock_rows(measurements: Measurements) -> Iterator[ClockRow]:
    """Every row, in the order of the scorecard; none where nobody decided or named anything."""
    started = measurements.clocks.started
    if measurements.suspects:
        yield detected(measurements)
    for suspect in measurements.suspects:
        yield _identified(suspect, started)
    for notice in measurements.notices:
        yield _notice(notice, measurements)
    for attack in measurements.attacks:
        yield from attacks.rows(attack)
    yield from attacks.shared(measurements.attacks)
    if measurements.minimum_service is not None:
        yield minimum.row(measurements.minimum_service)
    yield from redundancy.rows(measurements)
    for warning in measurements.warnings:
        yield _warning(warning)
    for rolled in measurements.roll_outs:
        yield from _rolled(rolled, started)
    for stood in measurements.stand_ins.values():
        yield stand_in.row(stood, started)
    for one in measurements.decisions:
        yield _decision(one, started)
    if measurements.suspects:
        yield _repaired(measurements)
    yield from books_clocks.rows(measurements)


def detected(measurements: Measurements) -> ClockRow:
    """The first alert after the fault, whether the scorecard has a row of it or not."""
    clocks = measurements.clocks
    how = "the first alert of a look that did not know what was broken, at or after f_lo"
    if clocks.detected is None:
        return ClockRow("detected", "", "no alert after the fault", shown="unknown", how=(f"{how}: none",))
    broken = {fault.target for fault in measurements.faults}
    which = "what was broken" if clocks.alerted in broken else "which only suffered from it"
    return ClockRow(
        "detected",
        "",
        f"the alert names {clocks.alerted}, {which}",
        after=clocks.detected,
        since=clocks.started,
        until=clocks.alert,
        how=(how,),
    )


def _identified(suspect: SuspectMeasure, started: Interval | None) -> ClockRow:
    verdict = "right" if suspect.right else f"wrong, {' and '.join(suspect.broken) or 'nothing'} was broken"
    shown = "; ".join(suspect.evidence[:_EVIDENCE_SHOWN])
    standing = ", ".join(suspect.broken) or "none"
    return ClockRow(
        "identified",
        "",
        f"{suspect.suspect}: {verdict} ({shown})",
        after=suspect.after,
        shown=bounds(suspect.after),
        since=started,
        until=suspect.event,
        how=(f"targets of the faults that had begun and were not undone by then: {standing}",),
    )


def _notice(notice: NoticeMeasure, measurements: Measurements) -> ClockRow:
    how = ["the first notice of this channel that lay in the customers' inbox after the fault"]
    if notice.announced is not None:
        hurt = [one for one in measurements.journeys.values() if not one.never_bad and one.clock is not None]
        back = [f"{j.journey} {bounds(j.rta)}{f' + {span(j.modelled)}' if j.modelled else ''}" for j in hurt]
        how.append(
            f"how wrong, {bounds(notice.late)}: when the last journey that was hurt was back, counted from its fault "
            f"and with modelled people ({', '.join(back)}), less `expected`; negative: earlier"
        )
    return ClockRow(
        "told",
        notice.channel,
        _told(notice),
        after=notice.after,
        shown=bounds(notice.after),
        since=measurements.clocks.started,
        until=notice.event,
        read=said("delivered"),
        how=tuple(how),
    )


def _warning(one: WarningMeasure) -> ClockRow:
    how = ["between the last look below the mark (`below_ns`) and the first above it (`above_ns`)"]
    if one.lead is not None:
        how.append(
            f"from the mark to the first failure: {bounds(one.lead)}; lower bound = its first arrival − `above_ns`, "
            "upper bound = when it was decided − `below_ns`; without a failure until somebody acted, or the end"
        )
    return ClockRow(
        "warned",
        one.step,
        _warned(one),
        after=one.after if one.passed else None,
        shown=bounds(one.after) if one.passed else None,
        since=one.clock,
        until=one.event,
        read=said("facts", "indicator", "above_ns"),
        how=tuple(how),
    )


def _rolled(rolled: RollOutMeasure, started: Interval | None) -> Iterator[ClockRow]:
    hit = [f"{journey}: {one.bad} of {one.asked} not good" for journey, one in rolled.hit.items()]
    asked = "the load's first attempts from when its first change was seen until the stop"
    yield ClockRow(
        "stopped",
        rolled.release,
        _hit(rolled),
        after=rolled.after,
        shown=bounds(rolled.after),
        since=started,
        until=rolled.event,
        how=(f"{asked}: {', '.join(hit) or 'none'}",),
    )
    if (way := rolled.way_back) is not None:
        yield ClockRow(
            "back",
            rolled.release,
            _back(way),
            after=way.after,
            shown=bounds(way.after),
            since=started,
            until=way.event,
            events=way.events,
            how=("lost, and not as they were asked for: by the books at the end, see `chaoskit sql`",),
        )


def _decision(one: DecisionMeasure, started: Interval | None) -> ClockRow:
    return ClockRow(
        _WORDS[one.outcome],
        one.step,
        decisions.in_words(one),
        after=one.after if one.outcome != "missed" else None,
        since=started,
        until=one.events[-1] if one.events else None,
        events=one.events,
        people=one.modelled,
    )


def _repaired(measurements: Measurements) -> ClockRow:
    """When the last journey that was hurt was good again to stay: the upper end of the repair."""
    hurt = [one for one in measurements.journeys.values() if one.rta is not None and not one.never_bad]
    if not hurt:
        how = "no probe of any journey was bad after a fault"
        return ClockRow("repaired", "", "no journey was seen to be hurt", how=(how,))
    last = max(hurt, key=_good_again)
    people = f", {span(last.modelled)} of people on top, modelled" if last.modelled else ""
    invalid = " (invalid)" if last.invalid else ""
    return ClockRow(
        "repaired",
        "",
        f"{last.journey} was good again last{_own_clock(last, measurements)}{people}",
        after=last.rta,
        shown=f"{bounds(last.rta)}{invalid}",
        same=f"{last.journey}.rta",
        how=("the last of: " + ", ".join(f"{one.journey} {bounds(one.rta)}" for one in hurt),),
    )


def _good_again(one: JourneyMeasure) -> float:
    """The latest instant at which it was good again to stay, ns; each journey's clock starts with its own fault."""
    if one.rta is None or one.rta.hi is None:
        return float("inf")
    return one.rta.hi + (one.clock.lo if one.clock is not None else 0)


def _own_clock(one: JourneyMeasure, measurements: Measurements) -> str:
    started = measurements.clocks.started
    if one.clock is None or started is None or one.clock.lo == started.lo:
        return ""
    return f", counted from a later fault ({' and '.join(one.started_by)})"


def _hit(rolled: RollOutMeasure) -> str:
    hit = [
        f"{share(one.bad / one.asked)} of {one.asked} {journey}"
        for journey, one in rolled.hit.items()
        if one.asked
    ]
    some = f"{len(rolled.changed)} of {len(rolled.services)} services had it"
    return f"{some}; customers it had hit: {', '.join(hit) or 'nobody asked'}"


def _warned(one: WarningMeasure) -> str:
    """How long before the first failure an indicator passed its mark."""
    mark = f"{share(one.warn)}: {one.what}, {one.last}"
    if not one.passed:
        return f"never past {mark}" + (f", and {one.failed} failed" if one.failed else "")
    if one.failing or one.lead is None:
        return f"past {mark}; {f'{one.failed} was failing already' if one.failing else 'since when is not known'}"
    if one.failed is not None:
        return f"past {mark}; {bounds(one.lead)} before {one.failed} failed"
    return f"past {mark}; {bounds(one.lead)} until {one.acted or 'the end'}, and nothing had failed"


def _back(way: WayBack) -> str:
    """Which recovery it was, what it cost before anything was sent again, and what is still amiss."""
    if way.fix is None:
        code = "the code was taken back" if way.code else "the code was not taken back everywhere"
    else:
        code = f"{way.fix} was put over it" if way.code else f"{way.fix} was not put over it everywhere"
    if way.restored and way.sent_again is not None:
        how = f"{code}, the books restored to before it ({way.lost_before} accepted operations lost by that)"
        how += f", {way.sent_again} sent again"
    elif way.restored:
        how = f"{code}, the books restored to before it, and nothing sent again"
    elif way.finished:
        how = f"{code}, and what it wrote was mended by that release's migration"
    else:
        how = f"{code}, and what it wrote stayed"
    how = f"{_RECOVERIES[way.how]}: {how}"
    if way.lost is None or way.unreadable is None:
        return f"{how}; what is lost or unreadable is unknown"
    return f"{how}; in the end {way.lost} lost, {way.unreadable} not as they were asked for"


def _told(notice: NoticeMeasure) -> str:
    said = (
        "names all that was hurt" if not notice.missing else f"does not name {' and '.join(notice.missing)}"
    )
    if notice.needless:
        said += f"; names {' and '.join(notice.needless)}, which was not seen to be hurt"
    if notice.announced is None:
        return f"{said}; announces no recovery"
    announced = f"{said}; announces {notice.announced}"
    late = notice.late
    if late is None:
        return f"{announced}, how wrong is unknown"
    if late.hi is None:
        return f"{announced}, and it took at least {late.lo / 1e9:.1f} s longer" if late.lo > 0 else announced
    if late.hi <= 0:
        return f"{announced}, and it was back {bounds(Interval(lo=-late.hi, hi=-late.lo))} earlier"
    if late.lo >= 0:
        return f"{announced}, and it was back {bounds(late)} later"
    return f"{announced}, right to within {max(-late.lo, late.hi) / 1e9:.1f} s"
