"""What a run looks like at this moment: fed with events and operations, drawn by whoever has a screen.

It holds no clock and judges nothing; the verdict is made later, from the recorded history.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from chaoskit.conductor.observation import is_first, is_good, limits_ns
from chaoskit.model.history import Event, Operation
from chaoskit.model.plan import Plan

SPAN_NS = 10**9
"""What "now" means for a journey: arrivals of the last second that are finished."""
KEPT_NS = 5 * 10**9


@dataclass(frozen=True)
class JourneyNow:
    """One journey over the last second: arrivals, share of good ones, median latency of the ok ones in ms."""

    arrivals: int
    success: float | None
    latency_ms: float | None


@dataclass(frozen=True)
class Happening:
    """Something to tell a person: `t` CLOCK_MONOTONIC ns, `kind` the event's, `text` in words."""

    t: int
    kind: str
    text: str


class LiveView:
    """The state behind a live display. `phase` is "" before the first; `ended` is set by the last events."""

    def __init__(self, plan: Plan) -> None:
        self._limits = dict(limits_ns(plan))
        self._recent: dict[str, deque[Operation]] = {journey: deque() for journey in self._limits}
        self._misses: dict[str, int] = {}
        self.begun_ns: int | None = None
        self.zero_ns: int | None = None
        self.first_fault_ns: int | None = None
        self.phase = ""
        self.ended: str | None = None
        self.happenings: list[Happening] = []

    def hear(self, event: Event) -> Happening | None:
        """Take in one event; returns what is worth telling about it, if anything."""
        match event.kind:
            case "run.begin":
                self.begun_ns = event.t
            case "phase" if event.data["state"] == "begin":
                self.phase = event.data["name"]
            case "timeline.zero":
                self.zero_ns = event.t
            case "fault.begin" if self.first_fault_ns is None:
                self.first_fault_ns = event.data["lo"]
            case "run.end":
                self.ended = event.data["ended"]
        text = self._words(event)
        if text is None:
            return None
        happening = Happening(event.t, event.kind, text)
        self.happenings.append(happening)
        return happening

    def see(self, operations: Iterable[Operation]) -> None:
        """Take in finished operations."""
        for operation in operations:
            recent = self._recent.get(operation.journey)
            if recent is None or not is_first(operation):
                continue
            recent.append(operation)
            while operation.intended - recent[0].intended > KEPT_NS:
                recent.popleft()

    def journeys(self, now_ns: int) -> dict[str, JourneyNow]:
        """Every journey as it is now."""
        return {
            journey: _now([one for one in recent if now_ns - SPAN_NS <= one.intended], self._limits[journey])
            for journey, recent in self._recent.items()
        }

    def _words(self, event: Event) -> str | None:
        data = event.data
        if event.kind in ("detect.miss", "detect.ok"):
            before = self._misses.get(data["step"], 0)
            self._misses[data["step"]] = before + 1 if event.kind == "detect.miss" else 0
            return (
                f"{data['service']} does not answer: {data['detail']}"
                if event.kind == "detect.miss" and not before
                else None
            )
        if event.kind in _TEXTS:
            return _TEXTS[event.kind].format_map(_Shown(data))
        return None


class _Shown(dict[str, object]):
    """Event data for a text; what an event does not say is shown as '?'."""

    def __missing__(self, key: str) -> str:
        return "?"

    def __getitem__(self, key: str) -> object:
        value = super().__getitem__(key) if key in self else self.__missing__(key)
        if key.endswith("_ns") and isinstance(value, int):
            return f"{value / 1e9:g} s"
        return ", ".join(map(str, value)) if isinstance(value, list) else value


_TEXTS = {
    "estate.ready": "the system is up after {seconds} s",
    "steady.ok": "steady {at} the faults",
    "steady.failed": "not steady {at} the faults: {reason}",
    "fault.begin": "fault {name} on {target}",
    "fault.witnessed": "{target}: {how}",
    "fault.unwitnessed": "{target}: nobody saw the fault: {how}",
    "fault.failed": "fault on {target} failed: {error}",
    "fault.undone": "fault on {target} undone",
    "detect.alert": "alert: {service} is down, {misses} misses in a row",
    "decision.begin": "{role} decides, which takes {takes_ns}",
    "decision.end": "{role} has decided",
    "response.begin": "response {name} on {on}",
    "response.done": "response {step} is done",
    "response.failed": "response {step} failed: {error}",
    "journey.recovered": "{journey} has been good for as long as agreed",
    "service.exit": "{service} ended unasked: {status}",
    "step.failed": "step {step} failed: {error}",
    "step.skipped": "step {step} is skipped: {reason}",
    "abort": "aborted: {reason}",
    "interrupted": "interrupted: everything is being undone",
    "trouble": "trouble: {what}",
    "run.end": "the run has ended ({ended}): {reason}",
}


def _now(recent: list[Operation], limit_ns: int) -> JourneyNow:
    if not recent:
        return JourneyNow(0, None, None)
    latencies = sorted(
        one.done - one.intended for one in recent if one.outcome == "ok" and one.done is not None
    )
    good = sum(is_good(one, limit_ns) for one in recent)
    middle = latencies[len(latencies) // 2] / 1e6 if latencies else None
    return JourneyNow(len(recent), good / len(recent), middle)
