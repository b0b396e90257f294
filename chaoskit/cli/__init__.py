"""The command line; `chaoskit --help` lists the commands."""

from __future__ import annotations

import sys


def main() -> None:
    """Entry point of the `chaoskit` command; ends the process with one of the documented exit codes."""
    from chaoskit.cli import ending, streams

    outputs = streams.prepare()
    try:
        from chaoskit.cli.app import run_app

        code = run_app(sys.argv[1:])
    except KeyboardInterrupt:  # so early that nothing was begun
        code = 130
    ending.end(streams.finish(outputs, code))
