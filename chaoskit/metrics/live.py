"""The live question: has every journey held its window by now? Cheap enough to be asked every 100 ms."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable

from chaoskit.metrics.arrivals import Series, is_arrival, is_good
from chaoskit.metrics.criterion import Hold, LoadRule, search
from chaoskit.model.history import Operation
from chaoskit.model.plan import Plan


class _Marked:
    """Times with marks, kept in order; almost always appended to at the end."""

    def __init__(self) -> None:
        self.times: list[int] = []
        self.marks: list[bool] = []

    def add(self, time: int, mark: bool) -> None:
        if not self.times or time >= self.times[-1]:
            self.times.append(time)
            self.marks.append(mark)
            return
        place = bisect_right(self.times, time)
        self.times.insert(place, time)
        self.marks.insert(place, mark)

    def since(self, start: int) -> Series:
        first = bisect_left(self.times, start)
        return Series(self.times[first:], self.marks[first:])


class LiveRecovery:
    """Follows finished operations and says from when each journey has been good. Not thread-safe.

    `observe` takes what the journals tell (operations without an answer are skipped: they are told again when they have
    one). `recovered_at` costs about the arrivals since the last candidate, not since the start.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._period = {probe.journey: probe.every.ns for probe in plan.probes}
        self._within = {
            name: plan.system.journeys[name].good.within.ns for name in {*plan.load, *self._period}
        }
        self._probes = {journey: _Marked() for journey in self._period}
        self._load = {journey: _Marked() for journey in self._within}
        self._after: int | None = None
        self._open: dict[str, int] = {}

    def observe(self, operations: Iterable[Operation]) -> None:
        """Take in finished or missed operations, each once."""
        for operation in operations:
            unanswered = operation.done is None and operation.error is None and operation.sent is not None
            if unanswered or not is_arrival(operation):
                continue
            if operation.source == "load" and operation.journey in self._load:
                self._load[operation.journey].add(operation.intended, operation.full)
            elif operation.source == "prober" and operation.journey in self._probes:
                good = is_good(operation, self._within[operation.journey])
                self._probes[operation.journey].add(operation.intended, good)

    def recovered_at(self, after_ns: int, now_ns: int) -> dict[str, int | None]:
        """Per probed journey: the arrival at or after `after_ns`, the last fault, since which it has held W."""
        if after_ns != self._after:
            self._after = after_ns
            self._open = {}
        return {journey: self._journey(journey, after_ns, now_ns) for journey in self._period}

    def _journey(self, journey: str, after_ns: int, now_ns: int) -> int | None:
        criterion = self._plan.criteria[journey]
        start = self._open.get(journey, after_ns)
        series = self._probes[journey].since(start)
        end = self._complete_until(journey, series, now_ns)
        hold = Hold(
            criterion.good_ratio,
            criterion.window_ns,
            criterion.hold_ns,
            after_ns,
            self._rule(journey, after_ns),
        )
        result = search(series, 0, end, hold)
        if result.open < len(series.times) and series.times[result.open] < end:
            self._open[journey] = series.times[result.open]
        return None if result.found is None else series.times[result.found]

    def _complete_until(self, journey: str, series: Series, now_ns: int) -> int:
        """Probes are periodic, so the first gap is one that has no answer yet: it ends what can be decided."""
        period = self._period[journey]
        for index in range(len(series.times) - 1):
            if 2 * (series.times[index + 1] - series.times[index]) > 3 * period:
                return series.times[index] + period
        return min(now_ns, series.times[-1] + period) if series.times else now_ns

    def _rule(self, journey: str, after_ns: int) -> LoadRule:
        load = self._load[journey]
        steady = self._plan.drill.steady.for_.ns
        ok, scheduled = load.since(after_ns - steady).counts(after_ns - steady, after_ns)
        ratio = ok / scheduled if scheduled else 1.0
        return LoadRule(
            load.since(self._open.get(journey, after_ns)), self._plan.criteria[journey].load_ratio * ratio
        )


def recovered_at(
    operations: Iterable[Operation], plan: Plan, after_ns: int, now_ns: int
) -> dict[str, int | None]:
    """One answer from all operations so far; `LiveRecovery` gives the same from the new ones alone."""
    live = LiveRecovery(plan)
    live.observe(operations)
    return live.recovered_at(after_ns, now_ns)
