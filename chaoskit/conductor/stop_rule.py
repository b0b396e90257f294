"""A stop rule: what customers get has been too bad for too long, seen as the bank's own monitoring would see it.

share of good   100% ─────┐                  ┌ over ┐
                          └──────────────────┴──────┴──►   below `below` all the time
                          │◄──────── for ───────────►│ alert
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from chaoskit.conductor.observation import SLACK_NS, is_first, is_good, limits_ns
from chaoskit.conductor.stage import Stage
from chaoskit.model.history import Operation
from chaoskit.model.release import StopRule


class RuleWatch:
    """Looks at one rule; `since_ns` is when the share fell below it last, None while it is not."""

    def __init__(self, rule: StopRule, limits: Mapping[str, int]) -> None:
        self.rule = rule
        self.since_ns: int | None = None
        self.good = self.ended = 0
        self._ratio = rule.below.ratio
        self._limits = limits

    def look(self, finished: Sequence[Operation], now_ns: int) -> bool:
        """Whether the rule says stop. Nothing that ended is nothing good: the load never pauses."""
        found = [is_good(one, self._limits[one.journey]) for one in self._ended(finished, now_ns)]
        self.good, self.ended = sum(found), len(found)
        if found and self.good / self.ended >= self._ratio:
            self.since_ns = None
            return False
        if self.since_ns is None:
            self.since_ns = now_ns
        return now_ns - self.since_ns >= self.rule.for_.ns

    def _ended(self, finished: Sequence[Operation], now_ns: int) -> Iterator[Operation]:
        start = now_ns - self.rule.over.ns
        slowest = max(self._limits.values(), default=0)
        for one in reversed(finished):  # in the order of their records, which is about that of their ends
            at = one.done if one.done is not None else one.intended
            if at < start - SLACK_NS - slowest:
                return
            if start <= at <= now_ns and one.journey in self.rule.journeys and is_first(one):
                yield one


async def watch_rule(stage: Stage, step: str, name: str) -> None:
    """Return once the rule says stop, with the alert on record; a stop before any fault ends the run as broken, and so
    does one that had begun so long before it that nothing of the fault was in its window.
    """
    watch = RuleWatch(stage.plan.system.stop_rules[name], limits_ns(stage.plan))
    rule = watch.rule
    await stage.sleep_until(stage.zero_ns + rule.over.ns)
    while not watch.look(stage.observation.finished, stage.clock()):
        await stage.observation.next_look()
    assert watch.since_ns is not None
    # A window may be below by chance, when nobody comes for a moment, and be so when the fault begins.
    early = not 0 < stage.first_fault_ns <= watch.since_ns + rule.over.ns
    stage.recorder.record(
        "detect.alert",
        step=step,
        service=", ".join(rule.journeys),
        first_miss=watch.since_ns,
        misses=watch.ended - watch.good,
        period_ns=rule.over.ns,
        false_alarm=early,
        rule=name,
        said=f"less than {rule.below} of {' and '.join(rule.journeys)} good for {rule.for_}: "
        f"at last {watch.good} of {watch.ended}",
    )
    if early:
        stage.ending.set("broken", f"{step}: the stop rule {name} was broken before any fault")
