"""`run`, `judge` and `report`: what a person sees of a run, and the exit code it ends with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

from chaoskit import pipeline, registry, spec
from chaoskit.cli.live import watch
from chaoskit.errors import InputError
from chaoskit.model.verdict import Result
from chaoskit.reporters.scorecard import Scorecard

# Of several cells the gravest decides: a person's stop, then a certain failure, then no answer.
_GRAVEST_FIRST = (130, 4, 1, 3, 0)


def run_drill(
    path: Path, runtime: str, reports: Path, pace: Literal["drill", "real"], seed: int | None
) -> int:
    """Run every cell of a drill; prints a scorecard each."""
    loaded = spec.load(path, registry)
    if seed is not None:
        loaded = pipeline.with_seed(loaded, seed)
    codes = []
    for cell, drill in spec.cells(loaded):
        if cell:
            print(f"== {drill.drill.drill} [{cell}]", flush=True)
        run = pipeline.run(drill, runtime_name=runtime, reports=reports, pace=pace, watch=watch)
        show(run.result, run.folder)
        codes.append(run.result.exit_code)
        if run.result.exit_code == 130:
            break
    return min(codes, key=_GRAVEST_FIRST.index)


def judge_run(folder: Path, drill: Path | None) -> int:
    """Judge a run folder again; with a drill file, by that file's objectives and checks."""
    other = spec.load(drill, registry).drill if drill else None
    run = pipeline.judge_folder(folder, other)
    show(run.result, folder)
    return run.result.exit_code


def report_run(folder: Path) -> int:
    """Print the scorecard of result.json as it stands."""
    path = folder / "result.json"
    try:
        result = Result.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; `chaoskit judge {folder}` judges the recorded run") from None
    except (OSError, ValueError) as error:
        detail = json.dumps(str(error).splitlines()[0])
        raise InputError(f"{path}: no result.json of this version ({detail})") from error
    show(result, folder)
    return 0


def show(result: Result, folder: Path) -> None:
    """Print the scorecard; the folder as the reader would type it."""
    try:
        shown = str(folder.resolve().relative_to(Path.cwd()))
    except ValueError:
        shown = str(folder)
    print("\n" + Scorecard().render(result, shown + "/"), end="", flush=True)
