"""Judges a drill's controls: each must be red in its own way, or the drill's green proves nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from chaoskit.model.verdict import Result


@dataclass(frozen=True)
class ControlVerdict:
    """One run of a proof: whether it came out as it must, and what it came out as."""

    name: str
    proven: bool
    outcome: str
    reason: str


def judge_as_written(result: Result) -> ControlVerdict:
    """The drill itself must come out as its file says."""
    return ControlVerdict("as written", result.as_expected, result.outcome, result.reason)


def judge_disarmed(name: str, result: Result) -> ControlVerdict:
    """Without its fault a run must be unknown, whatever else it shows."""
    return ControlVerdict(name, result.outcome == "unknown", result.outcome, result.reason)


def judge_left_out(name: str, result: Result, as_written: Result) -> ControlVerdict:
    """Without its recovery a run must miss something that the drill as written meets, and nothing that it misses.

    `as_written` is the proven run judged against the control's objectives.
    """
    met = {one.name for one in as_written.verdicts if one.outcome == "pass"}
    missed = [one.name for one in result.verdicts if one.outcome == "fail"]
    if result.outcome != "fail":
        return ControlVerdict(name, False, result.outcome, result.reason)
    anew = [one for one in missed if one in met]
    others = [one for one in missed if one not in met]
    if others:
        reason = f"misses {_listed(others)}, which the drill as written does not meet either"
        return ControlVerdict(name, bool(anew), result.outcome, f"{reason}; and anew: {_listed(anew)}")
    return ControlVerdict(name, True, result.outcome, f"misses {_listed(missed)}: {result.reason}")


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "nothing"
