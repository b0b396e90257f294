"""Judges a drill's controls: each must be red in its own way, or the drill's green proves nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from chaoskit.judge.guard import how_it_ended, why_it_ended
from chaoskit.judge.wording import span
from chaoskit.model.history import History
from chaoskit.model.measurement import FaultMeasure, JourneyMeasure, Measurements
from chaoskit.model.verdict import Result

NO_ANSWER = ("unknown", "aborted")


@dataclass(frozen=True)
class ControlVerdict:
    """One run of a proof: whether it came out as it must, and what it came out as.

    `answered` False: it did not, and nothing follows from that: the run has no answer.
    """

    name: str
    proven: bool
    outcome: str
    reason: str
    answered: bool = True


def judge_as_written(
    result: Result,
    measured: Measurements | None = None,
    left_out: bool = True,
    answering: frozenset[str] = frozenset(),
) -> ControlVerdict:
    """The drill itself must come out as its file says.

    Where no recovery can be left out (`left_out` False) no control can show that customers depend on what was broken;
    then they must have felt it in this run, or a drill of what nobody uses would be proven. Or the system must have
    answered the fault itself: by a check of `answering`, which passes only where it has.
    """
    answered = any(one.name in answering and one.outcome == "pass" for one in result.verdicts)
    shown = left_out or answered or measured is None or felt(result, measured)
    if result.as_expected and measured is not None and not shown:
        hit = _listed(dict.fromkeys(f"{fault.name} on {fault.target}" for fault in measured.faults))
        why = (
            f"no customer felt {hit}, and there is no recovery to leave out: nothing shows that any journey depends "
            "on what was broken"
        )
        return ControlVerdict("as written", False, result.outcome, why)
    answered = result.as_expected or result.outcome not in NO_ANSWER
    return ControlVerdict("as written", result.as_expected, result.outcome, result.reason, answered)


def felt(result: Result, measured: Measurements) -> bool:
    """Whether the faults did anything to customers: a bad probe, a lost operation, or a check of the books failed."""
    return (
        # A journey that was bad before any fault, or could not be measured, has no clock that began.
        any(not journey.never_bad and journey.started_by for journey in measured.journeys.values())
        or any(loss.missing() for loss in measured.losses.values())
        or any(one.outcome == "fail" and "." not in one.name for one in result.verdicts)
    )


def unfelt_faults(measured: Measurements) -> tuple[FaultMeasure, ...]:
    """Faults that started no journey's clock: the run alone does not show that they matter."""
    started = {step for journey in measured.journeys.values() for step in journey.started_by}
    return tuple(fault for fault in measured.faults if fault.step not in started)


def why_no_control(step: str, history: History, measured: Measurements) -> str | None:
    """Why a run without this fault shows nothing: it is unknown, but would be so with the fault. None: it does."""
    ended = how_it_ended(history)
    if measured.problems:
        return f"its record is damaged: {measured.problems[0]}"
    if ended is None:
        return "it did not end by itself"
    if ended == "broken":
        return f"the environment broke: {why_it_ended(history)}"
    if not any(one.kind == "step.disarmed" and one.data.get("step") == step for one in history.events):
        return f"it never came to where the fault would have been: {why_it_ended(history)}"
    return None


def judge_disarmed(
    name: str,
    result: Result,
    disarmed: Measurements | None = None,
    written: Measurements | None = None,
    no_control: str | None = None,
) -> ControlVerdict:
    """Without its fault a run must be unknown, whatever else it shows, and for that reason: see `why_no_control`.

    With both measurements, for a run that had no fault left: customers must have been better off in it than as written.
    One bad probe without the fault may be chance, and refutes nothing.
    """
    if no_control is not None and result.outcome == "unknown":
        return ControlVerdict(name, False, result.outcome, no_control, answered=False)
    if result.outcome != "unknown" or disarmed is None or written is None:
        proven, answered = result.outcome == "unknown", result.outcome != "aborted"
        return ControlVerdict(name, proven, result.outcome, result.reason, answered)
    hurt = {name: journey for name, journey in written.journeys.items() if not journey.never_bad}
    pairs = {name: (bad_ns(journey), bad_ns(disarmed.journeys[name])) for name, journey in hurt.items()}
    if pairs and all(2 * without > with_it for with_it, without in pairs.values()):
        if all(without <= disarmed.journeys[name].probe_period for name, (_, without) in pairs.items()):
            why = f"one bad probe without the fault may be chance, and with it there was hardly more ({_listed(pairs)})"
            return ControlVerdict(name, False, result.outcome, why, answered=False)
        told = _listed(f"{name}: {span(without)}" for name, (_, without) in pairs.items())
        why = f"customers were badly off without the fault as well ({told}): what they felt was not its doing"
        return ControlVerdict(name, False, result.outcome, why)
    return ControlVerdict(name, True, result.outcome, result.reason)


def bad_ns(journey: JourneyMeasure) -> int:
    """How long the journey was certainly bad, over all its outages, and at least a period for each of them."""
    return sum(max(outage.duration.lo, journey.probe_period) for outage in journey.outages)


def judge_left_out(name: str, result: Result, as_written: Result) -> ControlVerdict:
    """Without its recovery a run must miss something that the drill as written meets, and nothing that it misses.

    `as_written` is the proven run judged against the control's objectives.
    """
    met = {one.name for one in as_written.verdicts if one.outcome == "pass"}
    missed = [one.name for one in result.verdicts if one.outcome == "fail"]
    if result.outcome != "fail":
        # What was left out never began, which makes a run unknown by itself.
        asked = [one.outcome for one in result.verdicts if one.name != "timeline"]
        met_anyway = bool(asked) and set(asked) == {"pass"}
        why = "nothing is missed without it" if met_anyway else result.reason
        return ControlVerdict(name, False, result.outcome, why, met_anyway or result.outcome not in NO_ANSWER)
    anew = [one for one in missed if one in met]
    others = [one for one in missed if one not in met]
    if others:
        reason = f"misses {_listed(others)}, which the drill as written does not meet either"
        return ControlVerdict(name, bool(anew), result.outcome, f"{reason}; and anew: {_listed(anew)}")
    return ControlVerdict(name, True, result.outcome, f"misses {_listed(missed)}: {result.reason}")


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "nothing"
