"""warned-before-failure: an indicator passed its mark before the first customer was not served."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from chaoskit.model.history import Event, History
from chaoskit.model.measurement import Interval, Measurements, WarningMeasure
from chaoskit.model.verdict import Verdict
from chaoskit.registry import members, register

Judged = Literal["fail", "unknown", "pass"]
_GRAVEST: tuple[Judged, ...] = ("fail", "unknown", "pass")


@register("checks", "warned-before-failure")
@dataclass(frozen=True)
class WarnedBeforeFailure:
    """Did every indicator that was watched pass its mark before anything failed, and how long before?

    The failure is the first customer of any journey who was not served after the mark had been passed, and before
    anybody acted. A journey that had somebody who was not served among its last three before the mark was failing
    already. Who is not served while a fault is still coming about, as a roll-out replaces services, is not counted
    against an indicator that stayed below its mark; and a journey that has served nobody since, as when a release never
    comes up, shows nothing of what is used up.

    fail: it failed first, or failed while the indicator stayed below its mark. unknown: nothing failed, so that
    there was nothing to warn of; the mark was passed before the first look, or before anything was broken; somebody
    failed while nothing could be seen of the indicator; a journey served nobody again after a fault had come about; the
    journey that failed goes through nothing that was watched; the two cannot be told apart in time. Not exercised: no
    indicator was watched.
    """

    def judge(self, history: History, measurements: Measurements) -> Verdict:
        """One verdict over all indicators: the worst."""
        name = "warned-before-failure"
        told = {one.event for one in measurements.warnings}
        blind = [one for one in _looks(history) if one.n not in told]
        if not measurements.warnings and not blind:
            why = "not exercised: no indicator was watched"
            return Verdict(name=name, outcome="unknown", exercised=False, reason=why)
        found = [_put_to_the_test(one) for one in measurements.warnings]
        found += [("unknown", f"{one.data.get('step')}: {one.data.get('detail')}") for one in blind]
        worst = min((outcome for outcome, _ in found), key=_GRAVEST.index)
        reason = "; ".join(said for outcome, said in found if outcome == worst)
        return Verdict(
            name=name,
            outcome=worst,
            reason=reason,
            events=tuple(sorted({*told, *(one.n for one in blind)})),
            details=tuple(said for _, said in found) if len(found) > 1 else (),
        )


def _looks(history: History) -> list[Event]:
    """Looks of the probes that this check judges, whether they told something or not."""
    probes = members("probes")
    return [
        event
        for event in history.events
        if event.kind == "probe.looked"
        and getattr(probes.get(str(event.data.get("name"))), "judged_by", None) == "warned-before-failure"
    ]


def _put_to_the_test(one: WarningMeasure) -> tuple[Judged, str]:
    outcome, said = _judged(one)
    if outcome == "fail" or one.unserved is None:
        return outcome, said
    return (
        "unknown",
        f"{one.unserved} served nobody again after the fault had come about: that is no using up of {one.what} "
        f"({one.last}), and whether it would have warned is not known",
    )


def _judged(one: WarningMeasure) -> tuple[Judged, str]:
    if not one.looks:
        return "unknown", f"{one.what}: nothing could be seen of it"
    if one.unseen is not None:
        return "unknown", f"{one.what} could not be seen while {one.unseen} failed"
    if not one.passed and one.failed is not None:
        return "fail", f"{one.what} stayed below its mark ({one.last}), and {one.failed} failed"
    if not one.passed:
        return "unknown", f"{one.what} stayed below its mark ({one.last}), and nothing failed"
    if one.at_once:
        return (
            "unknown",
            f"{one.what} was past its mark at the first look ({one.last}): since when is not known",
        )
    if one.after is None:
        return "unknown", f"{one.what} passed its mark before anything was broken: that is a false alarm"
    if one.failing:
        return "fail", f"{one.failed} was failing before {one.what} passed its mark ({one.last})"
    assert one.lead is not None
    if one.failed is None:
        until = f"until {one.acted}" if one.acted is not None else "until the end"
        return (
            "unknown",
            f"{one.what} passed its mark ({one.last}), and nothing failed for {_bounds(one.lead)} {until}: "
            "whether anything would have is not known; let the response begin later",
        )
    if one.apart:
        return (
            "unknown",
            f"{one.what} passed its mark ({one.last}), and {one.failed}, which failed, goes through nothing of "
            f"{one.target}: that is no warning of it",
        )
    if not one.lead.lo:
        return (
            "unknown",
            f"{one.what} passed its mark ({one.last}) as {one.failed} failed: which was first is not known",
        )
    return "pass", f"{one.what} passed its mark ({one.last}) {_bounds(one.lead)} before {one.failed} failed"


def _bounds(lead: Interval) -> str:
    """`1.20 – 1.45 s`; `at least 3.00 s` where it did not end."""
    return (
        f"at least {lead.lo / 1e9:.2f} s"
        if lead.hi is None
        else f"{lead.lo / 1e9:.2f} – {lead.hi / 1e9:.2f} s"
    )
