"""The abort guard: stops a drill that does more harm than it was meant to."""

from __future__ import annotations

import re

from chaoskit.conductor.observation import is_first, is_good
from chaoskit.model.drill import Abort
from chaoskit.model.history import MISSED_LATE, Operation


class Guard:
    """`success < 1%` for a time: the share of good arrivals over that time, all journeys together."""

    def __init__(self, abort: Abort, limits_ns: dict[str, int]) -> None:
        found = re.fullmatch(r"success < (\d+(?:\.\d+)?)\s?%", abort.if_)
        if found is None:
            raise ValueError(f"{abort.if_!r} is no condition; write it like success < 1%")
        self.abort = abort
        self.ratio = float(found[1]) / 100
        self._limits_ns = limits_ns

    @property
    def span_ns(self) -> int:
        """Length of the window that is looked at."""
        return self.abort.for_.ns

    def reason(self, operations: list[Operation]) -> str | None:
        """Why to abort, given the finished arrivals of the window; None to go on. Nothing finished is nothing good, and
        what a measurer slept through says nothing.
        """
        first = [operation for operation in operations if is_first(operation)]
        arrivals = [operation for operation in first if operation.error != MISSED_LATE]
        if first and not arrivals:
            return None
        good = sum(is_good(operation, self._limits_ns.get(operation.journey, 0)) for operation in arrivals)
        share = good / len(arrivals) if arrivals else 0.0
        if share >= self.ratio:
            return None
        return f"{self.abort.if_} for {self.abort.for_}: {good} of {len(arrivals)} operations were good"
