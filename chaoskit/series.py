"""Runs the series that a drill's `repeat:` asks for, and reads back those that were run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from chaoskit import pipeline, run_folder
from chaoskit.errors import InputError
from chaoskit.evidence import manifest
from chaoskit.model.plan import Plan
from chaoskit.model.series import SUFFIX, Place, SeriesFile, SeriesResult
from chaoskit.model.verdict import Result
from chaoskit.quantity import Percent
from chaoskit.regular_file import read_regular
from chaoskit.spec import Loaded

if TYPE_CHECKING:  # a run needs its judge when it has ended, and not while somebody waits for its begin
    from chaoskit.judging import Run

_INTERRUPTED = 130


def runs_of(loaded: Loaded) -> int:
    """How many runs the drill asks for."""
    return loaded.drill.repeat.runs if loaded.drill.repeat is not None else 1


def begin(loaded: Loaded, reports: Path) -> tuple[SeriesFile, Path]:
    """Fix the number of runs on disk before the first of them: run k has the drill's seed + k − 1."""
    drill = loaded.drill
    runs = runs_of(loaded)
    reports.mkdir(parents=True, exist_ok=True)
    # Runs whose series' file is gone would be counted in a new one of that name.
    taken = {place.series for folder in reports.iterdir() if (place := _place(folder)) is not None}
    for number in range(1, 10_000):
        name = drill.drill if number == 1 else f"{drill.drill}-{number}"
        if name in taken:
            continue
        path = reports / f"{name}{SUFFIX}"
        asked = SeriesFile(
            series=name,
            drill=drill.drill,
            runs=runs,
            confidence=drill.repeat.confidence if drill.repeat else Percent.parse("95%"),
            seeds=tuple(drill.seed + k for k in range(runs)),
        )
        try:
            path.touch(exist_ok=False)
        except FileExistsError:
            continue
        run_folder.write_json(path, asked)
        return asked, path
    raise InputError(f"{reports}: too many series of {drill.drill}; move old ones away")


def run_all(
    loaded: Loaded,
    asked: SeriesFile,
    *,
    runtime_name: str,
    reports: Path,
    pace: pipeline.Pace,
    watch: pipeline.Watch | None = None,
    terminal: bool = False,
) -> Iterator[Run]:
    """Every run of the series in turn, whatever the ones before came out as; only a person's stop ends it early."""
    for number, seed in enumerate(asked.seeds, start=1):
        plan = pipeline.make_plan(pipeline.with_seed(loaded, seed), runtime_name, pace, terminal)
        place = Place(series=asked.series, number=number, runs=asked.runs)
        run = pipeline.run_plan(plan.model_copy(update={"series": place}), reports=reports, watch=watch)
        yield run
        if run.result.exit_code == _INTERRUPTED:
            return


def read(path: Path) -> SeriesResult:
    """Judge a series by its file and the run folders beside it. InputError when the file is no series."""
    from chaoskit.judge.series import judge_series

    try:
        asked = SeriesFile.model_validate_json(read_regular(path))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise InputError(
            f"{path}: is no series: {'.'.join(map(str, first['loc']))}: {first['msg']}"
        ) from error
    results: dict[int, tuple[str, Result]] = {}
    for folder in sorted(path.parent.iterdir()):
        plan, result = _run(folder)
        place = plan.series if plan is not None else None
        if plan is not None and place is not None and result is not None and _is_of(plan, place, asked):
            # A run that was made twice under one number cannot be told from the best of two: the worse one counts.
            # Nor does a run count whose files are no longer the ones that were judged.
            if manifest.check(folder).standing == "altered":
                reason = f"altered since it was judged: {result.reason}"
                result = result.model_copy(
                    update={"outcome": "unknown", "as_expected": False, "exit_code": 3, "reason": reason}
                )
            known = results.get(place.number)
            if known is None or (known[1].as_expected and not result.as_expected):
                results[place.number] = (folder.name, result)
    return judge_series(asked, results)


def _is_of(plan: Plan, place: Place, asked: SeriesFile) -> bool:
    """Whether it is the run that was fixed under that number, and not one of another series by the same name.

    A series that was fixed for another confidence is another one: a lower one would make any bound look small.
    """
    repeat = plan.drill.repeat
    return (
        (place.series, place.runs, plan.drill.drill) == (asked.series, asked.runs, asked.drill)
        and (repeat is not None and repeat.confidence == asked.confidence)
        and (place.number <= asked.runs and plan.seed == asked.seeds[place.number - 1])
    )


def _run(folder: Path) -> tuple[Plan | None, Result | None]:
    try:
        plan = Plan.model_validate_json(read_regular(folder / "plan.json"))
        if plan.series is None:
            return None, None
        return plan, Result.model_validate_json(read_regular(folder / "result.json"))
    except (OSError, ValidationError):
        return None, None


def _place(folder: Path) -> Place | None:
    """Which series a folder says that it is a run of; read without its plan, which may be of an earlier version."""
    try:
        plan = json.loads(read_regular(folder / "plan.json"))
        return Place.model_validate(plan["series"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):  # a ValidationError is a ValueError
        return None
