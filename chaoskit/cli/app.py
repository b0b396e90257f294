"""The commands, their options, and the exit code each error means."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal, Optional

import typer

from chaoskit.cli import ended_runs  # noqa: F401 - its commands register themselves
from chaoskit.cli.typed import EXIT_INTERRUPTED, app, command
from chaoskit.errors import ChaoskitError, EnvironmentBroken
from chaoskit.model.plain_text import harmless, one_line

EXIT_WRONG_INPUT = 2
EXIT_UNKNOWN = 3


Drill = Annotated[Path, typer.Argument(metavar="DRILL", help="a drill file", show_default=False)]
RuntimeName = Annotated[str, typer.Option("--runtime", help="where the system runs: local, or docker")]
Pace = Annotated[
    str,
    typer.Option(
        help="drill: waits of people as the drill says (modelled or paced); real: live through them"
    ),
]


def run_app(arguments: list[str]) -> int:
    """Run one command line; returns its exit code and prints errors without a traceback."""
    try:
        app(arguments, prog_name="chaoskit")
    except SystemExit as ended:  # Typer has said what is wrong with the command line, or a command has ended
        return ended.code if isinstance(ended.code, int) else EXIT_WRONG_INPUT if ended.code else 0
    except ChaoskitError as error:
        print(harmless(str(error)), file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except Exception as error:  # noqa: BLE001 - whatever it is, it is neither a pass nor a failed objective
        from chaoskit.cli.crash_report import crash_line

        print(harmless(crash_line(error, arguments)), file=sys.stderr)
        return EXIT_UNKNOWN
    return 0


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"chaoskit {version('chaoskit')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="print the version")
    ] = False,
) -> None:
    """Nothing is done before a command is chosen."""


@command
def run(
    drill: Drill,
    runtime: RuntimeName = "local",
    reports: Annotated[Path, typer.Option(help="where the run folder is made")] = Path("reports"),
    pace: Pace = "drill",
    seed: Annotated[Optional[int], typer.Option(min=0, help="another seed than the drill's")] = None,  # noqa: UP045
) -> int:
    """Run a drill (every cell of its matrix in turn) and print its scorecard."""
    from chaoskit.cli.running import run_drill

    return run_drill(drill, runtime, reports, _pace(pace), seed)


@command
def plan(drill: Drill, runtime: RuntimeName = "local", pace: Pace = "drill") -> int:
    """Print what a run will do, as one would read it aloud, and stop before anything starts."""
    from chaoskit import pipeline, planner, registry, spec
    from chaoskit.cli import asking

    for cell, loaded in spec.cells(spec.load(drill, registry)):
        if cell:
            print(one_line(f"== {cell}"))
        print(
            harmless(planner.read_aloud(pipeline.make_plan(loaded, runtime, _pace(pace), asking.possible())))
        )
    return 0


@command
def validate(
    drills: Annotated[list[Path], typer.Argument(metavar="DRILL...", help="drill files", show_default=False)],
) -> int:
    """Check drill files and the system and Compose files they name; prints every mistake with its place."""
    from chaoskit import planner, registry, spec
    from chaoskit.errors import InputError

    wrong = 0
    for path in drills:
        try:
            loaded = spec.load(path, registry)
            told = [one for _, cell in spec.cells(loaded) for one in planner.mistakes(cell, registry)]
            if told:
                raise InputError(*dict.fromkeys(told))
        except InputError as error:
            wrong += 1
            print(harmless(str(error)), file=sys.stderr)
        else:
            print(one_line(f"{path}: ok ({loaded.drill.drill}: {loaded.drill.title})"))
    return EXIT_WRONG_INPUT if wrong else 0


@command
def prove(
    drills: Annotated[
        list[Path],
        typer.Argument(metavar="DRILL...", help="drill files, or folders of them", show_default=False),
    ],
    runtime: RuntimeName = "local",
    reports: Annotated[Path, typer.Option(help="where the run folders are made")] = Path("reports"),
    seed: Annotated[Optional[int], typer.Option(min=0, help="another seed than the drill's")] = None,  # noqa: UP045
) -> int:
    """Run drills and their controls, without a fault and without a recovery: exit 0 only if each control turns red."""
    from chaoskit.cli.proving import prove_drills

    return prove_drills(drills, runtime, reports, seed)


@command
def schema(
    name: Annotated[str, typer.Argument(metavar="drill|system|result", help="which schema")] = "drill",
) -> int:
    """Print the JSON Schema of drill files, system files or result.json."""
    from chaoskit.cli.catalogue import schema_text

    print(schema_text(name))
    return 0


@command
def catalogue(
    name: Annotated[Optional[str], typer.Argument(help="a member, for its manual page")] = None,  # noqa: UP045
) -> int:
    """List faults, responses, probes, checks and reporters, or print one's manual page."""
    from chaoskit.cli.catalogue import listing, manual_pages

    print(listing() if name is None else manual_pages(name))
    return 0


@command
def heal() -> int:
    """Undo what dead runs left on this machine: faults, processes, sockets, containers, networks, volumes, data.

    Exit 3 if some of it is still there, or nobody can tell.
    """
    return _say(forget=False, nothing="nothing to heal")


@command
def clean() -> int:
    """heal, and forget the dead runs' state; run folders are kept. Exit 3 as with heal."""
    return _say(forget=True, nothing="nothing to clean")


@command
def doctor(runtime: RuntimeName = "local") -> int:
    """Check this machine: what each runtime needs, what earlier runs left; exit 3 if a drill could not run."""
    from chaoskit.cli.doctor import examine

    return examine(runtime)


@command
def toxiproxy(
    host: Annotated[str, typer.Option(help="address of the HTTP API")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="port of the HTTP API; 0: any free one")] = 8474,
    config: Annotated[Optional[Path], typer.Option(help="JSON file of proxies to begin with")] = None,  # noqa: UP045
    seed: Annotated[Optional[int], typer.Option(help="seed for toxicity, jitter and slicing")] = None,  # noqa: UP045
) -> int:
    """Serve the embedded Toxiproxy (HTTP API of 2.12) until it is told to stop."""
    from chaoskit.toxiproxy.server.run import main

    arguments = ["--host", host, "--port", str(port)]
    arguments += ["--config", str(config)] if config else []
    arguments += ["--seed", str(seed)] if seed is not None else []
    return main(arguments) or 0


def _pace(text: str) -> Literal["drill", "real"]:
    if text == "real":
        return "real"
    if text == "drill":
        return "drill"
    raise typer.BadParameter(f"{text!r}; allowed: drill, real", param_hint="--pace")


def _say(forget: bool, nothing: str) -> int:
    from chaoskit.cli.leftovers import cleaned

    try:
        done = cleaned(forget)
    except OSError as error:
        raise EnvironmentBroken(
            f"{error.filename or 'state directory'}: {error.strerror or error}; nothing could be looked for; "
            "CHAOSKIT_STATE_DIR says where runs keep their state"
        ) from error
    print("\n".join(map(harmless, done.lines)) if done.lines else nothing)
    if done.left:
        print(f"still there, or nobody can tell: {', '.join(map(harmless, done.left))}", file=sys.stderr)
    return 3 if done.left else 0
