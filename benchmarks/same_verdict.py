"""Runs three drills many times on each runtime with one seed: the verdicts must be the same; prints the RTAs beside it.

One drill passes, one misses its RTO by less than three times, one loses payments. Each run is a command of its own, as
a user types it; the runtimes take turns, so that whatever else the machine does meets both alike. Exits 1 when two runs
of a drill differ in any verdict, and 1 when one is not what the drill expects.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tabulate import tabulate

FOLDER = Path(__file__).parents[1] / "drills" / "server"
DRILLS = ("ledger-primary-crash", "ledger-primary-crash-unwatched", "ledger-primary-crash-async")
RUNTIMES = ("local", "docker")
JOURNEY = "transfer"
RUN_WITHIN_S = 1800
"""Waiting for other measurements on this machine included."""


@dataclass(frozen=True)
class Sample:
    """One run: what it came to, every verdict by name, the RTA's bounds in seconds, and what stood for each service."""

    outcome: str
    as_expected: bool
    verdicts: tuple[tuple[str, str], ...]
    rta_s: tuple[float, float] | None
    lost: int | None
    fault_ms: float | None
    """Width of the widest fault's own interval: from the order to the witnessed effect."""
    fidelity: tuple[str, ...]


def run_once(drill: str, runtime: str, seed: int, keep: Path | None = None) -> Sample:
    """Run the drill as a user does; raises CalledProcessError when there is no result to read."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        reports = str(keep or scratch)
        argv = [sys.executable, "-m", "chaoskit", "run", str(FOLDER / f"{drill}.yaml"), "--runtime", runtime]
        argv += ["--seed", str(seed), "--reports", reports]
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=RUN_WITHIN_S)
        results = sorted(Path(reports).glob("*/result.json"), key=lambda path: path.stat().st_mtime_ns)
        if not results:
            print(done.stdout, done.stderr, file=sys.stderr)
            raise subprocess.CalledProcessError(done.returncode, argv)
        sample = read(results[-1])
        if not sample.as_expected:
            print(done.stdout, file=sys.stderr)
        return sample


def read(path: Path) -> Sample:
    """What a run folder's result and measurements say."""
    result: dict[str, Any] = json.loads(path.read_text())
    measured: dict[str, Any] = json.loads(path.with_name("measurements.json").read_text())
    rta = (measured["journeys"].get(JOURNEY) or {}).get("rta")
    bounds = None if not rta or rta["hi"] is None else (rta["lo"] / 1e9, rta["hi"] / 1e9)
    losses = [loss for loss in measured["losses"].values() if loss["survivor"]]
    return Sample(
        result["outcome"],
        result["as-expected"],
        tuple(sorted((one["name"], one["outcome"]) for one in result["verdicts"])),
        bounds,
        len(losses[0]["lost"]) if losses else None,
        _fault_ms(measured["faults"]),
        tuple(
            f"{one['service']}: {one['kind']}, {one['what']}, {one.get('version', 'no version')}"
            for one in result["fidelity"]
        ),
    )


def _fault_ms(faults: Sequence[dict[str, Any]]) -> float | None:
    wide = [(one["hi"] - one["lo"]) / 1e6 for one in faults if one.get("hi") and one.get("lo")]
    return max(wide, default=None)


def differences(samples: Sequence[tuple[str, Sample]]) -> list[str]:
    """Verdicts that are not the same in all runs of one drill, with how often each outcome came on each runtime."""
    found = []
    names = dict.fromkeys(name for _, sample in samples for name, _ in sample.verdicts)
    for name in names:
        told = [(runtime, dict(sample.verdicts).get(name, "not judged")) for runtime, sample in samples]
        if len({outcome for _, outcome in told}) > 1:
            counted = Counter(told)
            found.append(
                f"{name}: " + ", ".join(f"{n} × {what} on {where}" for (where, what), n in counted.items())
            )
    return found


def row(drill: str, runtime: str, samples: Sequence[Sample]) -> tuple[str, ...]:
    """One line of the table."""
    outcomes = ", ".join(f"{n} {what}" for what, n in Counter(one.outcome for one in samples).items())
    uppers = sorted(one.rta_s[1] for one in samples if one.rta_s)
    widths = [one.rta_s[1] - one.rta_s[0] for one in samples if one.rta_s]
    lost = sorted(one.lost for one in samples if one.lost is not None)
    faults = [one.fault_ms for one in samples if one.fault_ms is not None]
    middle = f"{statistics.median(uppers):.2f}" if uppers else "–"
    spread = f"{uppers[0]:.2f} – {uppers[-1]:.2f}" if uppers else "–"
    wide = f"{statistics.median(widths):.2f}" if widths else "–"
    gone = f"{lost[0]} – {lost[-1]}" if lost else "–"
    kill = f"{statistics.median(faults):.0f} – {max(faults):.0f}" if faults else "–"
    return (drill, runtime, outcomes, middle, spread, wide, kill, gone)


HEADS = (
    "drill",
    "runtime",
    "outcomes",
    "RTA, s (median)",
    "RTA, s (spread)",
    "bounds, s apart",
    "fault, ms wide (median – most)",
    "lost",
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, default=10, help="of each drill on each runtime")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--drill", choices=DRILLS, action="append", help="only this one; may be repeated")
    parser.add_argument("--keep", type=Path, help="folder in which the run folders stay")
    asked = parser.parse_args()
    rows: list[tuple[str, ...]] = []
    wrong: list[str] = []
    fidelity: dict[str, tuple[str, ...]] = {}
    print(
        f"{datetime.now(UTC).date()}, {platform.system()} {platform.release()}, {os.cpu_count()} cores, "
        f"{asked.runs} runs of each drill on each runtime, seed {asked.seed}"
    )
    for drill in asked.drill or DRILLS:
        samples = []
        for number in range(asked.runs):
            for runtime in RUNTIMES:
                samples.append((runtime, run_once(drill, runtime, asked.seed, asked.keep)))
                last = samples[-1][1]
                told = f"{last.outcome}, RTA {last.rta_s}, fault {last.fault_ms} ms, load {os.getloadavg()[0]:.1f}"
                print(f"{drill} {number + 1} on {runtime}: {told}", file=sys.stderr)
        for runtime in RUNTIMES:
            own = [sample for where, sample in samples if where == runtime]
            rows.append(row(drill, runtime, own))
            fidelity[runtime] = own[0].fidelity
        wrong += [f"{drill}: {difference}" for difference in differences(samples)]
        unexpected = sum(not sample.as_expected for _, sample in samples)
        wrong += [f"{drill}: {unexpected} of {len(samples)} runs not as expected"] if unexpected else []
    print(tabulate(rows, headers=HEADS, disable_numparse=True))
    for runtime, services in fidelity.items():
        print(f"on {runtime}: " + "; ".join(services))
    print("\n".join(wrong) or "the same verdicts in every run")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
