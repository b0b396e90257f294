"""What an explanation is made from: one run on the desk, its instants in seconds after the timeline's zero."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from chaoskit.model.history import Event, History
from chaoskit.model.measurement import LossMeasure, Measurements
from chaoskit.model.verdict import Result

_EVENT_MAX = 400
_INSTANTS = (
    "lo",
    "hi",
    "at",
    "since",
    "seen",
    "asked",
    "answered",
    "first_miss",
    "delivered",
    "expected",
    "begun",
)
"""Words of events for CLOCK_MONOTONIC ns; a number before the first event is a count, or a time that passed."""


@dataclass(frozen=True)
class Paper:
    """A run: what was recorded, measured and judged."""

    history: History
    measurements: Measurements
    result: Result

    @property
    def zero(self) -> int:
        return next((event.t for event in self.history.events if event.kind == "timeline.zero"), 0)

    def at(self, instant: int) -> str:
        """Seconds after zero, to the microsecond."""
        return f"{(instant - self.zero) / 1e9:.6f} s"

    def event(self, number: int) -> Event | None:
        return next((event for event in self.history.events if event.n == number), None)

    def cited(self, numbers: Iterable[int]) -> list[str]:
        """What these events say, each with its number and instant."""
        lines = []
        for number in numbers:
            if (event := self.event(number)) is not None:
                facts = ", ".join(f"{key} {self._fact(key, value)}" for key, value in event.data.items())
                lines.append(f"event {number} at {self.at(event.t)}: {event.kind} {facts}"[:_EVENT_MAX])
        return lines

    def _fact(self, name: str, value: object) -> object:
        """An instant as one of the paper's, whatever else as it was recorded."""
        begun = self.history.events[0].t
        instant = isinstance(value, int) and name in _INSTANTS and value >= begun
        return self.at(value) if instant and isinstance(value, int) else value

    def loss(self, journey: str) -> LossMeasure | None:
        """The loss of the books that the journey is kept in; None if it is kept in none."""
        spec = self.history.plan.system.journeys.get(journey)
        return self.measurements.losses.get(spec.books) if spec is not None and spec.books else None


def doubt(adds_up: bool) -> list[str]:
    """What is said when arithmetic on paper and measurements.json differ."""
    return (
        []
        if adds_up
        else ["  THIS DOES NOT ADD UP with measurements.json: judge the run again, and report it"]
    )


def seconds(ns: int) -> str:
    """Nanoseconds as seconds, to the microsecond, without trailing zeros."""
    return f"{ns / 1e9:.6f}".rstrip("0").rstrip(".") + " s"


def listed(head: str, body: Iterable[str]) -> str:
    """A headline with its lines indented below."""
    return "\n".join([head, *(f"  {line}" if not line.startswith("  ") else line for line in body)])
