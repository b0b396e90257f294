"""How late the load sends at 1,000 operations a second: alone, and beside the running bank with customers of its own.

load 1,000/s ──► server (own process)     then the same, and beside it on the same cores:
                                          the reference bank ◄── its own load of 60/s
"""

from __future__ import annotations

import argparse
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import lateness  # beside this file
from load_generator import ROOT, said, spread
from tabulate import tabulate

from chaoskit import pipeline
from chaoskit.conductor.task import MeasurerTask
from chaoskit.quantity import Rate
from chaoskit.spec.alone import load_alone
from chaoskit.testing.estate import RunningEstate

LATE_MAX_MS = {"alone": 1.0, "beside the bank": 2.0}


@contextmanager
def bank(folder: Path) -> Iterator[None]:
    """The reference bank on the local runtime, with its customers."""
    system = load_alone(ROOT / "fixtures" / "bank" / "system.yaml")
    estate = RunningEstate(system, pipeline.runtime("local"), folder / "reports")
    try:
        at = estate.direct("gateway")
        task = MeasurerTask(
            source="load",
            journeys=dict(system.system.journeys),
            rates={"transfer": Rate.parse("40/s"), "balance": Rate.parse("20/s")},
            population=system.system.population,
            seed=1,
            salt="beside",
            targets={"gateway": (at.host, at.port)},
            start_at_ns=time.monotonic_ns(),
            journal=folder / "bank.jsonl",
        )
        process = lateness._start(task)
        try:
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=20)
    finally:
        estate.close()


def how_late(rate: float, rounds: int, seconds: float) -> bool:
    """Print the send lateness alone and beside the running bank; whether both meet their targets."""
    asked = argparse.Namespace(rate=rate, probes=10, seconds=seconds, busy=0, no_realtime=False)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        late = {"alone": lates(asked, rounds, folder / "alone")}
        with bank(folder):
            late["beside the bank"] = lates(asked, rounds, folder / "beside")
    met = {where: statistics.median(p99) <= LATE_MAX_MS[where] for where, p99 in late.items()}
    rows = [
        [f"load of {rate:g}/s, {where}", spread(p99, ".2f"), f"≤ {LATE_MAX_MS[where]:g}", said(met[where])]
        for where, p99 in late.items()
    ]
    print(tabulate(rows, headers=["median (least – most)", "send lateness p99, ms", "target", ""]))
    return all(met.values())


def lates(asked: argparse.Namespace, rounds: int, folder: Path) -> list[float]:
    """The load's p99 in ms, round by round."""
    found = []
    for number in range(rounds):
        place = folder / str(number)
        place.mkdir(parents=True)
        rows = lateness.measure(asked, place)
        found += [float(str(row[5])) for row in rows if row[0] == "load"]
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rate", type=float, default=1000, help="operations per second")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5, help="of each round")
    asked = parser.parse_args()
    return 0 if how_late(asked.rate, asked.rounds, asked.seconds) else 1


if __name__ == "__main__":
    sys.exit(main())
