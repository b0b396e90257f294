"""Requests per core second of the load generator against Locust's, on the same requests to the same server.

    one generator at a time ──► server (own process, counts what it has answered)
              └── its processor time, by the kernel's count, over the same seconds

Ours is an open loop: every operation is drawn, written to the journal before it is sent and again when it is answered.
Locust sends the same requests, with its usual users (HttpUser) and with its fastest (FastHttpUser), paced or as fast as
they can; it keeps a histogram. `scripts/set-up-bench` installs it. wrk, if it is on PATH, is shown and not compared: it
draws nothing, checks nothing and writes nothing down.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lateness  # beside this file
import uvloop
from tabulate import tabulate

from chaoskit.conductor.journal import JournalReader
from chaoskit.conductor.task import MeasurerTask
from chaoskit.quantity import Rate

ROOT = Path(__file__).parents[1]
LOCUST = ROOT / ".bench" / "bin" / "locust"
RATIO_MIN = 2.0
GOOD = b"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
USERS = """
import os, random, uuid
import locust
from locust import constant_throughput, task

EACH = float(os.environ["EACH"])


class Customer(getattr(locust, os.environ["USERS"])):
    if EACH:
        wait_time = constant_throughput(EACH)

    @task(6)
    def transfer(self):
        payer, payee = random.sample(range(1000), 2)
        body = {"id": str(uuid.uuid4()), "from": f"ACC-{payer:05d}", "to": f"ACC-{payee:05d}"}
        body["amount"] = f"{random.randint(100, 50000) / 100:.2f}"
        self.client.post("/transfers", json=body, name="transfer")

    @task(4)
    def balance(self):
        self.client.get(f"/accounts/ACC-{random.randrange(1000):05d}", name="balance")
"""
CUSTOMERS = 50
WRK_S = 5


class Answering(asyncio.Protocol):
    """Answers every request with the same bytes; requests here come whole and one at a time on a connection."""

    def __init__(self, count: Any) -> None:
        self.count = count

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        if data.endswith((b"\r\n\r\n", b"}")):
            self.count.value += 1
            self.transport.write(GOOD)


def serve(port: Any, count: Any) -> None:
    async def run() -> None:
        server = await asyncio.get_running_loop().create_server(lambda: Answering(count), "127.0.0.1", 0)
        port.put(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    uvloop.run(run())


@contextmanager
def server() -> Iterator[tuple[int, Any]]:
    """(port, count of answers); a server that has no word in what is measured."""
    port: Any = multiprocessing.Queue()
    count = multiprocessing.Value("Q", 0, lock=False)
    process = multiprocessing.Process(target=serve, args=(port, count), daemon=True)
    process.start()
    try:
        yield port.get(timeout=20), count
    finally:
        process.kill()
        process.join()


@dataclass(frozen=True)
class Rounds:
    """What one generator did, round by round."""

    rate: list[float]
    per_core_s: list[float]


def processor_s(pid: int) -> float:
    """Processor time of a process's threads so far, to the nanosecond, where /proc/<pid>/stat counts ticks of 10 ms."""
    threads = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(path.read_text().split()[0]) for path in threads) / 1e9


def observe(process: subprocess.Popen[bytes], count: Any, seconds: float) -> tuple[float, float]:
    """(requests per second, requests per core second) over some seconds in which the generator is in full swing."""
    begun = count.value
    limit = time.monotonic() + 30
    while count.value < begun + 200:
        if process.poll() is not None or time.monotonic() > limit:
            raise RuntimeError(f"{process.args!r} sends nothing (status {process.poll()})")
        time.sleep(0.05)
    time.sleep(1)
    before, used, at = count.value, processor_s(process.pid), time.monotonic()
    time.sleep(seconds)
    done, cost, span = count.value - before, processor_s(process.pid) - used, time.monotonic() - at
    return done / span, done / cost


def ours(port: int, count: Any, rate: float, seconds: float, folder: Path) -> tuple[float, float]:
    """The load of a drill, as the conductor starts it."""
    task = MeasurerTask(
        source="load",
        journeys=lateness.JOURNEYS,
        rates={
            "transfer": Rate.parse(f"{rate * 0.6:.1f}/s"),
            "balance": Rate.parse(f"{rate * 0.4:.1f}/s"),
        },
        population=lateness.POPULATION,
        seed=1,
        targets={"bank": ("127.0.0.1", port)},
        start_at_ns=time.monotonic_ns(),
        journal=folder / f"load-{time.monotonic_ns()}.jsonl",
    )
    process = lateness._start(task)
    try:
        found = observe(process, count, seconds)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=20)
    reader = JournalReader(task.journal)
    reader.poll()
    if reader.problems or reader.end is None:
        raise RuntimeError(f"the load's journal is not whole: {reader.problems}")
    return found


