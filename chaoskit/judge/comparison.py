"""Judges a set of runs against an earlier one: comparable at all, and if so, what has become worse."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from chaoskit.evidence.stored_run import StoredRun
from chaoskit.metrics.metric_shift import ALPHA, MetricShift, smallest_p
from chaoskit.model.measurement import Interval, Measurements

UNANSWERED = "runs without an answer"
LACKING_SHARE = 5
"""Of so many runs one may lack a metric; with more of them missing, that nothing is flagged says nothing."""
METHOD = (
    "ranks per metric, the labels of whole runs shuffled, the largest difference over all metrics as the yardstick "
    f"(Westfall and Young, maxT); when nothing has changed, any flag at all is raised in at most {ALPHA:.1%} of "
    "comparisons"
)
COMPARABLE: Mapping[str, Callable[[StoredRun], object]] = {
    "machine class": lambda run: run.machine_class,
    "runtime": lambda run: run.plan.runtime,
    "fidelity": lambda run: run.fidelity,
    "plan": lambda run: run.plan_digest,
    "pace": lambda run: run.plan.pace,
    "control": lambda run: run.control,
}
"""What must be the same in every run of both sides."""


@dataclass(frozen=True)
class Comparison:
    """`worse` if a metric was flagged in that direction; `not comparable` if nothing can be said: see `reasons`."""

    outcome: Literal["worse", "no worse", "not comparable"]
    baseline: tuple[str, ...]
    new: tuple[str, ...]
    shifts: tuple[MetricShift, ...] = ()
    reasons: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def compare(
    baseline: Sequence[StoredRun], new: Sequence[StoredRun], altered: Sequence[str] = ()
) -> Comparison:
    """Compare `new` with `baseline`; every run counts, the ones without an answer too.

    `altered`: what is known of runs that are not the ones that were judged; with any, nothing is comparable.
    """
    names = tuple(run.result.run for run in baseline), tuple(run.result.run for run in new)
    if reasons := [*altered, *_incomparable(baseline, new)]:
        return Comparison("not comparable", *names, reasons=tuple(reasons))
    from chaoskit.metrics.comparison import shifts  # arrays, which runs side by side need not wait for

    values = [values_of(run) for run in baseline], [values_of(run) for run in new]
    found = shifts(*values)
    unanswered = [run.result.run for run in (*baseline, *new) if _unanswered(run)]
    notes = [f"without an answer, and counted as such: {', '.join(unanswered)}"] if unanswered else []
    for shift in found:
        if told := _lacking(shift.metric, (baseline, values[0]), (new, values[1])):
            notes.append(told)
        if shift.flagged and shift.baseline == shift.new:
            side = "new runs" if shift.worse else "baseline"
            notes.append(f"{shift.metric}: the medians are equal; it is higher in more of the {side}")
    if any(shift.flagged and shift.worse for shift in found):
        return Comparison("worse", *names, found, notes=tuple(notes))
    # A slower side is as slow as the baseline's broken runs make it look: nobody may call that no worse.
    if reasons := _too_few(found, values[0], "the baseline") + _too_few(found, values[1], "the new runs"):
        return Comparison("not comparable", *names, found, tuple(reasons), tuple(notes))
    return Comparison("no worse", *names, found, notes=tuple(notes))


def _lacking(metric: str, *sides: tuple[Sequence[StoredRun], Sequence[Mapping[str, float]]]) -> str:
    """Which runs could not measure it; '' if all did."""
    runs = [
        run.result.run
        for side, values in sides
        for run, own in zip(side, values, strict=True)
        if metric not in own
    ]
    return f"{metric}: not measured, and counted as the worst, in {', '.join(runs)}" if runs else ""


def _too_few(found: Sequence[MetricShift], side: Sequence[Mapping[str, float]], what: str) -> list[str]:
    """Metrics that too few runs of a side have for their ranks to say anything of the rest; answers as well."""
    most = len(side) // LACKING_SHARE
    unanswered = sum(bool(run[UNANSWERED]) for run in side)
    return [f"{UNANSWERED}: {unanswered} of {len(side)} of {what}"] * (unanswered > most) + [
        f"{shift.metric}: {lacking} of {len(side)} of {what} could not measure it"
        for shift in found
        if (lacking := sum(shift.metric not in run for run in side)) > most
    ]


def values_of(run: StoredRun) -> dict[str, float]:
    """The metrics of one run, larger is worse: seconds, counts and shares; inf where recovery was never seen.

    An interval counts by its middle. What this run could not measure is missing.
    """
    measured = run.measurements
    values: dict[str, float] = {UNANSWERED: float(_unanswered(run))}
    for name, journey in measured.journeys.items():
        if journey.rta is not None and not journey.invalid:
            values[f"{name}.rta, s"] = middle_s(journey.rta)
            if journey.destroyed_by and journey.reconciled is not None:  # what its RTO is judged by as well
                values[f"{name}.reconciled, s"] = middle_s(journey.reconciled)
        if journey.scheduled:
            values[f"{name}.not good, share"] = 1 - journey.good_ratio
    if measured.clocks.detected is not None:
        values["detection, s"] = middle_s(measured.clocks.detected)
    for name, loss in measured.losses.items():
        if loss.survivor is not None and not loss.problems:
            values[f"{name}.lost"] = float(len(loss.missing()))
    for one in run.result.verdicts:
        if _numberless(one.name, measured) and one.outcome in ("pass", "fail"):
            values[f"{one.name}, failed"] = float(one.outcome == "fail")
    return values


def _numberless(name: str, measured: Measurements) -> bool:
    """Whether a verdict is of something that no other metric shows, and is given by every run of a plan."""
    journey, _, objective = name.rpartition(".")
    if journey in measured.journeys:
        return objective not in ("rto", "success", "lost")
    # Verdicts that only some runs have: of a person's answer, and of what kept a run from having one.
    return journey != "decision" and name not in ("timeline", "steady-state")


def middle_s(interval: Interval) -> float:
    """The middle of an interval in seconds; inf if it is censored."""
    return math.inf if interval.hi is None else (interval.lo + interval.hi) / 2e9


def _unanswered(run: StoredRun) -> bool:
    return run.result.outcome in ("unknown", "aborted")


def _incomparable(baseline: Sequence[StoredRun], new: Sequence[StoredRun]) -> list[str]:
    reasons = []
    if silent := [run.result.run for run in (*baseline, *new) if run.machine_class is None]:
        reasons.append(f"machine class unknown: {', '.join(silent)}; its first event does not say")
    for what, value in COMPARABLE.items():
        # What nobody knows is like nothing: told above, and no second time as another class.
        told = {str(known): run.result.run for run in (*baseline, *new) if (known := value(run)) is not None}
        if len(told) > 1:
            one, other = list(told.values())[:2]
            reasons.append(f"another {what}: {one} and {other}{_detail(what, told)}")
    seeds = [sorted({run.plan.seed for run in side}) for side in (baseline, new)]
    if seeds[0] != seeds[1]:
        reasons.append(f"another seed set: {_numbers(seeds[0])} and {_numbers(seeds[1])}")
    both = {run.result.run for run in baseline} & {run.result.run for run in new}
    if both:
        reasons.append(f"on both sides: {', '.join(sorted(both))}")
    for side in (baseline, new):
        times = Counter((run.result.run, run.began) for run in side)
        if twice := sorted({name for (name, _), count in times.items() if count > 1}):
            reasons.append(f"the same run more than once on one side: {', '.join(twice)}")
    if not reasons and smallest_p(len(baseline), len(new)) > ALPHA:
        reasons.append(
            f"{len(baseline)} and {len(new)} runs are too few for any difference to be told from chance; "
            f"five on each side are the least (chance of a false alarm at most {ALPHA:.1%})"
        )
    return reasons


def _detail(what: str, told: Mapping[str, str]) -> str:
    if what in ("machine class", "runtime", "pace"):
        return f" ({' and '.join(list(told)[:2])})"
    return "; result.json of each says which" if what == "fidelity" else "; plan.json of each says what"


def _numbers(seeds: Sequence[int]) -> str:
    shown = ", ".join(map(str, seeds[:8]))
    return f"{{{shown}{', …' if len(seeds) > 8 else ''}}}"
