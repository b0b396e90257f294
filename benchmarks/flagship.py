"""Runs the flagship drill many times and prints its verdicts, its own overhead, and where the time goes.

Overhead is the wall time of the whole command without what the drill itself asks for: the steady phase, the time
from the fault to the recovery, and the settle time (hold plus snapshot gap). Waiting for another drill's measurement
on this machine is not counted either. Processor time is that of all processes on this machine, containers not included.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tabulate import tabulate

DRILL = Path(__file__).parents[1] / "drills" / "server" / "ledger-primary-crash.yaml"
STEADY_S, SETTLE_S = 5.0, 6.0
TARGETS_S = {"local": (4.0, 3.0), "docker": (12.0, 8.0)}
"""By runtime: overhead, and until the bank is ready."""


@dataclass(frozen=True)
class Sample:
    """One run: its outcome, and seconds. `why` is empty if it passed; nothing was measured if `kill_ms` is None."""

    outcome: str
    why: str
    overhead_s: float
    ready_s: float
    rta_upper_s: float
    rta_width_s: float
    kill_ms: float | None
    processor_s: float
    phases_s: Mapping[str, float]


def run_once(reports: Path, runtime: str) -> Sample:
    """Run the drill as a user does; raises CalledProcessError on a code that is no verdict."""
    begun, used = time.monotonic(), processor_s()
    # As where it is installed: a checkout's modules would otherwise be compiled anew by each process of each run.
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "chaoskit",
            "run",
            str(DRILL),
            "--runtime",
            runtime,
            "--reports",
            str(reports),
        ],
        capture_output=True,
        text=True,
        check=False,
        env=env,
    )
    wall, used = time.monotonic() - begun, processor_s() - used
    folder = max(reports.iterdir(), key=lambda path: path.stat().st_mtime_ns)
    result: dict[str, Any] = json.loads((folder / "result.json").read_text())
    measured: dict[str, Any] = json.loads((folder / "measurements.json").read_text())
    rta = measured["journeys"]["transfer"]["rta"] or {"lo": 0, "hi": 0}
    upper = (rta["hi"] or 0) / 1e9
    if result["outcome"] != "pass":
        print(done.stdout, done.stderr)
    ready, waited = (result["wall-s"].get(phase, 0.0) for phase in ("provision", "slot"))
    overhead = wall - waited - STEADY_S - upper - SETTLE_S
    width = upper - rta["lo"] / 1e9
    kills_ms = [((one["hi"] or one["lo"]) - one["lo"]) / 1e6 for one in measured["faults"]]
    kill_ms = max(kills_ms, default=None)
    why = "" if result["outcome"] == "pass" else result["reason"]
    return Sample(result["outcome"], why, overhead, ready, upper, width, kill_ms, used, result["wall-s"])


def processor_s() -> float:
    """What all processes took that have ended below this one, user and system."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def row(name: str, values: Sequence[float], target: str) -> tuple[str, str, str, str, str]:
    return (name, f"{min(values):.2f}", f"{statistics.median(values):.2f}", f"{max(values):.2f}", target)


def told(sample: Sample, number: int) -> Sample:
    """Each run as it comes, with the machine's load: a hundred of them take half an hour."""
    load = Path("/proc/loadavg").read_text().split()[0]
    why = f" · {sample.why}" if sample.why else ""
    print(
        f"run {number} (load {load}): {sample.outcome}, {sample.overhead_s:.1f} s of overhead{why}",
        file=sys.stderr,
        flush=True,
    )
    return sample


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--runtime", choices=sorted(TARGETS_S), default="local")
    parser.add_argument("--keep", type=Path, help="folder in which the run folders stay")
    arguments = parser.parse_args()
    overhead_max_s, ready_max_s = TARGETS_S[arguments.runtime]
    if arguments.keep:
        arguments.keep.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        reports = arguments.keep or Path(folder)
        samples = [
            told(run_once(reports, arguments.runtime), number) for number in range(1, arguments.runs + 1)
        ]
    counted = Counter(sample.outcome for sample in samples)
    print(", ".join(f"{count} {outcome}" for outcome, count in counted.items()))
    measured = [sample for sample in samples if sample.kill_ms is not None]
    if not measured:
        print("no run came as far as its fault: nothing to measure")
        return 1
    rows = [
        row("overhead, s", [s.overhead_s for s in measured], f"≤ {overhead_max_s:g}"),
        row("bank ready, s", [s.ready_s for s in measured], f"≤ {ready_max_s:g}"),
        row("RTA upper bound, s", [s.rta_upper_s for s in measured], ""),
        row("RTA width, s", [s.rta_width_s for s in measured], "≤ 0.2 + witness"),
        row("the kill's interval, ms", [s.kill_ms or 0.0 for s in measured], "≤ 30"),
        row("processor, s", [s.processor_s for s in measured], ""),
        *(
            row(f"  {phase}, s", [s.phases_s.get(phase, 0.0) for s in measured], "")
            for phase in dict.fromkeys(phase for s in measured for phase in s.phases_s)
        ),
    ]
    print(tabulate(rows, headers=("", "min", "median", "max", "target"), disable_numparse=True))
    return 0 if all(sample.outcome == "pass" for sample in samples) else 1


if __name__ == "__main__":
    sys.exit(main())
