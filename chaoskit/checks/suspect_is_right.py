"""suspect-is-right: the diagnosis names what was broken."""

from __future__ import annotations

from dataclasses import dataclass

from chaoskit.model.history import History
from chaoskit.model.measurement import Measurements
from chaoskit.model.verdict import Verdict
from chaoskit.registry import register


@register("checks", "suspect-is-right")
@dataclass(frozen=True)
class SuspectIsRight:
    """Was the suspect that was named what had been broken?

    The last suspect of the run (`respond: identify`, or any response that records one) is compared with the targets of
    the faults that had begun by then and were not undone. Naming the service that suffers in place of the one that is
    broken is wrong.

    fail: the suspect is none of them; the evidence is listed. unknown: its fault had been undone before, and whether it
    was well again is not known. Not exercised: nobody named a suspect.
    """

    def judge(self, history: History, measurements: Measurements) -> Verdict:
        """One verdict over the last suspect that was named."""
        name, named = "suspect-is-right", measurements.suspects
        if not named:
            why = "not exercised: nobody named a suspect"
            return Verdict(name=name, outcome="unknown", exercised=False, reason=why)
        last = named[-1]
        if not last.right and last.suspect in last.undone:
            why = f"{last.suspect} was named when its fault had been undone: whether it was well again is not known"
            return Verdict(name=name, outcome="unknown", reason=why, events=(last.event,))
        broken = " and ".join(last.broken) or "nothing"
        reason = f"{last.suspect} was named, and {broken} had been broken"
        return Verdict(
            name=name,
            outcome="pass" if last.right else "fail",
            reason=reason,
            events=(last.event,),
            details=() if last.right else last.evidence,
        )
