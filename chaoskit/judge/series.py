"""Judges a series: how many runs of the number fixed in advance came out as they should, and what that bounds."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping

from chaoskit.judge.judge import EXIT_CODES, GRAVEST_FIRST
from chaoskit.metrics.metric_shift import miss_bound
from chaoskit.model.series import SeriesFile, SeriesResult, SeriesRun
from chaoskit.model.verdict import Result


def judge_series(asked: SeriesFile, results: Mapping[int, tuple[str, Result]]) -> SeriesResult:
    """The series by its file. `results`: number → (folder, result) of the runs that were judged.

    Never best of n: a run that is unknown, was aborted or is missing stays in n, as one that did not meet it.
    """
    runs = []
    for number in range(1, asked.runs + 1):
        if number not in results:
            runs.append(SeriesRun(number=number, outcome="missing", as_expected=False))
            continue
        folder, result = results[number]
        runs.append(
            SeriesRun(
                number=number,
                outcome=result.outcome,
                as_expected=result.as_expected,
                folder=folder,
                reason=result.reason,
            )
        )
    met = sum(run.as_expected for run in runs)
    return SeriesResult(
        series=asked.series,
        drill=asked.drill,
        runs=tuple(runs),
        confidence=asked.confidence,
        met=met,
        miss_at_most=miss_bound(asked.runs - met, asked.runs, asked.confidence.ratio),
    )


def in_words(found: SeriesResult) -> str:
    """`5/5 met; at 95% confidence P(miss) ≤ 46 %`, and what became of the others."""
    # Rounded up: a bound that is printed smaller than it is would be none.
    bound = math.ceil(found.miss_at_most * 100 - 1e-9)
    line = f"{found.met}/{len(found.runs)} met; at {found.confidence} confidence P(miss) ≤ {bound} %"
    others = Counter(run.outcome for run in found.runs if not run.as_expected)
    told = [f"{count} {outcome}" for outcome, count in others.items()]
    if found.missing:
        told.append(f"missing: run {', '.join(map(str, found.missing))} of {len(found.runs)}")
    return f"{line} ({'; '.join(told)})" if told else line


def exit_code(found: SeriesResult) -> int:
    """The gravest of its runs; 0 only if every run that was fixed in advance was made and came out as it should."""
    return min(map(_code, found.runs), key=GRAVEST_FIRST.index)


def _code(run: SeriesRun) -> int:
    """A run that should have failed and passed is red as well; one that is missing has no answer."""
    if run.as_expected:
        return 0
    return (
        EXIT_CODES["unknown"] if run.outcome == "missing" else EXIT_CODES[run.outcome] or EXIT_CODES["fail"]
    )
