"""customers-told: on every channel customers read what was affected, and when to expect it back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from chaoskit.model.history import History
from chaoskit.model.measurement import JourneyMeasure, Measurements, NoticeMeasure
from chaoskit.model.verdict import Verdict
from chaoskit.registry import register


@register("checks", "customers-told")
@dataclass(frozen=True)
class CustomersTold:
    """Did customers learn what was wrong, on every channel that the drill's notices were meant for?

    The first notice of each channel must have reached the customers' inbox, name every journey that was seen to be
    hurt (by its title or name, in the text as it arrived), and announce an expected recovery. How wrong that
    expectation was is measured, and not judged here: to be too careful is no fault. Only what is named is
    judged: a text that denies it reads the same.

    fail: a channel with nothing, a text that leaves something out, or one that came when all was over; each is listed.
    unknown: whether some journey was hurt is not known (one that a channel does not name was not well watched).
    Not exercised: the drill notifies nobody, or no journey was hurt.
    """

    def judge(self, history: History, measurements: Measurements) -> Verdict:
        """One verdict over all channels."""
        name, told = "customers-told", {one.channel: one for one in measurements.notices}
        meant = dict.fromkeys(
            str(channel)
            for step in history.plan.steps
            if step.kind == "response"
            for channel in (step.params.get("channels") or ())
        )
        if not meant:
            why = "not exercised: no step of the drill has channels to tell customers by"
            return Verdict(name=name, outcome="unknown", exercised=False, reason=why)
        if all(one.never_bad for one in measurements.journeys.values()):
            why = "not exercised: no journey was seen to be hurt, so there was nothing to tell"
            return Verdict(name=name, outcome="unknown", exercised=False, reason=why)
        if unclear := [one for one in measurements.journeys.values() if _unclear(one, told.values())]:
            why = f"whether {unclear[0].journey} was hurt is not known, so nobody knows what had to be named"
            return Verdict(name=name, outcome="unknown", reason=why)
        wrong = [f"{channel}: nothing reached the inbox" for channel in meant if channel not in told]
        for channel, one in told.items():
            if one.missing:
                wrong.append(f"{channel}: does not name {' and '.join(one.missing)}")
            if one.over:
                wrong.append(f"{channel}: it came when everything was back")
            if one.announced is None:
                wrong.append(f"{channel}: announces no expected recovery")
        events = tuple(one.event for one in told.values())
        if wrong:
            dark = {text.split(":")[0] for text in wrong}
            reason = f"{len(dark)} of {len(meant)} channels left customers in the dark"
            return Verdict(name=name, outcome="fail", reason=reason, events=events, details=tuple(wrong))
        reason = f"{len(meant)} channels named everything that was hurt, and when to expect it back"
        return Verdict(name=name, outcome="pass", reason=reason, events=events)


def _unclear(one: JourneyMeasure, told: Iterable[NoticeMeasure]) -> bool:
    """Whether nobody knows if a journey was hurt. One that was never seen bad, and not well watched, matters only where
    some channel does not name it."""
    if not one.never_bad:
        return one.clock is None
    return bool(one.invalid) and any(one.journey not in notice.named for notice in told)
