"""Every shipped drill, each variant, on each runtime, several times: as expected, the same each time, and how long.

What a runtime cannot do must be refused while planning, by the name of what it lacks; the table says so.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tabulate import tabulate

from chaoskit.drill_files import drills_in
from chaoskit.scratch import scratch

FOLDER = Path(__file__).parents[2] / "drills"
LONGEST_S = {"local": 60.0, "docker": float("inf")}
_WITHIN_S = 900
_LACKS = re.compile(r": (`[^`]+` needs .+?, which the runtime|nothing says how `[^`]+` runs on)")


@dataclass(frozen=True)
class Ran:
    """One cell of one drill on one runtime, once; `wall_s` leaves out the wait for another run's measurement."""

    drill: str
    variant: str
    runtime: str
    outcome: str
    as_expected: bool
    verdicts: tuple[tuple[str, str], ...]
    wall_s: float


@dataclass(frozen=True)
class Refused:
    """A drill that was not run; `lacks` is what the runtime was said to lack while planning, or empty."""

    drill: str
    runtime: str
    lacks: str
    said: str


def run(drill: Path, runtime: str) -> list[Ran] | Refused:
    """Run a drill as a user does, every cell of it."""
    with scratch("shipped") as folder:
        argv = [
            sys.executable,
            "-m",
            "chaoskit",
            "run",
            str(drill),
            "--runtime",
            runtime,
            "--reports",
            str(folder),
        ]
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=_WITHIN_S)
        results = sorted(folder.glob("*/result.json"), key=lambda path: path.stat().st_mtime_ns)
        if not results:
            said = (done.stderr or done.stdout).strip()
            found = _LACKS.search(said) if done.returncode == 2 else None
            return Refused(drill.stem, runtime, found[1] if found else "", said)
        runs = [read(path, runtime) for path in results]
        if not all(one.as_expected for one in runs):
            print(done.stdout, file=sys.stderr)
        return runs


def read(path: Path, runtime: str) -> Ran:
    """What a run folder says."""
    result: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    plan: dict[str, Any] = json.loads(path.with_name("plan.json").read_text(encoding="utf-8"))
    spent = sum(seconds for phase, seconds in result["wall-s"].items() if phase != "slot")
    return Ran(
        result["drill"],
        plan["drill"]["variant"] or "",
        runtime,
        result["outcome"],
        result["as-expected"],
        tuple(sorted((one["name"], one["outcome"]) for one in result["verdicts"])),
        spent,
    )


def told(one: Ran) -> str:
    """A run's line while the others are still to come."""
    as_expected = "as expected" if one.as_expected else "NOT as expected"
    return f"{one.variant or one.drill}: {one.outcome}, {as_expected}, {one.wall_s:.0f} s"


def table(runs: Sequence[Ran], refused: Sequence[Refused]) -> tuple[str, list[str]]:
    """The table, and what is wrong with it: not as expected, not the same twice, too long, refused for no lack."""
    wrong = [f"{one.drill} on {one.runtime} was not run: {one.said}" for one in refused if not one.lacks]
    rows: list[tuple[str, ...]] = []
    for drill, variant, runtime in dict.fromkeys((one.drill, one.variant, one.runtime) for one in runs):
        cell = [one for one in runs if (one.drill, one.variant, one.runtime) == (drill, variant, runtime)]
        name = f"{drill} ({variant})" if variant else drill
        outcomes = ", ".join(dict.fromkeys(one.outcome for one in cell))
        met = sum(one.as_expected for one in cell)
        slowest = max(one.wall_s for one in cell)
        same = len({one.verdicts for one in cell}) == 1
        if met < len(cell):
            wrong.append(f"{name} on {runtime}: as expected only {met} of {len(cell)} times")
        if not same:
            wrong.append(f"{name} on {runtime}: not the same verdicts each time")
        if slowest > LONGEST_S[runtime]:
            wrong.append(f"{name} on {runtime}: {slowest:.0f} s, more than {LONGEST_S[runtime]:.0f} s")
        alike = "–" if len(cell) == 1 else "yes" if same else "NO"
        rows.append((name, runtime, outcomes, f"{met} of {len(cell)}", alike, f"{slowest:.0f}"))
    rows += [(one.drill, one.runtime, "not offered", one.lacks or "NO REASON", "–", "–") for one in refused]
    headers = ("drill", "runtime", "outcome", "as expected", "the same each time", "at most, s")
    return tabulate(sorted(rows), headers=headers, disable_numparse=True, tablefmt="github"), wrong


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.shipped_drills", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--runtime", choices=sorted(LONGEST_S), action="append", help="may be repeated")
    parser.add_argument("--times", type=int, default=2)
    parser.add_argument("drills", nargs="*", type=Path, default=[FOLDER], help="files or folders; else all")
    arguments = parser.parse_args(argv)
    files = [file for one in arguments.drills for file in (drills_in(one) if one.is_dir() else [one])]
    runs: list[Ran] = []
    refused: list[Refused] = []
    for runtime in arguments.runtime or list(LONGEST_S):
        for file in files:
            for number in range(arguments.times):
                print(
                    f"{file.stem} on {runtime}, {number + 1} of {arguments.times}",
                    file=sys.stderr,
                    flush=True,
                )
                came = run(file, runtime)
                if isinstance(came, Refused):
                    refused.append(came)
                    break
                runs += came
                for one in came:
                    print(f"  {told(one)}", file=sys.stderr, flush=True)
    text, wrong = table(runs, refused)
    print(text)
    print(*wrong, sep="\n", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
