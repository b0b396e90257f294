"""What customers were told: when it first reached them on each channel, what it names, how wrong it was."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from chaoskit.metrics.diagnosis import since
from chaoskit.model.history import Event
from chaoskit.model.journey import Journey
from chaoskit.model.measurement import Interval, JourneyMeasure, NoticeMeasure


def measure_notices(
    events: Iterable[Event],
    started: Interval | None,
    measured: Mapping[str, JourneyMeasure],
    journeys: Mapping[str, Journey],
) -> tuple[NoticeMeasure, ...]:
    """The first notice of each channel after the fault, from the customers' inbox; nobody's intention counts."""
    first: dict[str, NoticeMeasure] = {}
    hurt = tuple(name for name, one in measured.items() if not one.never_bad and one.clock is not None)
    for event in events:
        data = event.data
        if event.kind != "response.fact" or data.get("fact") != "notice":
            continue
        channel, at, expected = data.get("channel"), data.get("delivered"), data.get("expected")
        if not isinstance(channel, str) or not isinstance(at, int) or since(started, at) is None:
            continue
        text = str(data.get("text") or "")
        announced = isinstance(expected, int) and _says(text, str(data.get("back_in") or ""))
        named = tuple(name for name in journeys if names(text, name, journeys[name].title))
        notice = NoticeMeasure(
            channel=channel,
            after=since(started, at),
            named=named,
            missing=tuple(name for name in hurt if name not in named),
            needless=tuple(name for name in named if name in measured and name not in hurt),
            announced=str(data.get("back_in")) if announced else None,
            over=_over(hurt, measured, at),
            late=_late(hurt, measured, expected) if announced and isinstance(expected, int) else None,
            event=event.n,
        )
        before = first.get(channel)
        if before is None or (before.after and notice.after and notice.after.lo < before.after.lo):
            first[channel] = notice
    return tuple(first.values())


def names(text: str, journey: str, title: str) -> bool:
    """Whether a text names a journey, by its title or by its name."""
    return any(_says(text, word) for word in (title, journey))


def _says(text: str, words: str) -> bool:
    """Whether they stand in the text as words of their own: 10s is not said by 110s."""
    return bool(words) and re.search(rf"(?<![\w.]){re.escape(words)}(?!\w)", text, re.IGNORECASE) is not None


def _over(hurt: Iterable[str], measured: Mapping[str, JourneyMeasure], at: int) -> bool:
    """Whether every journey that was hurt was surely back before, modelled human time included."""
    ends = []
    for name in hurt:
        one = measured[name]
        if one.rta is None or one.rta.hi is None or one.clock is None or one.clock.hi is None:
            return False
        ends.append(one.clock.hi + one.rta.hi + one.modelled)
    return bool(ends) and at > max(ends)


def _late(hurt: Iterable[str], measured: Mapping[str, JourneyMeasure], expected: int) -> Interval | None:
    """By how much the last of the journeys that were hurt was back later than announced, ns; negative: earlier.

    Modelled human time counts: those who were told would have lived it. None: one of them was not measured.
    """
    lo, hi, open_ = None, None, False
    for name in hurt:
        one = measured[name]
        if one.rta is None or one.invalid or one.clock is None or one.clock.hi is None:
            return None
        begin = one.clock.hi + one.rta.lo + one.modelled - expected
        lo = begin if lo is None else max(lo, begin)
        if one.rta.hi is None:
            open_ = True
            continue
        end = one.clock.lo + one.rta.hi + one.modelled - expected
        hi = end if hi is None else max(hi, end)
    return None if lo is None else Interval(lo=lo, hi=None if open_ or hi is None else max(lo, hi))
