"""The clocks of people and bank: one row each, every cell a string that is ready to be printed.

detected ──► identified ──► decided ──► repaired
"""

from __future__ import annotations

from collections.abc import Iterator

from chaoskit.judge import attacks, decisions, minimum, redundancy, stand_in
from chaoskit.judge.wording import NOTHING, bounds, share, span
from chaoskit.model.measurement import (
    Interval,
    Measurements,
    NoticeMeasure,
    RollOutMeasure,
    WarningMeasure,
    WayBack,
)

_WORDS = {"taken": "decided", "refused": "refused", "missed": "not decided"}
_RECOVERIES = {
    "roll-back": "roll-back",
    "restore": "restore",
    "restore-and-replay": "restore plus replay",
    "forward-fix": "forward fix",
}
_EVIDENCE_SHOWN = 2


def clock_rows(measurements: Measurements) -> Iterator[dict[str, str]]:
    """Rows with the columns clock, after the fault, what; none where nobody decided or named anything."""
    if measurements.suspects:
        yield from _detected(measurements)
    for suspect in measurements.suspects:
        said = "right" if suspect.right else f"wrong, {' and '.join(suspect.broken) or 'nothing'} was broken"
        shown = "; ".join(suspect.evidence[:_EVIDENCE_SHOWN])
        yield _row("identified", bounds(suspect.after), f"{suspect.suspect}: {said} ({shown})")
    for notice in measurements.notices:
        yield _row(f"told: {notice.channel}", bounds(notice.after), _told(notice))
    for attack in measurements.attacks:
        yield from attacks.rows(attack)
    yield from attacks.shared(measurements.attacks)
    if measurements.minimum_service is not None:
        yield minimum.row(measurements.minimum_service)
    yield from redundancy.rows(measurements)
    for warning in measurements.warnings:
        yield _row(
            f"warned: {warning.step}", bounds(warning.after) if warning.passed else NOTHING, _warned(warning)
        )
    for rolled in measurements.roll_outs:
        yield _row(f"stopped: {rolled.release}", bounds(rolled.after), _hit(rolled))
        if rolled.way_back is not None:
            yield _row(f"back: {rolled.release}", bounds(rolled.way_back.after), _back(rolled.way_back))
    for stood in measurements.stand_ins.values():
        yield stand_in.row(stood)
    for one in measurements.decisions:
        after = bounds(one.after) if one.after is not None and one.outcome != "missed" else NOTHING
        yield _row(f"{_WORDS[one.outcome]}: {one.step}", after, decisions.in_words(one))
    if measurements.suspects:
        yield from _repaired(measurements)


def _detected(measurements: Measurements) -> Iterator[dict[str, str]]:
    clocks = measurements.clocks
    if clocks.detected is None:
        yield _row("detected", "unknown", "no alert after the fault")
        return
    broken = {fault.target for fault in measurements.faults}
    said = "what was broken" if clocks.alerted in broken else "which only suffered from it"
    yield _row("detected", bounds(clocks.detected), f"the alert names {clocks.alerted}, {said}")


def _repaired(measurements: Measurements) -> Iterator[dict[str, str]]:
    """When the last journey that was hurt was good again to stay: the upper end of the repair."""
    hurt = [one for one in measurements.journeys.values() if one.rta is not None and not one.never_bad]
    if not hurt:
        yield _row("repaired", NOTHING, "no journey was seen to be hurt")
        return
    last = max(hurt, key=lambda one: float("inf") if one.rta is None or one.rta.hi is None else one.rta.hi)
    people = f", {span(last.modelled)} of people on top, modelled" if last.modelled else ""
    invalid = " (invalid)" if last.invalid else ""
    yield _row("repaired", f"{bounds(last.rta)}{invalid}", f"{last.journey} was good again last{people}")


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


def _row(clock: str, after: str, what: str) -> dict[str, str]:
    return {"clock": clock, "after the fault": after, "what": what}
