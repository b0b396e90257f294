"""Collected drills: one item a cell of the matrix; the run is the item's fixture, the judgement its call."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from _pytest._code.code import ExceptionInfo, TerminalRepr

from chaoskit import pipeline, registry
from chaoskit.errors import ChaoskitError, InputError
from chaoskit.pipeline import Run
from chaoskit.reporters.scorecard import Scorecard
from chaoskit.spec import Loaded

_MARK = re.compile(r"\W+")


class DrillFailed(Exception):
    """The drill's outcome is not the expected one; carries the scorecard."""


class DrillItem(pytest.Function):
    """One drill, or one cell of its matrix."""

    loaded: Loaded

    def repr_failure(self, excinfo: ExceptionInfo[BaseException]) -> str | TerminalRepr:
        if isinstance(excinfo.value, DrillFailed | ChaoskitError):
            return str(excinfo.value)
        return super().repr_failure(excinfo)

    def reportinfo(self) -> tuple[Path, int, str]:
        line = self.loaded.places.at("drill").line
        return self.path, line - 1, f"drill {self.name}"


class DrillFile(pytest.File):
    """A YAML file with a top-level `drill:` key."""

    def collect(self) -> Iterable[pytest.Item]:
        from chaoskit.spec import cells, load

        try:
            loaded = load(self.path, registry)
            expanded = cells(loaded)
        except InputError as error:
            # A collection error with our message alone: the mistake is in the YAML, not in a stack of ours.
            raise self.CollectError(str(error)) from error
        for cell, drill in expanded:
            yield self._item(drill, cell)

    def _item(self, loaded: Loaded, cell: str) -> DrillItem:
        def drill(drill_run: Run) -> None:
            if drill_run.result.exit_code != 0:
                raise DrillFailed(failure_text(drill_run, loaded))

        marks = [pytest.mark.chaos, pytest.mark.drill(loaded.drill.drill)]
        marks += [
            getattr(pytest.mark, name)
            for tag in loaded.drill.tags
            if (name := _MARK.sub("_", tag)).isidentifier()
        ]
        drill.pytestmark = marks  # type: ignore[attr-defined]
        name = f"{loaded.drill.drill}[{cell}]" if cell else loaded.drill.drill
        item: DrillItem = DrillItem.from_parent(self, name=name, callobj=drill)
        item.loaded = loaded
        return item


def failure_text(run: Run, loaded: Loaded) -> str:
    """The scorecard, headed by the YAML line that the reader should look at."""
    where = loaded.places.at("drill")
    for verdict in run.result.verdicts:
        if verdict.outcome != "pass" and "." in verdict.name:
            journey, _, objective = verdict.name.partition(".")
            key = journey if journey in loaded.drill.objectives else "*"
            where = loaded.places.at("objectives", key, objective)
            break
    return f"{where}: {run.result.reason}\n\n{Scorecard().render(run.result, str(run.folder))}"


def run_for(request: pytest.FixtureRequest) -> Run:
    """Run the requesting item's drill; ends the set-up as an error when the outcome is unknown or aborted."""
    item = request.node
    if not isinstance(item, DrillItem):
        pytest.fail(
            "drill_run belongs to collected drills; in your own tests use run_drill(path)", pytrace=False
        )
    run = _run(request.config, item.loaded)
    _properties(item, run)
    if run.result.exit_code not in (0, 1):
        pytest.fail(failure_text(run, item.loaded), pytrace=False)
    return run


def runner_for(request: pytest.FixtureRequest) -> Callable[..., Run]:
    """The `run_drill` fixture's function."""

    def run_drill(path: str | Path, *, seed: int | None = None) -> Run:
        from chaoskit.spec import load

        candidates = [request.path.parent / path, request.config.rootpath / path]
        found = next((candidate for candidate in candidates if candidate.exists()), candidates[-1])
        loaded = load(found, registry)
        if seed is not None:
            loaded = pipeline.with_seed(loaded, seed)
        run = _run(request.config, loaded)
        _properties(request.node, run)
        return run

    return run_drill


def _run(config: pytest.Config, loaded: Loaded) -> Run:
    reports = config.getoption("--chaos-reports")
    try:
        return pipeline.run(
            loaded,
            runtime_name=config.getoption("--chaos-runtime"),
            reports=Path(reports) if reports else config.rootpath / "reports",
            pace=config.getoption("--chaos-pace"),
        )
    except InputError as error:
        pytest.fail(str(error), pytrace=False)


def _properties(item: pytest.Item, run: Run) -> None:
    properties: list[tuple[str, object]] = [("drill", run.result.drill), ("outcome", run.result.outcome)]
    for name, journey in run.measurements.journeys.items():
        if journey.rta is not None:
            properties.append((f"{name}.rta_lower_s", round(journey.rta.lo / 1e9, 3)))
            upper = "censored" if journey.rta.hi is None else round(journey.rta.hi / 1e9, 3)
            properties.append((f"{name}.rta_upper_s", upper))
    for books, loss in run.measurements.losses.items():
        properties.append((f"{books}.lost", len(loss.lost) if loss.survivor else "unknown"))
    properties.append(("run_folder", str(run.folder)))
    item.user_properties.extend((name, str(value)) for name, value in properties)
