"""Every drill file is a test: `pytest drills/` collects, runs and judges them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

_DRILL_KEY = re.compile(rb"""^(?:\xef\xbb\xbf)?["']?drill["']?[ \t]*:""", re.MULTILINE)
_SNIFFED_BYTES = 64 * 1024


def looks_like_a_drill(path: Path) -> bool:
    """Whether a YAML file has a top-level `drill:` key, broken or not; any other YAML file is left alone."""
    try:
        with path.open("rb") as file:
            return _DRILL_KEY.search(file.read(_SNIFFED_BYTES)) is not None
    except OSError:
        return False


def pytest_addoption(parser: pytest.Parser) -> None:
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
    config.addinivalue_line("markers", "drill(name): a drill file; set by chaoskit")
    # A drill's tags are marks (`-m S1`), and a user's strict-markers setting must not refuse them.
    config.addinivalue_line("markers", "chaos: every drill that chaoskit collected")


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    if file_path.suffix not in (".yaml", ".yml") or not looks_like_a_drill(file_path):
        return None
    # Imported late: a test session without drills should not pay for the framework.
    from chaoskit.pytest_plugin.items import DrillFile

    collected: pytest.Collector = DrillFile.from_parent(parent, path=file_path)
    return collected


@pytest.fixture
def drill_run(request: pytest.FixtureRequest) -> object:
    """The finished run of the collected drill; set-up errors, and unknown verdicts, surface here as pytest errors."""
    from chaoskit.pytest_plugin.items import run_for

    return run_for(request)


@pytest.fixture
def run_drill(request: pytest.FixtureRequest) -> object:
    """A function that runs a drill file and returns its Run, for tests that assert on one in Python.

    `run = run_drill("drills/server/x.yaml", seed=3)`; `run.result`, `run.measurements`, `run.history`, `run.folder`.
    Relative paths start at the test file's folder, then at pytest's root folder.
    """
    from chaoskit.pytest_plugin.items import runner_for

    return runner_for(request)
