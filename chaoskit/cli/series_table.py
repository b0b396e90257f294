"""A series of runs as a table, and the exit code it ends with."""

from __future__ import annotations

from pathlib import Path

from tabulate import tabulate

from chaoskit import series
from chaoskit.cli.judging import as_typed
from chaoskit.judge import EXIT_CODES, GRAVEST_FIRST
from chaoskit.judge.series import in_words
from chaoskit.model.plain_text import one_line
from chaoskit.model.series import SeriesRun


def show_series(path: Path) -> int:
    """Print what a series came to; 0 only if every run that was fixed in advance was made and came out as it should."""
    found = series.read(path)
    rows = [[str(run.number), run.outcome, run.folder or "–", one_line(run.reason, 80)] for run in found.runs]
    print("\n" + tabulate(rows, headers=("run", "outcome", "folder", "why"), disable_numparse=True))
    print(one_line(f"{found.drill}: {in_words(found)} · {as_typed(path)}"), flush=True)
    return min((_code(run) for run in found.runs), key=GRAVEST_FIRST.index)


def _code(run: SeriesRun) -> int:
    """A run that should have failed and passed is red as well; one that is missing has no answer."""
    if run.as_expected:
        return 0
    return (
        EXIT_CODES["unknown"] if run.outcome == "missing" else EXIT_CODES[run.outcome] or EXIT_CODES["fail"]
    )
