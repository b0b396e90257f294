"""tampering-noticed: the system itself said, in time, that its records were changed behind its back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from chaoskit.metrics.attacks import pushed_settings, told_between
from chaoskit.model.history import Event, History
from chaoskit.model.measurement import FaultMeasure, Measurements
from chaoskit.model.outsiders import ADDRESSES
from chaoskit.model.verdict import Verdict
from chaoskit.quantity import Duration
from chaoskit.registry import register

TAMPERING = ("attack.rogue-admin", "mistake.wrong-command")  # rows changed past the application
_LIMIT = Duration.parse("5s")


@register("checks", "tampering-noticed")
@dataclass(frozen=True)
class TamperingNoticed:
    """Did the system raise an alert at most 5 s after its rows were changed behind its back?

    Of every `attack.rogue-admin`, and `mistake.wrong-command` that empties a table: by a feed of the system's own
    (`respond: read-alerts`), the first alert since that is about no address of an attack and no customer. The books of
    this drill count nowhere: what is asked is whether the bank would have known. An alert that came after several of
    them speaks of one, and nobody knows of which: it is good for none, and only its coming late counts.

    fail: no alert, though the feed was read for 5 s and longer, or a later one. unknown: the change was not witnessed;
    nobody read a feed for so long; the alert lies across the limit; another change had been made before the alert; or
    there was, or may have been, an alert before anything was changed, so that the next says nothing. Not exercised:
    nothing was changed behind its back.
    """

    answers: ClassVar[bool] = True  # for a proof: it passes only where the system has noticed by itself

    def judge(self, history: History, measurements: Measurements) -> Verdict:
        """One verdict over all changes; the gravest counts."""
        pushed = pushed_settings(history)
        changes = [one for one in measurements.faults if one.name in TAMPERING and one.step not in pushed]
        if not changes:
            why = "not exercised: nothing was changed behind the system's back"
            return Verdict(name="tampering-noticed", outcome="unknown", exercised=False, reason=why)
        facts = [event for event in history.events if event.kind == "response.fact"]
        alerts = sorted(
            (e for e in facts if e.data.get("fact") == "attack-alert" and _about_records(e)), key=_at
        )
        read = max((event.t for event in facts if event.data.get("fact") == "attack-counts"), default=0)
        found = [_judge(one, changes, alerts, read) for one in changes]
        gravest = ("fail", "unknown", "pass")
        return min(found, key=lambda verdict: gravest.index(verdict.outcome))


def _judge(
    change: FaultMeasure, changes: Sequence[FaultMeasure], alerts: Sequence[Event], read: int
) -> Verdict:
    """`alerts` in the order of their instants; `read`: when the feed was last read, ns."""

    def verdict(outcome: str, reason: str, *events: int) -> Verdict:
        words = {"name": "tampering-noticed", "outcome": outcome, "reason": f"{change.step}: {reason}"}
        return Verdict.model_validate({**words, "objective": str(_LIMIT), "events": events})

    if change.hi is None:
        return verdict("unknown", "that rows were changed was not witnessed")
    if early := [event for event in alerts if _at(event) < change.lo]:
        why = f"there was an alert before anything was changed: {early[0].data['what']}"
        return verdict("unknown", why, early[0].n)
    if not alerts:
        if read < change.hi + _LIMIT.ns:
            return verdict("unknown", f"no feed of the system's own was read for {_LIMIT} after it")
        return verdict("fail", f"no alert, though the feed was read for {_LIMIT} and longer")
    first = alerts[0]
    earliest, latest = told_between(first)
    if earliest < change.lo:
        why = f"whether the alert was there before anything was changed is not known: {first.data['what']}"
        return verdict("unknown", why, first.n)
    lo, hi = max(0, earliest - change.hi) / 1e9, (latest - change.lo) / 1e9
    if lo <= _LIMIT.s and (others := [one.step for one in changes if one is not change and one.lo <= latest]):
        why = f"{first.data['service']} raised an alert, with no word of which change it is about: {{}} came before it"
        return verdict("unknown", why.format(" and ".join(others)), first.n)
    outcome = "pass" if hi <= _LIMIT.s else "fail" if lo > _LIMIT.s else "unknown"
    said = f"{first.data['service']} raised an alert {lo:.2f} – {hi:.2f} s after it: {first.data['what']}"
    return verdict(outcome, said, first.n)


def _about_records(event: Event) -> bool:
    """Whether it can be: who warns of somebody outside, or of log-ins as a customer, has not looked at any record."""
    data = event.data
    outside = str(data.get("source") or "").startswith(ADDRESSES) or data.get("customer") is not None
    return data.get("says") == "alert" and not outside


def _at(event: Event) -> int:
    return told_between(event)[1]
