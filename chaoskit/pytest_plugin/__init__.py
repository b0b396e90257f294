"""Every drill file is a test: `pytest drills/` collects, runs and judges them.

Loaded into every pytest session of the environment, so it imports nothing of the framework until there is a drill.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from chaoskit.pipeline import Run

_DRILL_KEY = re.compile(rb"""^(?:\xef\xbb\xbf)?["']?drill["']?[ \t]*:""", re.MULTILINE)
_SNIFFED_BYTES = 64 * 1024


def looks_like_a_drill(path: Path) -> bool:
    """Whether a YAML file has a top-level `drill:` key, broken or not; any other YAML file is left alone."""
    try:
        if not path.is_file():  # opening a pipe would wait for its writer
            return False
        with path.open("rb") as file:
            return _DRILL_KEY.search(file.read(_SNIFFED_BYTES)) is not None
    except OSError:
        return False


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options of drills; those of `chaoskit run` under other names."""
    group = parser.getgroup("chaoskit", "drills")
    group.addoption(
        "--chaos-runtime",
        default="local",
        metavar="NAME",
        help="runtime that drills run on: local (default)",
    )
    group.addoption(
        "--chaos-reports",
        default=None,
        metavar="FOLDER",
        help="where run folders are written (default: reports below pytest's root folder)",
    )
    group.addoption(
        "--chaos-pace",
        default="drill",
        choices=("drill", "real"),
        help="real: live through the waits that drills only model",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Make the marks known that collected drills carry; refuse a runtime that does not exist before anything runs."""
    config.addinivalue_line("markers", "drill(name): a drill file; set by chaoskit")
    config.addinivalue_line("markers", "chaos: every drill that chaoskit collected")
    name = config.getoption("--chaos-runtime")
    if name != "local":
        from chaoskit import pipeline
        from chaoskit.errors import InputError

        try:
            pipeline.runtime(name)
        except InputError as error:
            raise pytest.UsageError(str(error).replace("--runtime", "--chaos-runtime")) from None


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect drill files, whatever their name."""
    if file_path.suffix not in (".yaml", ".yml") or not looks_like_a_drill(file_path):
        return None
    from chaoskit.pytest_plugin.items import DrillFile

    collected: pytest.Collector = DrillFile.from_parent(parent, path=file_path)
    return collected


@pytest.fixture
def drill_run(request: pytest.FixtureRequest) -> Run:
    """The finished run of the collected drill; set-up errors, and unknown verdicts, surface here as pytest errors."""
    from chaoskit.pytest_plugin.items import run_of_item

    return run_of_item(request)


@pytest.fixture
def run_drill(request: pytest.FixtureRequest) -> Callable[..., Run]:
    """A function that runs a drill file and returns its Run, for tests that assert on one in Python.

    `run = run_drill("drills/server/x.yaml", seed=3)`; then `run.result`, `run.measurements`, `run.history`,
    `run.folder`. Relative paths start at the test file's folder, else at pytest's root folder. It returns whatever the
    verdict is: what has to hold is the test's to say. A file with mistakes fails the test.
    """
    from chaoskit.pytest_plugin.running import runner_for

    return runner_for(request)
