"""What every command shares: the application it belongs to, and how it ends."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec

import typer

P = ParamSpec("P")
EXIT_INTERRUPTED = 130

app = typer.Typer(
    name="chaoskit",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Disaster-recovery drills for banks: break a system under customer load, measure the recovery, judge it.\n\n"
    "Exit codes: 0 pass (or exactly as expected), 1 an objective or check failed, 2 wrong files or command line, "
    "3 unknown, 4 aborted, 130 interrupted (and healed).",
)


def command(function: Callable[P, int]) -> Callable[P, None]:
    """Make a command of a function that returns an exit code; Ctrl-C ends it with 130, whoever catches what."""

    @functools.wraps(function)
    def ending(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            code = function(*args, **kwargs)
        except KeyboardInterrupt:
            code = EXIT_INTERRUPTED
        raise typer.Exit(code)

    app.command()(ending)
    return ending
