"""What a command imports: one that looks at a run which has ended needs nothing of what runs one; who is waited for at
the start of a run needs only what the start does."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.histories.builder import RunBuilder

RUNS_DRILLS = (
    "chaoskit.conductor.conductor",
    "chaoskit.pipeline",
    "chaoskit.planner",
    "chaoskit.runtimes",
    "chaoskit.spec",
    "chaoskit.toxiproxy",
)
LIBRARIES = ("asyncio", "docker", "numpy", "psycopg", "rich", "scipy", "starlette", "testcontainers", "yaml")
DRILL = Path(__file__).parents[2] / "drills" / "server" / "ledger-primary-crash.yaml"
JOURNALS = {"chaoskit.conductor", "chaoskit.conductor.journal", "chaoskit.conductor.journal_records"}
"""All that is read of a run is written there."""
IMPORTED = """
import json, sys
from chaoskit.cli.app import run_app
code = run_app(sys.argv[1:])
print(json.dumps([code, sorted(sys.modules)]))
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recorded run, judged once: the first judgement writes the result that the others read."""
    folder = RunBuilder().crash().write(tmp_path_factory.mktemp("imports") / "run")
    assert imported("judge", str(folder))[0] == 0
    return folder


def imported(*arguments: str) -> tuple[int, set[str]]:
    """The exit code of a command in a process of its own, and every module it has imported."""
    ended = subprocess.run(
        [sys.executable, "-c", IMPORTED, *arguments], capture_output=True, text=True, check=True
    )
    code, modules = json.loads(ended.stdout.splitlines()[-1])
    return code, set(modules)


@pytest.mark.parametrize(
    "arguments",
    [("judge",), ("verify",), ("explain", "transfer.rta"), ("report",), ("compare",)],
    ids=lambda arguments: arguments[0],
)
def test_a_command_on_an_ended_run_imports_nothing_that_runs_one(
    run: Path, arguments: tuple[str, ...]
) -> None:
    name, *rest = arguments
    folders = [str(run), str(run)] if name == "compare" else [str(run)]
    code, modules = imported(name, *folders, *rest)
    # Without a head nobody can say that a folder is authentic.
    assert code == (3 if name == "verify" else 0)
    unwanted = {
        m for m in modules for one in (*RUNS_DRILLS, *LIBRARIES) if m == one or m.startswith(f"{one}.")
    }
    unwanted |= {m for m in modules if m.startswith("chaoskit.conductor")} - JOURNALS
    assert not unwanted


@pytest.mark.parametrize("command", ["plan", "validate"])
def test_a_drill_that_is_only_read_imports_no_estate(command: str) -> None:
    code, modules = imported(command, str(DRILL))
    assert code == 0
    heavy = ("docker", "duckdb", "numpy", "requests", "rich", "scipy", "starlette", "testcontainers")
    assert not {m for m in modules if m.split(".")[0] in heavy or m == "chaoskit.runtimes.local.estate"}


def test_help_imports_no_model() -> None:
    code, modules = imported("--help")
    assert code == 0
    assert not {m for m in modules if m.split(".")[0] in ("pydantic", "duckdb", "numpy", "yaml")}


@pytest.mark.parametrize("measurer", ["load", "prober"])
def test_a_measurer_imports_no_database_and_no_plan(measurer: str) -> None:
    modules = loaded(f"chaoskit.conductor.{measurer}")
    heavy = ("duckdb", "psycopg", "requests", "rich", "typer", "yaml")
    assert not {m for m in modules if m.split(".")[0] in heavy}
    assert not modules & {"chaoskit.model.drill", "chaoskit.model.plan", "chaoskit.model.system"}


def test_a_run_begins_without_its_judge() -> None:
    modules = loaded(
        "chaoskit.cli.running", "chaoskit.conductor.conductor", "chaoskit.runtimes.local.runtime"
    )
    unwanted = ("chaoskit.judge", "chaoskit.judging", "chaoskit.metrics.measuring", "duckdb", "requests")
    assert not {m for m in modules for one in unwanted if m == one or m.startswith(f"{one}.")}


def loaded(*names: str) -> set[str]:
    """Every module that a process has imported when it has imported these."""
    code = f"import json, sys, {', '.join(names)}\nprint(json.dumps(sorted(sys.modules)))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(ended.stdout))
