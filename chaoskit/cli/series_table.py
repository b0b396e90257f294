"""A series of runs as a table, and the exit code it ends with."""

from __future__ import annotations

from pathlib import Path

from tabulate import tabulate

from chaoskit import series
from chaoskit.cli.judging import as_typed
from chaoskit.judge.series import exit_code, in_words
from chaoskit.model.plain_text import one_line


def show_series(path: Path) -> int:
    """Print what a series came to; 0 only if every run that was fixed in advance was made and came out as it should."""
    found = series.read(path)
    rows = [[str(run.number), run.outcome, run.folder or "–", one_line(run.reason, 80)] for run in found.runs]
    print("\n" + tabulate(rows, headers=("run", "outcome", "folder", "why"), disable_numparse=True))
    print(one_line(f"{found.drill}: {in_words(found)} · {as_typed(path)}"), flush=True)
    return exit_code(found)
