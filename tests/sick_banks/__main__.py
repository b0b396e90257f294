"""`python -m tests.sick_banks`: every sick bank and the healthy one, drilled with several seeds; prints the matrix.

Exits 1 unless every sick bank was caught by its named check in every run and the healthy bank passed every one.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tabulate import tabulate

from tests.sick_banks.drilling import Ran, run
from tests.sick_banks.loading import SickBank, all_banks


def main(argv: Sequence[str] | None = None) -> int:
    """Run what was asked for, each result as it comes, then both tables."""
    asked = _arguments(argv)
    banks = [bank for bank in all_banks() if bank.name in asked.only or not asked.only]
    if unknown := set(asked.only) - {bank.name for bank in banks} - {"healthy"}:
        print(f"no such bank: {', '.join(sorted(unknown))}; see fixtures/sick_banks", file=sys.stderr)
        return 2
    sick: dict[str, list[Ran]] = {bank.name: [] for bank in banks}
    drills = sorted({bank.drill for bank in banks or all_banks()})
    healthy: dict[str, list[Ran]] = {drill: [] for drill in drills}
    rounds = max(asked.seeds, -(-asked.healthy // len(drills)))
    for seed in range(asked.first_seed, asked.first_seed + rounds):
        for bank in banks if seed < asked.first_seed + asked.seeds else []:
            sick[bank.name].append(ran := _tried(bank, bank.drill, seed, asked.keep))
            what = f"{ran.cases} × {bank.caught.by} · {ran.key}" if ran.answer == "caught" else ran.reason
            print(f"seed {seed} {bank.name}: {ran.answer} · {what}", flush=True)
        for drill in drills:
            if sum(map(len, healthy.values())) < asked.healthy:
                healthy[drill].append(ran := _tried(None, drill, seed, asked.keep))
                what = "" if ran.healthy else f" · {ran.reason}"
                print(f"seed {seed} healthy on {drill}: {ran.outcome}{what}", flush=True)
    print("\n" + matrix(banks, sick))
    print("\n" + healthy_table(healthy))
    right = all(ran.answer == "caught" for runs in sick.values() for ran in runs)
    return 0 if right and all(ran.healthy for runs in healthy.values() for ran in runs) else 1


def _tried(bank: SickBank | None, drill: str, seed: int, keep: Path | None) -> Ran:
    """A run that came to no result stays in the table, as one that is not caught and not healthy."""
    try:
        return run(bank, drill, seed, keep)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        return Ran("no result", (), (), str(error), "unknown")


def matrix(banks: Sequence[SickBank], sick: dict[str, list[Ran]]) -> str:
    """A row for each sick bank: caught by which check, in how many of its runs, with which key."""
    rows = []
    for bank in banks:
        runs = sick[bank.name]
        caught = [ran for ran in runs if ran.answer == "caught"]
        cases = [ran.cases for ran in caught]
        span = "–" if not cases else f"{min(cases)}–{max(cases)}"
        first = caught[0].key if caught else "–"
        share = f"{len(caught)} of {len(runs)}"
        rows.append([bank.name, bank.drill, f"{bank.caught.check}: {bank.caught.by}", share, span, first])
    return tabulate(rows, headers=("sick bank", "drill", "must be caught by", "caught", "cases", "first key"))


def healthy_table(healthy: dict[str, list[Ran]]) -> str:
    """The healthy bank on the same drills."""
    rows = [
        [drill, f"{sum(ran.healthy for ran in runs)} of {len(runs)}", _what_else(runs)]
        for drill, runs in sorted(healthy.items())
    ]
    every = [ran for runs in healthy.values() for ran in runs]
    rows.append(["all", f"{sum(ran.healthy for ran in every)} of {len(every)}", ""])
    return tabulate(rows, headers=("healthy bank on", "passed", "otherwise"))


def _what_else(runs: Sequence[Ran]) -> str:
    return "; ".join(
        f"{ran.outcome}: {', '.join(ran.failed + ran.unknown)}" for ran in runs if not ran.healthy
    )


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.sick_banks", description=__doc__)
    parser.add_argument("--seeds", type=int, default=2, help="runs of each sick bank, each with its own seed")
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--healthy", type=int, default=10, help="runs of the healthy bank, over all drills")
    parser.add_argument("--keep", type=Path, help="folder in which the run folders are kept")
    parser.add_argument("only", nargs="*", help="names of sick banks, or `healthy` for none; default: all")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
