"""How late are load and prober while busy processes want the processors? Prints p50, p99 and max against the targets.

load 200/s ─┐
            ├──► server (own process)      n busy processes at nice +10 beside them
prober 100/s┘
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tabulate import tabulate

from chaoskit.conductor.journal import JournalReader
from chaoskit.conductor.task import MeasurerTask
from chaoskit.model.plan import ProbeSchedule
from chaoskit.model.system import Between, Good, Journey, Pick, Pool, Population
from chaoskit.quantity import Duration, Money, Rate

TARGET_P99_MS = 2.0
SERVER = Path(__file__).parents[1] / "tests" / "known_outages" / "server.py"
POPULATION = Population(pools={"accounts": Pool(count=1000, format="ACC-{n:05d}")})
GOOD = Good(status=201, within=Duration.parse("1s"))
JOURNEYS = {
    "transfer": Journey(
        post="bank/transfers",
        json_={"id": "{key}", "from": "{payer}", "to": "{payee}", "amount": "{amount}"},
        draw={
            "payer": "accounts",
            "payee": Pick(from_="accounts", except_="payer"),
            "amount": Between(between=(Money.parse("1 EUR"), Money.parse("500 EUR"))),
        },
        books="ledger",
        good=GOOD,
    ),
    "balance": Journey(get="bank/accounts/{account}", draw={"account": "accounts"}, good=GOOD),
}


def tasks(arguments: argparse.Namespace, port: int, folder: Path) -> list[MeasurerTask]:
    """One load over two journeys and one prober with the rest of the period between its journeys' phases."""
    period = Duration.of_ns(int(2e9 / arguments.probes))
    start_ns = time.monotonic_ns() + 1_500_000_000
    probes = tuple(
        ProbeSchedule(journey=name, every=period, phase_ns=n * period.ns // 2)
        for n, name in enumerate(JOURNEYS)
    )
    rates = {
        "transfer": Rate.parse(f"{arguments.rate * 0.6:.1f}/s"),
        "balance": Rate.parse(f"{arguments.rate * 0.4:.1f}/s"),
    }
    return [
        MeasurerTask(
            source=source,
            journeys=JOURNEYS,
            rates=rates if source == "load" else {},
            probes=probes if source == "prober" else (),
            population=POPULATION,
            seed=1,
            targets={"bank": ("127.0.0.1", port)},
            start_at_ns=start_ns,
            journal=folder / f"{source}.jsonl",
            realtime=not arguments.no_realtime,
        )
        for source in ("load", "prober")
    ]


def measure(arguments: argparse.Namespace, folder: Path) -> list[tuple[object, ...]]:
    """Rows of the table, one a measurer."""
    with subprocess.Popen(
        [sys.executable, str(SERVER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        port = json.loads(server.stdout.readline())["port"]
        busy = [
            subprocess.Popen([sys.executable, "-c", "while True: pass"], preexec_fn=lambda: os.nice(10))
            for _ in range(arguments.busy)
        ]
        rows = []
        try:
            measurers = [(task, _start(task)) for task in tasks(arguments, port, folder)]
            time.sleep(1.5 + arguments.seconds)
            for task, process in measurers:
                process.send_signal(signal.SIGTERM)
                if (status := process.wait(timeout=10)) != 0:
                    raise RuntimeError(f"{task.source} ended with {status}")
                rows.append(_row(task))
        finally:
            for process in busy:
                process.kill()
                process.wait()
            server.kill()
    return rows


def _start(task: MeasurerTask) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-m", f"chaoskit.conductor.{task.source}"], stdin=subprocess.PIPE
    )
    assert process.stdin is not None
    process.stdin.write(task.model_dump_json().encode())
    process.stdin.close()
    return process


def _row(task: MeasurerTask) -> tuple[object, ...]:
    reader = JournalReader(task.journal)
    reader.poll()
    if reader.end is None or reader.header is None or reader.problems:
        raise RuntimeError(f"{task.source}: no whole journal {reader.problems}")
    late = reader.end["late_ms"]
    return (
        task.source,
        reader.header["scheduling"],
        reader.end["sent"],
        reader.end["missed"],
        late["p50"],
        late["p99"],
        late["max"],
        TARGET_P99_MS,
        f"{reader.end['cpu_ns'] / 1e3 / max(1, reader.end['sent']):.0f}",
        "met" if late["p99"] <= TARGET_P99_MS and not reader.end["missed"] else "MISSED",
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=200, help="load, operations per second")
    parser.add_argument("--probes", type=float, default=100, help="probes per second")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--busy", type=int, default=4, help="busy processes at nice +10")
    parser.add_argument("--no-realtime", action="store_true", help="as without root: ask for no priority")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = measure(arguments, Path(folder))
    print(
        f"{arguments.busy} busy processes at nice +10 on {os.cpu_count()} processors, {arguments.seconds:g} s"
    )
    headers = (
        "",
        "scheduling",
        "sent",
        "missed",
        "p50 ms",
        "p99 ms",
        "max ms",
        "target p99",
        "µs CPU/op",
        "",
    )
    print(tabulate(rows, headers=headers))
    return 0 if all(row[-1] == "met" for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
