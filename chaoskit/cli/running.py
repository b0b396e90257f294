"""`run`: a drill and its cells, what a person sees of them, and the exit code it ends with."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from chaoskit import pipeline, registry, series, spec
from chaoskit.cli import asking
from chaoskit.cli.live import watch
from chaoskit.cli.typed import EXIT_INTERRUPTED
from chaoskit.model.plain_text import one_line


def run_drill(
    path: Path, runtime: str, reports: Path, pace: Literal["drill", "real"], seed: int | None
) -> int:
    """Run every cell of a drill; prints a scorecard each."""
    loaded = spec.load(path, registry)
    codes = []
    for cell, drill in spec.cells(loaded):
        # After the cells: each is made anew from the file's text.
        if seed is not None:
            drill = pipeline.with_seed(drill, seed)
        if cell:
            print(one_line(f"== {drill.drill.drill} [{cell}]"), flush=True)
        codes.append(_run_cell(drill, runtime, reports, pace))
        if codes[-1] == EXIT_INTERRUPTED:
            break
    from chaoskit.judge import GRAVEST_FIRST

    return min(codes, key=GRAVEST_FIRST.index)


def _run_cell(drill: spec.Loaded, runtime: str, reports: Path, pace: Literal["drill", "real"]) -> int:
    """One run, or all runs of its `repeat:`; of those the gravest decides, and each is shown."""
    if series.runs_of(drill) == 1:
        run = pipeline.run(
            drill, runtime_name=runtime, reports=reports, pace=pace, watch=watch, terminal=asking.possible()
        )
        from chaoskit.cli.judging import show  # after the run: it was loaded meanwhile

        show(run.result, run.folder, run.head)
        return run.result.exit_code
    terminal = asking.possible()
    pipeline.make_plan(
        drill, runtime, pace, terminal
    )  # what cannot run is refused before a number of runs is fixed
    asked, path = series.begin(drill, reports)
    stopped = False
    from chaoskit.cli.judging import show
    from chaoskit.cli.series_table import show_series

    made = series.run_all(
        drill, asked, runtime_name=runtime, reports=reports, pace=pace, watch=watch, terminal=terminal
    )
    for number, run in enumerate(made, start=1):
        show(run.result, run.folder, run.head)
        print(one_line(f"run {number} of {asked.runs}: {run.result.outcome}"), flush=True)
        stopped = run.result.exit_code == EXIT_INTERRUPTED
    code = show_series(path)
    return EXIT_INTERRUPTED if stopped else code
