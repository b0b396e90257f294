"""Collected drills: one item a cell of the matrix; the run is the item's fixture, the judgement its call."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from chaoskit import registry
from chaoskit.errors import ChaoskitError, InputError, Location
from chaoskit.judging import Run
from chaoskit.model.plain_text import harmless, one_line
from chaoskit.model.verdict import Verdict
from chaoskit.pytest_plugin import running
from chaoskit.reporters.scorecard import Scorecard
from chaoskit.spec import Loaded

if TYPE_CHECKING:  # earlier versions of pytest have none
    from _pytest.nodeid import NodeId

_NO_WORD = re.compile(r"\W+")
_MARKS_OF_PYTEST = frozenset(
    {
        "skip",
        "skipif",
        "xfail",
        "parametrize",
        "usefixtures",
        "filterwarnings",
        "tryfirst",
        "trylast",
        "timeout",
        "flaky",
        "repeat",
        "asyncio",
        "anyio",
        "drill",
        "chaos",
        "estate",
    }
)
"""A drill tagged `skip` is a drill about skipping, not one to be skipped; our own marks stand for every drill."""
_JUDGED = (0, 1)
_CELL_MAX = 120


class DrillFailed(Exception):
    """The drill's outcome is not the expected one; carries the scorecard."""


class DrillItem(pytest.Function):
    """One drill, or one cell of its matrix."""

    loaded: Loaded

    @property
    def id(self) -> NodeId:
        """The name as pytest 9.2 and later reads it back from its cache, with a cell as parameters.

        Otherwise `--lf` would not find a cell again that was not green, and leave it out.
        """
        return type(super().id).parse(self.nodeid)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Our own errors say everything in their text; a traceback through us would hide it."""
        if isinstance(excinfo.value, DrillFailed | ChaoskitError):
            return harmless(str(excinfo.value))
        return super().repr_failure(excinfo)

    def reportinfo(self) -> tuple[Path, int, str]:
        """The YAML line of the drill's name."""
        line = self.loaded.places.at("drill").line
        return self.path, line - 1, f"drill {self.name}"


class DrillFile(pytest.File):
    """A YAML file with a top-level `drill:` key."""

    def collect(self) -> Iterable[pytest.Item]:
        """An item for each cell. Mistakes in the files are one collection error that shows their places."""
        from chaoskit.spec import cells, load

        try:
            expanded = cells(load(self.path, registry))
        except InputError as error:
            raise self.CollectError(harmless(str(error))) from error
        seen: set[str] = set()
        for number, (cell, drill) in enumerate(expanded, start=1):
            name = one_line(cell, _CELL_MAX)
            if name in seen:  # cut to the same: pytest tells items apart by their names, as for `--lf`
                name = f"{name}#{number}"
            seen.add(name)
            yield self._item(drill, name)

    def _item(self, loaded: Loaded, cell: str) -> DrillItem:
        def drill(drill_run: Run) -> None:
            if drill_run.result.exit_code != 0:
                raise DrillFailed(failure_text(drill_run, loaded, self.config.invocation_params.dir))

        marks = [pytest.mark.chaos, pytest.mark.drill(loaded.drill.drill)]
        for tag in loaded.drill.tags:
            name = _NO_WORD.sub("_", tag).strip("_")  # pytest has no marks that begin with one
            if name.isidentifier() and name not in _MARKS_OF_PYTEST:
                # Known before it is used: `--strict-markers` must not refuse a tag.
                self.config.addinivalue_line("markers", f"{name}: a tag of a drill")
                marks.append(getattr(pytest.mark, name))
        drill.pytestmark = marks  # type: ignore[attr-defined]
        name = f"{loaded.drill.drill}[{cell}]" if cell else loaded.drill.drill
        item: DrillItem = DrillItem.from_parent(self, name=name, callobj=drill)
        item.loaded = loaded
        return item


def run_of_item(request: pytest.FixtureRequest) -> Run:
    """Run the requesting item's drill; ends the set-up as an error when the outcome is unknown or aborted."""
    item = request.node
    if not isinstance(item, DrillItem):
        pytest.fail(
            "drill_run belongs to collected drills; in your own tests use run_drill(path)", pytrace=False
        )
    finished = running.run(request.config, item.loaded)
    running.tell(item, finished)
    if finished.result.exit_code not in _JUDGED:
        text = failure_text(finished, item.loaded, request.config.invocation_params.dir)
        pytest.fail(text, pytrace=False)
    return finished


def failure_text(run: Run, loaded: Loaded, start: Path) -> str:
    """The scorecard, headed by the YAML line that the reader should look at; paths as seen from `start`."""
    place = guilty_place(run, loaded)
    card = Scorecard().render(run.result, f"{_seen_from(start, run.folder)}/", run.head)
    head = f"{_seen_from(start, place.path)}:{place.line}:{place.column}: {run.result.outcome}"
    return harmless(f"{head}: {one_line(run.result.reason)}\n\n{card}")


def guilty_place(run: Run, loaded: Loaded) -> Location:
    """Where the drill file asks for what was not met: an objective, a check, `expect:`, or else the drill's name."""
    drill, places = loaded.drill, loaded.places
    if drill.expect != "pass" and run.result.outcome in ("pass", "fail"):
        return places.at("expect")
    by_gravity = sorted(run.result.verdicts, key=lambda one: ("fail", "unknown", "pass").index(one.outcome))
    for verdict in by_gravity:
        if verdict.outcome == "pass":
            break
        found = _place_of(verdict, loaded)
        if found is not None:
            return found
    return places.at("drill")


def _place_of(verdict: Verdict, loaded: Loaded) -> Location | None:
    drill, places = loaded.drill, loaded.places
    if verdict.name in drill.checks:
        return places.at("checks", drill.checks.index(verdict.name))
    journey, _, objective = verdict.name.rpartition(".")
    for key in (journey, "*"):
        if places.written("objectives", key, objective):
            return places.at("objectives", key, objective)
    return None


def _seen_from(start: Path, path: Path) -> str:
    """Relative where the path lies below, absolute elsewhere."""
    relative = os.path.relpath(path, start)
    return str(path) if relative.startswith(os.pardir) else relative
