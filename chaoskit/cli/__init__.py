"""The command line; `chaoskit --help` lists the commands."""

from __future__ import annotations

import sys


def main() -> None:
    """Entry point of the `chaoskit` command; ends the process with one of the documented exit codes."""
    from chaoskit.cli.app import run_app

    sys.exit(run_app(sys.argv[1:]))
