"""Runs drills for pytest items and for the `run_drill` fixture, and tells pytest what came out."""

from __future__ import annotations

import asyncio
import contextlib
import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import pytest
from rich.console import Console

from chaoskit import pipeline, registry, series
from chaoskit.cli.live import Screen
from chaoskit.errors import ChaoskitError, InputError
from chaoskit.judge import GRAVEST_FIRST
from chaoskit.judge.series import exit_code, in_words
from chaoskit.judging import Run
from chaoskit.model.plain_text import harmless, one_line
from chaoskit.model.plan import Plan
from chaoskit.spec import Loaded

_INTERRUPTED = 130
_PROPERTY_MAX = 4_096
"""As long as a path may be: what is longer is no value that somebody looks up in a report."""


def run(config: pytest.Config, loaded: Loaded) -> Run:
    """Run a drill by the session's options; its timeline goes to standard output, which pytest shows on failure.

    A drill that cannot begin fails the test or its set-up, with the message alone. An interrupted drill has healed and
    been judged when this raises KeyboardInterrupt, which ends the session as Ctrl-C does.
    """
    reports = config.getoption("--chaos-reports")
    try:
        finished = _run(
            loaded,
            runtime_name=config.getoption("--chaos-runtime"),
            reports=config.invocation_params.dir / reports if reports else config.rootpath / "reports",
            pace=config.getoption("--chaos-pace"),
        )
    except ChaoskitError as error:
        refuse(error)
    if finished.result.exit_code == _INTERRUPTED:
        raise KeyboardInterrupt(f"{finished.result.drill} was interrupted and has healed; {finished.folder}")
    return finished


def _run(loaded: Loaded, *, runtime_name: str, reports: Path, pace: pipeline.Pace) -> Run:
    """One run; of the several that `repeat:` asks for, the gravest, with what all came to."""
    if series.runs_of(loaded) == 1:
        return pipeline.run(loaded, runtime_name=runtime_name, reports=reports, pace=pace, watch=_plainly)
    pipeline.make_plan(loaded, runtime_name, pace)
    asked, path = series.begin(loaded, reports)
    made = list(
        series.run_all(loaded, asked, runtime_name=runtime_name, reports=reports, pace=pace, watch=_plainly)
    )
    found = series.read(path)
    told = in_words(found)
    print(told)
    gravest = min(made, key=lambda run: GRAVEST_FIRST.index(run.result.exit_code))
    if (code := exit_code(found)) and not gravest.result.exit_code:
        # A run that was made and is not there any more, or was altered since, is none that anybody can look at.
        lacking = {"outcome": "unknown", "as_expected": False, "exit_code": code, "reason": told}
        gravest = replace(gravest, result=gravest.result.model_copy(update=lacking))
    return replace(gravest, series=told)


def refuse(error: ChaoskitError) -> NoReturn:
    """Fail with our message, which says what to mend, and without a traceback, which would not."""
    raise pytest.fail.Exception(harmless(str(error)), pytrace=False) from None


@contextlib.contextmanager
def _plainly(folder: Path, plan: Plan) -> Iterator[Screen]:
    console = Console(file=sys.stdout, force_terminal=False, no_color=True, highlight=False)
    yield Screen(console, plan)


def runner_for(request: pytest.FixtureRequest) -> Callable[..., Run]:
    """The `run_drill` fixture's function."""

    def run_drill(path: str | Path, *, seed: int | None = None) -> Run:
        from chaoskit.spec import load

        if _in_event_loop():
            pytest.fail(
                "run_drill blocks; in an async test: await asyncio.to_thread(run_drill, path)", pytrace=False
            )
        try:
            loaded = load(_find(request, path), registry)
        except InputError as error:
            refuse(error)
        if seed is not None:
            loaded = pipeline.with_seed(loaded, seed)
        finished = run(request.config, loaded)
        tell(request.node, finished)
        return finished

    return run_drill


def _in_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _find(request: pytest.FixtureRequest, path: str | Path) -> Path:
    candidates = (request.path.parent / path, request.config.rootpath / path)
    return next((candidate for candidate in candidates if candidate.exists()), candidates[-1])


def tell(item: pytest.Item, finished: Run) -> None:
    """Put the outcome into the item's user properties, which JUnit XML and other reports carry. All are texts."""
    result, measured = finished.result, finished.measurements
    properties: list[tuple[str, object]] = [("drill", result.drill), ("outcome", result.outcome)]
    if result.expected != "pass":
        properties += [("expected", result.expected), ("as_expected", result.as_expected)]
    for name, journey in measured.journeys.items():
        if journey.rta is not None:
            # Outward: an interval that is printed narrower than it is would not hold what was measured.
            lower: object = math.floor(journey.rta.lo / 1e6) / 1e3
            upper: object = "censored" if journey.rta.hi is None else math.ceil(journey.rta.hi / 1e6) / 1e3
            if journey.invalid:
                lower = upper = "unknown"
            properties += [(f"{name}.rta_lower_s", lower), (f"{name}.rta_upper_s", upper)]
            if journey.modelled:
                properties.append((f"{name}.people_modelled_s", f"{journey.modelled / 1e9:g}"))
    for books, loss in measured.losses.items():
        known = loss.survivor is not None and not loss.problems
        properties.append((f"{books}.lost", len(loss.missing()) if known else "unknown"))
    properties.append(("run_folder", finished.folder))
    if finished.series is not None:
        properties.append(("series", finished.series))
    if finished.head is not None:
        properties.append(("head", finished.head))
    item.user_properties.extend((name, one_line(value, _PROPERTY_MAX)) for name, value in properties)