def locust(
    kind: str, port: int, count: Any, rate: float | None, seconds: float, folder: Path
) -> tuple[float, float]:
    """Locust without its web page; `rate` None: as fast as its users can."""
    users = folder / "users.py"
    users.write_text(USERS)
    process = subprocess.Popen(
        [
            *(LOCUST, "-f", users, "--headless", "--only-summary", "--host", f"http://127.0.0.1:{port}"),
            *("-u", str(CUSTOMERS), "-r", str(CUSTOMERS)),
        ],
        env={**os.environ, "EACH": str((rate or 0) / CUSTOMERS), "USERS": kind},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        return observe(process, count, seconds)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=20)


def wrk(port: int, count: Any) -> tuple[float, float] | None:
    """wrk with one thread; None where it is not installed."""
    path = shutil.which("wrk")
    if path is None:
        return None
    argv = [path, "-t1", f"-c{CUSTOMERS}", f"-d{WRK_S}s", f"http://127.0.0.1:{port}/accounts/ACC-00001"]
    before, begun = count.value, time.monotonic()
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL)
    _, _, used = os.wait4(process.pid, 0)
    done = count.value - before
    return done / (time.monotonic() - begun), done / (used.ru_utime + used.ru_stime)


def compare(rate: float, full: float, rounds: int, seconds: float) -> bool:
    """Print requests per core second of each, and the ratios; whether all meet their target."""
    with server() as (port, count), tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        generators: dict[str, Callable[[], tuple[float, float]]] = {
            f"chaoskit, {rate:g}/s": lambda: ours(port, count, rate, seconds, folder),
            f"chaoskit, {full:g}/s": lambda: ours(port, count, full, seconds, folder),
            f"Locust FastHttpUser, {rate:g}/s": lambda: locust(
                "FastHttpUser", port, count, rate, seconds, folder
            ),
            "Locust FastHttpUser, flat out": lambda: locust(
                "FastHttpUser", port, count, None, seconds, folder
            ),
            "Locust HttpUser, flat out": lambda: locust("HttpUser", port, count, None, seconds, folder),
        }
        found = {name: Rounds([], []) for name in generators}
        for _ in range(rounds):  # in turns, so that other work on the machine hits all of them
            for name, generate in generators.items():
                per_s, per_core_s = generate()
                found[name].rate.append(per_s)
                found[name].per_core_s.append(per_core_s)
        shown = wrk(port, count)
    rows = [[name, spread(one.rate), spread(one.per_core_s)] for name, one in found.items()]
    rows.append(["wrk (shown only)", *(f"{x:.0f}" for x in shown)] if shown else ["wrk: not on PATH", "", ""])
    print(tabulate(rows, headers=["median (least – most)", "requests/s", "requests per core second"]), "\n")
    paced, own, locust_paced, fast, usual = (one.per_core_s for one in found.values())
    compared = {
        "against Locust's usual users, both at full speed": (own, usual),
        "against Locust's fastest users, both at full speed": (own, fast),
        f"against Locust's fastest users, both at {rate:g}/s": (paced, locust_paced),
    }
    told, met = [], True
    for name, (a, b) in compared.items():
        ratios = [x / y for x, y in zip(a, b, strict=True)]
        good = statistics.median(ratios) >= RATIO_MIN
        met = met and good
        told.append([name, spread(ratios, ".2f"), f"≥ {RATIO_MIN:g}", said(good)])
    print(tabulate(told, headers=["requests per core second", "ratio", "target", ""]), "\n")
    return met


def spread(values: list[float], form: str = ".0f") -> str:
    return f"{statistics.median(values):{form}} ({min(values):{form}} – {max(values):{form}})"


def said(met: bool) -> str:
    return "met" if met else "MISSED"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rate", type=float, default=600, help="paced generators, requests per second")
    parser.add_argument(
        "--full-rate", type=float, default=4000, help="ours at full speed, requests per second"
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5, help="of each generator in each round")
    asked = parser.parse_args()
    if not LOCUST.exists():
        print("Locust is not there, so nothing is compared: scripts/set-up-bench installs it")
        return 1
    return 0 if compare(asked.rate, asked.full_rate, asked.rounds, asked.seconds) else 1


if __name__ == "__main__":
    sys.exit(main())
