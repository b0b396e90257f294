"""Modelled human time on the way to a recovery: decisions that were taken, but not lived for as long as they take."""

from __future__ import annotations

from collections.abc import Sequence

from chaoskit.metrics.arrivals import Arrival
from chaoskit.metrics.clock_start import FINEST_NS
from chaoskit.metrics.timeline import DecisionSpan, ResponseSpan, Timeline


def modelled_ns(
    decisions: Sequence[DecisionSpan],
    responses: Sequence[ResponseSpan],
    since: int,
    until: int | None,
) -> int:
    """Modelled and not lived time of the decisions between `since` and the recovery (None: there was none), ns.

    A decision that began only after the response to another one was done waited for it, and so did one whose step
    follows the other's, even if only its begin: the two add up.
    Decisions that were under way at the same time run side by side: the longest chain counts.
    """
    on_path = [d for d in decisions if d.end >= since and (until is None or d.end <= until)]
    done = {response.step: response.done for response in responses}
    longest: dict[int, int] = {}
    for index, decision in sorted(enumerate(on_path), key=lambda pair: pair[1].begin):
        before = [
            longest[other]
            for other in longest
            if on_path[other].step in decision.follows
            or ((finished := done.get(on_path[other].step)) is not None and finished <= decision.begin)
        ]
        longest[index] = decision.modelled + max(before, default=0)
    return max(longest.values(), default=0)


def modelled_across(timeline: Timeline, since: int, arrivals: Sequence[Arrival]) -> int:
    """Modelled time of the decisions that a journey without one bad probe was nevertheless waiting for, ns.

    An operation that was under way when the decision fell, and had then been under way for longer than any before the
    first fault, was held up by what the decision put right: had the decision been lived, it would have been bad.
    """
    usual = max((a.decided - a.intended for a in arrivals if a.good and a.decided < since), default=0)
    usual = max(usual, FINEST_NS)
    waited_for = [
        decision
        for decision in timeline.decisions
        if decision.modelled
        and any(a.intended <= decision.end < a.decided and a.decided - a.intended > usual for a in arrivals)
    ]
    return modelled_ns(waited_for, timeline.responses, since, None)
