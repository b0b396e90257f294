"""What ten times as much costs: services, links, probes and operations, each grown alone, in one run.

services, links   until an estate of small web services is ready, and gone again
probes            the prober's processor time for a second of probing
operations        measuring and judging a recorded run
A factor of 10 is a cost that grows with the work; well below it, what is fixed still dominates.
"""

from __future__ import annotations

import argparse
import shlex
import shutil
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import lateness  # beside this file
from load_generator import processor_s, server
from tabulate import tabulate

from chaoskit import judging, pipeline
from chaoskit.conductor.task import MeasurerTask
from chaoskit.model.plan import ProbeSchedule
from chaoskit.quantity import Duration
from chaoskit.spec.alone import load_alone
from chaoskit.testing.estate import RunningEstate

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
WEB = ROOT / "tests" / "runtimes" / "local" / "tiny_web.py"
FACTOR_MAX = 12.0
"""Ten times the work and a fifth more: what grows faster than its work will be felt some day."""


def write_system(folder: Path, services: int, links: int) -> Path:
    """A system of so many web services, the first of them the customers', and so many links among them."""
    folder.mkdir(parents=True)
    web = shutil.copy(WEB, folder)
    names = [f"web{n}" for n in range(services)]
    pairs = [(a, b) for a in names for b in names if a != b][: links - 1]
    if len(pairs) < links - 1:
        raise ValueError(f"{services} services have no {links} links")
    run = f"python -S {shlex.quote(str(web))} {{address}} 8080"
    lines = ["system: mesh", "compose: compose.yaml", "links:", "  - customers -> web0"]
    lines += [f"  - {a} -> {b}" for a, b in pairs]
    lines += ["journeys:", '  visit: {get: "web0/", good: {status: 200, within: 1s}}', "local:"]
    lines += [f'  {name}: {{run: "{run}", ready: /}}' for name in names]
    (folder / "system.yaml").write_text("\n".join(lines) + "\n")
    lines = ["services:"]
    for name in names:
        peers = ",".join(f"http://{b}:8080" for a, b in pairs if a == name)
        lines.append(f'  {name}: {{image: web, expose: ["8080"], environment: {{PEERS: "{peers}"}}}}')
    (folder / "compose.yaml").write_text("\n".join(lines) + "\n")
    return folder / "system.yaml"


def estate_s(services: int, links: int) -> float:
    """Seconds until the estate is ready and then gone."""
    with tempfile.TemporaryDirectory() as name:
        loaded = load_alone(write_system(Path(name) / "system", services, links))
        estate = RunningEstate(loaded, pipeline.runtime("local"), Path(name) / "reports")
        begun = time.monotonic()
        try:
            estate.direct("web0")
        finally:
            estate.close()
        return time.monotonic() - begun


def probes_cpu_s(rate: int, seconds: float = 4.0) -> float:
    """Processor seconds of the prober in a second at so many probes a second."""
    with server() as (port, count), tempfile.TemporaryDirectory() as name:
        task = MeasurerTask(
            source="prober",
            journeys=lateness.JOURNEYS,
            probes=(ProbeSchedule(journey="balance", every=Duration.of_ns(10**9 // rate), phase_ns=0),),
            population=lateness.POPULATION,
            seed=1,
            targets={"bank": ("127.0.0.1", port)},
            start_at_ns=time.monotonic_ns(),
            journal=Path(name) / "prober.jsonl",
        )
        process = lateness._start(task)
        try:
            while count.value < rate:  # started, and in its rhythm
                time.sleep(0.05)
            used, begun = processor_s(process.pid), time.monotonic()
            time.sleep(seconds)
            return (processor_s(process.pid) - used) / (time.monotonic() - begun)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=20)


def judging_s(operations: int) -> float:
    """Seconds to measure and judge a recorded failover of about so many operations."""
    from tests.histories.builder import END, PERIOD, ZERO, RunBuilder, S

    with tempfile.TemporaryDirectory() as name:
        builder = RunBuilder().crash()
        recorded = sum(one["r"] != "done" for records in builder.records.values() for one in records)
        # In the steady phase, so that the outage and what is said of it stay the same.
        begin, end = ZERO - 5 * S, ZERO - PERIOD
        missing = operations - recorded
        if missing > 0:
            builder.arrivals("load", "transfer", begin, end, max(1, (end - begin) // missing))
        builder.records["load"].sort(key=lambda one: one.get("done") or one.get("woke") or END)
        folder = builder.write(Path(name) / "run")
        begun = time.monotonic()
        run = judging.judge_folder(folder)
        spent = time.monotonic() - begun
        if run.result.outcome != "pass":
            raise RuntimeError(f"{run.result.outcome}: {run.result.reason}")
        return spent


GROWTHS: dict[str, tuple[str, Callable[[int], float], int]] = {
    "services": ("up and gone, s", lambda n: estate_s(n, 2), 4),
    "links": ("up and gone, s", lambda n: estate_s(9, n), 7),
    "probes a second": ("processor s/s", probes_cpu_s, 10),
    "operations": ("judged, s", judging_s, 6_000),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=list(GROWTHS))
    asked = parser.parse_args()
    rows, met = [], True
    for name, (unit, cost, one) in GROWTHS.items():
        if asked.only not in (None, name):
            continue
        found = [(cost(one), cost(10 * one)) for _ in range(asked.rounds)]
        factors = [b / a for a, b in found]
        good = statistics.median(factors) <= FACTOR_MAX
        met = met and good
        small, large = ([pair[n] for pair in found] for n in (0, 1))
        rows.append(
            [
                f"{name}: {one} to {10 * one}",
                unit,
                spread(small, ".3f"),
                spread(large, ".3f"),
                spread(factors, ".1f"),
                "met" if good else "MISSED",
            ]
        )
    heads = ["median (least – most)", "", "once", "ten times", f"factor (≤ {FACTOR_MAX:g})", ""]
    print(tabulate(rows, headers=heads))
    return 0 if met else 1


def spread(values: list[float], form: str) -> str:
    return f"{statistics.median(values):{form}} ({min(values):{form}} – {max(values):{form}})"


if __name__ == "__main__":
    sys.exit(main())
