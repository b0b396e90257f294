"""stand-in-within-limit: what was accepted to be done later stayed within what each customer may be promised."""

from __future__ import annotations

from dataclasses import dataclass

from chaoskit.model.history import History
from chaoskit.model.measurement import Measurements, StandInMeasure
from chaoskit.model.verdict import Verdict
from chaoskit.registry import register


@register("checks", "stand-in-within-limit")
@dataclass(frozen=True)
class StandInWithinLimit:
    """Did the stand-in keep to the limit of each customer?

    Whoever accepts operations against the last known balance lends on trust, and the limit (`accepted: {limit: …}` of
    the journey) is what bounds the damage. It is counted from the answers that customers had, not from the system's
    own books. What was accepted within it, and was no longer covered in the end, is counted as double-spent, with its
    amount: that is the price of standing in, and no failure. What was promised and is simply not booked fails
    `nothing-lost`.

    fail: a customer was promised more than his limit; every such key is listed. unknown: there is no surviving ledger
    to tell what was double-spent. Not exercised: nothing was accepted, or its journey has no limit.
    """

    def judge(self, history: History, measurements: Measurements) -> Verdict:
        """One verdict over all journeys that have a limit."""
        name = "stand-in-within-limit"
        limited = [one for one in measurements.stand_ins.values() if one.limit is not None]
        events = tuple(n for one in limited for n in one.events)
        if over := [(one, case) for one in limited for case in one.over_limit]:
            sums = sum(case.over for _, case in over)
            reason = f"{len(over)} acceptances took their customer over his limit, by {decimal(sums)} in all"
            details = tuple(
                f"over the limit: {case.key} {one.journey} of {case.customer}, who was then promised "
                f"{decimal(case.promised)} of {decimal(one.limit or 0)}"
                for one, case in over
            )
            return Verdict(name=name, outcome="fail", reason=reason, events=events, details=details)
        problems = tuple(p for loss in measurements.losses.values() for p in loss.problems)
        if problems:
            return Verdict(name=name, outcome="unknown", reason=problems[0], events=events, details=problems)
        if not limited:
            why = "not exercised: nothing was accepted under a limit, to be done later"
            return Verdict(name=name, outcome="unknown", exercised=False, reason=why)
        reason = "; ".join(map(in_words, limited))
        details = tuple(
            f"double-spent: {p.key} {p.journey} {decimal(p.amount or 0)} {p.currency or ''}".rstrip()
            for one in limited
            for p in one.double_spent
        )
        return Verdict(name=name, outcome="pass", reason=reason, events=events, details=details)


def in_words(one: StandInMeasure) -> str:
    """`48 accepted, 46 booked, none over the limit, 2 double-spent (31.00)`."""
    spent = sum(p.amount or 0 for p in one.double_spent)
    return (
        f"{one.accepted} of {one.journey} accepted, {one.booked} booked, none over the limit of "
        f"{decimal(one.limit or 0)}, {len(one.double_spent)} double-spent ({decimal(spent)})"
    )


def decimal(minor: int) -> str:
    """Minor units with two decimals: 1234 → 12.34."""
    return f"{minor // 100}.{minor % 100:02d}"
