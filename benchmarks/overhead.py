"""What a drill costs above the same steps done by hand: the flagship, and a script that does what its file says.

by hand: start the bank's programs, customers and probes, wait 5 s, kill the primary, look three times, promote, wait
         for a good transfer, hold for 5 s, look at the books, stop everything: no links, leases, witness or verdict.
"""

from __future__ import annotations

import argparse
import json
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid
from pathlib import Path

import estate_start  # beside this file
import lateness
import psycopg
from estate_start import BANK, GATEWAY, PRIMARY, ROOT, STANDBY, ByHand, spread, until
from tabulate import tabulate

from chaoskit.conductor.task import MeasurerTask
from chaoskit.model.plan import ProbeSchedule
from chaoskit.quantity import Duration, Rate
from chaoskit.spec.alone import load_alone

DRILL = ROOT / "drills" / "server" / "ledger-primary-crash.yaml"
STEADY_S, HOLD_S, GAP_S, LOOK_S, LOOKS = 5.0, 5.0, 1.0, 0.1, 3
OVERHEAD_S_MAX = 4.0
CHECK = "SELECT coalesce(sum(amount), 0) FROM ledger.entries"


def drill() -> float:
    """Seconds of the whole command, without waiting for another drill's measurement on this machine."""
    with tempfile.TemporaryDirectory() as name:
        begun = time.monotonic()
        argv = [sys.executable, "-m", "chaoskit", "run", str(DRILL), "--reports", name]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        wall = time.monotonic() - begun
        (folder,) = (path for path in Path(name).iterdir() if path.is_dir())
        result = json.loads((folder / "result.json").read_text())
        if done.returncode != 0:
            print(f"the drill did not pass: {result['outcome']}: {result['reason']}")
        return wall - float(result["wall-s"].get("slot", 0.0))


def by_hand() -> float:
    """Seconds of the same steps, the start of Python included."""
    begun = time.monotonic()
    argv = [sys.executable, __file__, "--by-hand"]
    subprocess.run(argv, check=True)
    return time.monotonic() - begun


def steps() -> None:
    """The drill as a person would do it who has the commands at hand."""
    system = load_alone(BANK / "system.yaml").system
    with estate_start.folder() as place, ByHand(place) as bank:
        rates = {"transfer": Rate.parse("40/s"), "balance": Rate.parse("20/s"), "history": Rate.parse("2/s")}
        probes = tuple(
            ProbeSchedule(journey=name, every=Duration.parse("100ms"), phase_ns=n * 33_000_000)
            for n, name in enumerate(rates)
        )
        measurers = [
            lateness._start(
                MeasurerTask(
                    source=source,
                    journeys=dict(system.journeys),
                    rates=rates if source == "load" else {},
                    probes=probes if source == "prober" else (),
                    population=system.population,
                    seed=1,
                    targets={"gateway": (GATEWAY, 8080)},
                    start_at_ns=time.monotonic_ns(),
                    journal=place / f"{source}.jsonl",
                )
            )
            for source in ("load", "prober")
        ]
        try:
            time.sleep(STEADY_S)
            bank.processes["primary"].kill()
            bank.processes["primary"].wait()
            fail_over(bank)
            until(transfer, "a good transfer")
            time.sleep(HOLD_S + GAP_S)
        finally:
            for process in measurers:
                process.send_signal(signal.SIGTERM)
            for process in measurers:
                process.wait(timeout=20)
        with psycopg.connect(host=STANDBY, user="postgres", dbname="ledger") as base:
            row = base.execute(CHECK).fetchone()
            if row is None or row[0] != 0:
                raise RuntimeError(f"the books do not balance: {row}")


def fail_over(bank: ByHand) -> None:
    """Look until three looks in a row have missed the primary, then promote the standby."""
    misses = 0
    while misses < LOOKS:
        time.sleep(LOOK_S)
        try:
            bank.connect(PRIMARY).close()
        except psycopg.OperationalError:
            misses += 1
        else:
            misses = 0
    with bank.connect(STANDBY) as base:
        base.execute("SELECT pg_promote()")


def transfer() -> bool:
    body = {"id": str(uuid.uuid4()), "from": "ACC-00001", "to": "ACC-00002", "amount": "1.00"}
    request = urllib.request.Request(
        f"http://{GATEWAY}:8080/transfers",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=2) as answer:
        return bool(answer.status == 201)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--by-hand", action="store_true", help="do the steps once, by hand, and print nothing"
    )
    asked = parser.parse_args()
    if asked.by_hand:
        steps()
        return 0
    estate_start.local()  # the first start on a machine initialises a cluster, which later ones copy
    found = [(drill(), by_hand()) for _ in range(asked.rounds)]
    more = [a - b for a, b in found]
    met = statistics.median(more) <= OVERHEAD_S_MAX
    rows = [
        ["the drill, s", spread([a for a, _ in found]), "", ""],
        ["by hand, s", spread([b for _, b in found]), "", ""],
        ["drill / by hand", spread([a / b for a, b in found]), "", ""],
        ["drill - by hand, s", spread(more), f"≤ {OVERHEAD_S_MAX:g}", "met" if met else "MISSED"],
    ]
    print(tabulate(rows, headers=["median (least – most)", "", "target", ""]))
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
