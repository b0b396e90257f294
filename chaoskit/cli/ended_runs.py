"""The commands that look at runs which have ended: judged again, printed, compared, explained, verified."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from chaoskit.cli.typed import command


@command
def judge(
    run_folder: Annotated[Path, typer.Argument(metavar="RUN", help="a run folder", show_default=False)],
    drill: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            help="judge by this file's objectives and checks; written beside result.json, never over it"
        ),
    ] = None,
) -> int:
    """Measure and judge a recorded run again from disk, with nothing running."""
    from chaoskit.cli.judging import judge_run

    return judge_run(run_folder, drill)


@command
def report(
    run_folder: Annotated[Path, typer.Argument(metavar="RUN", help="a run folder", show_default=False)],
) -> int:
    """Print the scorecard of a run from its result.json; exits 0."""
    from chaoskit.cli.judging import report_run

    return report_run(run_folder)


@command
def compare(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="run folders", show_default=False)],
    baseline: Annotated[
        Optional[list[Path]],  # noqa: UP045
        typer.Option(help="an earlier run to judge against; once for each", show_default=False),
    ] = None,
) -> int:
    """Print runs side by side; with --baseline, judge them against earlier ones: exit 1 worse, 3 not comparable."""
    from chaoskit.cli.comparing import compare_runs

    return compare_runs(runs, baseline or [])


@command
def sql(
    run_folder: Annotated[Path, typer.Argument(metavar="RUN", help="a run folder", show_default=False)],
) -> int:
    """Print the run's reconciliation as one SQL script, to be read and run with DuckDB alone in the run folder."""
    from chaoskit.cli.judging import print_sql

    return print_sql(run_folder)


@command
def explain(
    run_folder: Annotated[Path, typer.Argument(metavar="RUN", help="a run folder", show_default=False)],
    name: Annotated[
        Optional[str],  # noqa: UP045
        typer.Argument(help="a number or verdict, like transfer.rta; default: list them"),
    ] = None,
) -> int:
    """Show on paper how a number of a scorecard came about: the probes, the fault's interval, the arithmetic."""
    from chaoskit.cli.explaining import explain_run

    return explain_run(run_folder, name)


@command
def history(
    drill: Annotated[Optional[str], typer.Argument(help="one drill's name alone")] = None,  # noqa: UP045
    reports: Annotated[Path, typer.Option(help="where the run folders lie")] = Path("reports"),
) -> int:
    """Show how recovery, detection, loss and availability went over the stored runs."""
    from chaoskit.cli.comparing import history as trends

    print(trends(reports, drill))
    return 0


@command
def verify(
    run_folder: Annotated[Path, typer.Argument(metavar="RUN", help="a run folder", show_default=False)],
    head: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="the 64 hex digits that the run's scorecard and JUnit showed", show_default=False),
    ] = None,
) -> int:
    """Check that a run folder is the one that was judged: exit 0 authentic, 1 altered, 3 without --head."""
    from chaoskit.cli.judging import verify_run

    return verify_run(run_folder, head)
