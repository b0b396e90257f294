"""Every drill file is a test: `pytest drills/` collects, runs and judges them. Tests of one's own get running estates.

Loaded into every pytest session of the environment, so it imports nothing of the framework until there is a drill, or a
test that asks for an estate.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from chaoskit.judging import Run
    from chaoskit.testing import RunningEstate


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options of drills; those of `chaoskit run` under other names."""
    group = parser.getgroup("chaoskit", "drills")
    group.addoption(
        "--chaos-runtime",
        default="local",
        metavar="NAME",
        help="runtime that drills and estates run on: local (default), docker",
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
    config.addinivalue_line(
        "markers",
        "estate(system, variant=None, runtime=None, prepare=(), seed=0): the system that the fixture `estate` runs",
    )
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
    if file_path.suffix not in (".yaml", ".yml"):
        return None
    from chaoskit.drill_files import looks_like_a_drill

    if not looks_like_a_drill(file_path):
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


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Relative paths of systems start at the folder of the test that first asks."""
    estates = _estates_of(item.config)
    if estates is not None:
        estates.test = item


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, object, object]:
    """What a test broke is mended before the next one begins, after the test's own fixtures have had their turn."""
    try:
        return (yield)
    finally:
        if _estates_of(item.config) is not None:
            from chaoskit.pytest_plugin.estates import reset_after

            reset_after(item.config)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> None:
    """An error of a running estate is shown by its own words, below the test's line that met it."""
    if call.excinfo is not None and _estates_of(item.config) is not None:
        from chaoskit.pytest_plugin.estates import shorten

        shorten(call.excinfo)


def _estates_of(config: pytest.Config) -> Any:
    """The session's estates if any test has asked for one; imports nothing."""
    module = sys.modules.get("chaoskit.pytest_plugin.estates")
    return None if module is None else config.stash.get(module.ESTATES, None)


@pytest.fixture(scope="session")
def chaos_estate_factory(request: pytest.FixtureRequest) -> Iterator[Callable[..., RunningEstate]]:
    """A function that gives the running estate of a system file, for fixtures of your own of any scope.

    `factory("system.yaml", variant=None, runtime=None, prepare=[], seed=0)`: the same ask gives the same estate, which
    is started when it is first used, reset after every test and ended with the session. Relative paths start at the
    test file's folder, else at pytest's root folder.
    """
    from chaoskit.pytest_plugin.estates import of_session

    estates = of_session(request.config)
    yield estates.open
    estates.close()


@pytest.fixture
def estate(
    request: pytest.FixtureRequest, chaos_estate_factory: Callable[..., RunningEstate]
) -> RunningEstate:
    """The running estate of the system that the test's mark names: `@pytest.mark.estate("system.yaml")`."""
    from chaoskit.errors import ChaoskitError
    from chaoskit.pytest_plugin.estates import of_mark
    from chaoskit.pytest_plugin.running import refuse

    try:
        return of_mark(request)
    except ChaoskitError as error:
        mistake = error
    return refuse(mistake)
