"""`judge`, `report`, `sql` and `verify`: what a person sees of a run that has ended, and the exit code it ends with."""

from __future__ import annotations

from pathlib import Path

from chaoskit import judging
from chaoskit.cli import ending
from chaoskit.errors import EnvironmentBroken, InputError
from chaoskit.evidence.manifest import parse_head, vouched_head
from chaoskit.judge import EXIT_CODES
from chaoskit.model.drill import Drill
from chaoskit.model.plain_text import harmless, one_line
from chaoskit.model.plan import Plan
from chaoskit.model.series import SUFFIX
from chaoskit.model.verdict import Result
from chaoskit.regular_file import read_regular
from chaoskit.reporters.scorecard import Scorecard


def judge_run(folder: Path, drill: Path | None) -> int:
    """Judge a run folder again; with a drill file, by that file's objectives and checks."""
    other = drill_for(folder, drill) if drill else None
    try:
        run = judging.judge_folder(folder, other)
    except OSError as error:  # a folder that may not be read, or not be written to
        raise InputError(f"{error.filename or folder}: {error.strerror or error}") from error
    ending.keep(run)
    show(run.result, folder, run.head)
    if run.written is not None:
        print(one_line(f"written: {as_typed(run.written)}"))
    return run.result.exit_code


def drill_for(folder: Path, path: Path) -> Drill:
    """What a drill file asks of the run in `folder`: of a matrix, what its cells of the run's variant ask.

    Raises InputError for a matrix that does not say one thing of it.
    """
    from chaoskit import registry, spec

    cells = [cell for _, cell in spec.cells(spec.load(path, registry))]
    try:
        variant = Plan.model_validate_json(read_regular(folder / "plan.json")).system.variant
    except (OSError, ValueError):  # told, or taken for unknown, by whoever reads the whole run
        return cells[0].drill
    # One that is no matrix may be given for whatever run: whoever gives it has chosen.
    fitting = [cell for cell in cells if cell.system.variant == variant] if len(cells) > 1 else cells
    if not fitting:
        known = ", ".join(dict.fromkeys(str(cell.system.variant) for cell in cells))
        raise InputError(
            f"{path}: no cell of its matrix has the variant {variant} that was run; it has: {known}"
        )
    asked = [(cell.drill.objectives, cell.drill.checks, cell.drill.expect) for cell in fitting]
    if any(one != asked[0] for one in asked):
        raise InputError(
            f"{path}: the cells of its matrix ask for different things of this run: give one of them alone"
        )
    return fitting[0].drill


def report_run(folder: Path) -> int:
    """Print the scorecard of result.json as it stands; of a series' file, what its runs came to."""
    if folder.name.endswith(SUFFIX):
        from chaoskit.cli.series_table import show_series

        return show_series(folder)
    result = load_result(folder)
    head = vouched_head(folder)
    show(result, folder, head)
    if head is None:
        print(not_vouched_for(folder))
    return 0


def not_vouched_for(folder: Path) -> str:
    """What is said below anything that is shown of a folder whose files are not those that were judged."""
    return one_line(f"NOT VOUCHED FOR: see what `chaoskit verify {as_typed(folder)}` says")


def print_sql(folder: Path) -> int:
    """Print the reconciliation of a recorded run as SQL. EnvironmentBroken when its books cannot be reconciled."""
    from chaoskit.evidence import load_history
    from chaoskit.metrics.auditor_sql import auditor_sql
    from chaoskit.metrics.reconciliation import BooksUnreadable

    try:
        script = auditor_sql(load_history(folder), folder)
    except BooksUnreadable as error:
        raise EnvironmentBroken(f"{folder}: {error}") from error
    print(harmless(script))
    return 0


def load_result(folder: Path) -> Result:
    """result.json of a run folder. InputError when it is not there or cannot be read."""
    path = folder / "result.json"
    try:
        return Result.model_validate_json(read_regular(path))
    except (FileNotFoundError, NotADirectoryError):
        if not folder.is_dir():
            raise InputError(
                f"{folder}: no such folder; give the folder of a run, like reports/<run>"
            ) from None
        raise InputError(f"{path}: no such file; `chaoskit judge {folder}` judges a recorded run") from None
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error
    except ValueError as error:
        detail = one_line(str(error).splitlines()[0])
        raise InputError(
            f"{path}: no result of this version ({detail}); `chaoskit judge {folder}` judges the run again"
        ) from error


def verify_run(folder: Path, head: str | None) -> int:
    """Print what a check of a run folder found; 0 only if it is the one that the head was kept of."""
    found = judging.verify_folder(folder, parse_head(head) if head is not None else None)
    ending.keep(found)  # its history is freed by now; what is left takes long enough
    name = as_typed(folder)
    for problem in found.problems:
        print(one_line(f"  · {problem}"))
    for later in found.later:
        print(one_line(f"  · {later}: made from the run after it was judged, not covered"))
    if found.standing == "altered":
        print(one_line(f"{name}: altered: {len(found.problems)} contradictions"))
        return EXIT_CODES["fail"]
    if found.standing == "consistent":
        print(
            one_line(
                f"{name}: consistent, not authentic: {found.files} files fit each other, and all of them could "
                "have been made anew; give the head from the scorecard or JUnit with --head"
            )
        )
        return EXIT_CODES["unknown"]
    print(one_line(f"{name}: authentic: {found.files} files are those of head {found.head}"))
    return 0


def show(result: Result, folder: Path, head: str | None) -> None:
    """Print the scorecard; the folder as the reader would type it."""
    print("\n" + Scorecard().render(result, f"{as_typed(folder)}/", head), end="", flush=True)


def as_typed(path: Path) -> str:
    """Relative to the current folder where that is shorter to type, else as it is."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except (OSError, ValueError):  # elsewhere, or the current folder is gone
        return str(path)
