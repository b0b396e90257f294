"""Known outages: a real server, the real prober, real sockets: does the measured interval contain the truth?

    harness ──► server (bad on schedule, tells when) ◄── probes ── prober ──► journal ──► outages ──► compare

A trial passes when the interval (a_k − a_j, a_l − a_i) contains the outage that the server's schedule made, and is no
wider than two probe periods. For a hang the truth ends `within` before the thaw: who came later was answered in time.

The truth is known to within two things that the table shows as ±: how long the switch took, and how long a probe
next to it took to reach the server (at most its whole round trip): a customer's arrival is good or bad by when the
request gets there. An interval beside the truth is wrong (exit 1).

A trial with a probe at its edges that was late by more than a period, or not sent, is void, as a drill would be
unknown: a virtual machine that was paused for 50 ms cannot time anything. The rule looks at the prober alone, never
at the truth. Void trials are printed, and made up for by others in at most two more sessions (else exit 3).
"""

from __future__ import annotations

import argparse
import json
import math
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from tabulate import tabulate

from chaoskit.conductor.journal import JournalReader
from chaoskit.conductor.task import MeasurerTask
from chaoskit.model.history import Operation
from chaoskit.model.plan import ProbeSchedule
from chaoskit.model.system import Good, Journey
from chaoskit.quantity import Duration

PERIOD_NS = 10_000_000
WITHIN_NS = 100_000_000
KINDS = ("refuse", "503", "hang")
JOURNEY = "ping"
JOURNAL = "prober.jsonl"
_MS = 1_000_000


@dataclass(frozen=True)
class Trial:
    """One outage on the server's schedule; CLOCK_MONOTONIC ns."""

    kind: str
    start_ns: int
    end_ns: int


@dataclass(frozen=True)
class Result:
    """One outage as scheduled and as measured; ns."""

    kind: str
    truth: int
    truth_error: int
    measured: tuple[int, int] | None
    problem: str = ""
    first_bad: int | None = None

    @property
    def exact(self) -> bool:
        """The truth's own best value lies in the interval."""
        return self.measured is not None and self.measured[0] <= self.truth <= self.measured[1]

    @property
    def contained(self) -> bool:
        """The interval and the truth, each with its bounds, agree."""
        return self.measured is not None and (
            self.measured[0] - self.truth_error <= self.truth <= self.measured[1] + self.truth_error
        )

    @property
    def width(self) -> int:
        return self.measured[1] - self.measured[0] if self.measured else 0

    @property
    def passed(self) -> bool:
        return self.contained and self.width <= 2 * PERIOD_NS and not self.problem

    @property
    def wrong(self) -> bool:
        """An answer was given, and it is not the truth."""
        return not self.passed and not self.problem


def planned(count: int, start_ns: int, seed: int) -> list[Trial]:
    """Outages of 0.2–0.6 s at instants that have nothing to do with the probes', in random order of kind."""
    random = Random(seed)
    kinds = [KINDS[n % len(KINDS)] for n in range(count)]
    random.shuffle(kinds)
    trials, at = [], start_ns
    for kind in kinds:
        at += random.randint(220 * _MS, 280 * _MS)
        end = at + random.randint(200 * _MS, 600 * _MS)
        trials.append(Trial(kind, at, end))
        at = end
    return trials


def run(count: int, seed: int, folder: Path) -> list[Result]:
    """One session of one prober and one server; raises RuntimeError when either breaks."""
    here = Path(__file__).parent
    server = _start([sys.executable, str(here / "server.py")])
    try:
        port = json.loads(_line(server))["port"]
        start_ns = time.monotonic_ns() + 1_000 * _MS
        trials = planned(count, start_ns + 300 * _MS, seed)
        journal = folder / JOURNAL
        prober = _start([sys.executable, "-m", "chaoskit.conductor.prober"])
        try:
            _write(prober, _task(port, start_ns, seed, journal).model_dump_json())
            assert prober.stdin is not None
            prober.stdin.close()
            _write(server, json.dumps({"trials": [vars(trial) for trial in trials]}) + "\n")
            switches = json.loads(_line(server))["switches"]
            time.sleep(0.3)  # the probes after the last outage; nothing tells when enough have been sent
            prober.send_signal(signal.SIGTERM)
            if (status := prober.wait(timeout=10)) != 0:
                raise RuntimeError(f"the prober ended with {status}")
        finally:
            _end(prober)
    finally:
        _end(server)
    return _compare(switches, journal)


def run_measured(count: int, seed: int, folder: Path) -> list[Result]:
    """As many trials as asked for that are not void, and the void ones, in order; fewer after three sessions."""
    results: list[Result] = []
    for session in range(3):
        missing = count - sum(not result.problem for result in results)
        if missing:
            place = folder / f"session-{session}"
            place.mkdir()
            results += run(missing, seed + session, place)
    return results


def _task(port: int, start_ns: int, seed: int, journal: Path) -> MeasurerTask:
    within = Duration.of_ns(WITHIN_NS)
    return MeasurerTask(
        source="prober",
        journeys={JOURNEY: Journey(post="bank/ping", good=Good(status=201, within=within))},
        probes=(
            ProbeSchedule(
                journey=JOURNEY,
                every=Duration.of_ns(PERIOD_NS),
                phase_ns=Random(seed + 1).randrange(PERIOD_NS),
            ),
        ),
        seed=seed,
        targets={"bank": ("127.0.0.1", port)},
        start_at_ns=start_ns,
        journal=journal,
    )


def read(journal: Path) -> list[Operation]:
    """The probes by intended time; raises RuntimeError unless the journal is whole."""
    reader = JournalReader(journal)
    operations = sorted(reader.operations(), key=lambda operation: operation.intended)
    if reader.problems or reader.end is None:
        raise RuntimeError(f"the journal is damaged or has no end: {reader.problems}")
    return operations


def _compare(switches: Sequence[dict[str, Any]], journal: Path) -> list[Result]:
    operations = read(journal)
    results = []
    for n, switch in enumerate(switches):
        # a trial's probes: from half-way since the trial before to half-way to the next
        opens = (switches[n - 1]["end"][1] + switch["start"][0]) // 2 if n else 0
        last = n + 1 == len(switches)
        closes = 2**63 if last else (switch["end"][1] + switches[n + 1]["start"][0]) // 2
        results.append(_judge(switch, [o for o in operations if opens <= o.intended < closes]))
    return results


def _judge(switch: dict[str, Any], probes: Sequence[Operation]) -> Result:
    (start_lo, start_hi), (end_lo, end_hi) = switch["start"], switch["end"]
    truth = (end_lo + end_hi) // 2 - (start_lo + start_hi) // 2
    truth -= WITHIN_NS if switch["kind"] == "hang" else 0
    error = (end_hi - end_lo + start_hi - start_lo) // 2
    bad = [n for n, probe in enumerate(probes) if not _good(probe)]
    if not bad or bad[0] == 0 or bad[-1] + 1 == len(probes):
        return Result(switch["kind"], truth, error, None)  # no outage seen between good probes: wrong
    edges = before, first, last, after = tuple(probes[n] for n in (bad[0] - 1, bad[0], bad[-1], bad[-1] + 1))
    error += max(_round_trip(before), _round_trip(after, switch))
    late = sum(probe.woke is None or probe.woke - probe.intended > PERIOD_NS for probe in edges)
    problem = f"{late} probes at the edges late or not sent" if late else ""
    measured = (last.intended - first.intended, after.intended - before.intended)
    return Result(switch["kind"], truth, error, measured, problem, first.intended)


def _good(probe: Operation) -> bool:
    return probe.outcome == "ok" and probe.done is not None and probe.done - probe.intended <= WITHIN_NS


def _round_trip(probe: Operation, switch: dict[str, Any] | None = None) -> int:
    """From the intended time to the answer, without the time a hanging server held it."""
    assert probe.done is not None
    if switch is not None and switch["kind"] == "hang" and probe.intended < switch["end"][0]:
        return max(0, probe.done - int(switch["end"][0]))
    return probe.done - probe.intended


def table(results: Sequence[Result]) -> str:
    """What a person reads: every trial, then the count."""
    rows = [
        (
            n,
            result.kind,
            f"{result.truth / _MS:.2f} ± {result.truth_error / _MS:.2f}",
            "–" if result.measured is None else "{:.2f} – {:.2f}".format(*(v / _MS for v in result.measured)),
            f"{result.width / _MS:.1f}",
            "void" if result.problem else _verdict(result),
            result.problem,
        )
        for n, result in enumerate(results, 1)
    ]
    headers = ("trial", "bad by", "truth, ms", "measured, ms", "width", "contained", "problem")
    passed, exact = sum(r.passed for r in results), sum(r.passed and r.exact for r in results)
    wrong = sum(result.wrong for result in results)
    widest = max((result.width for result in results if not result.problem), default=0) / _MS
    return (
        f"{tabulate(rows, headers=headers, disable_numparse=True)}\n\n"
        f"{passed} of {passed + wrong} intervals contain the truth ({exact} its best value); "
        f"{sum(bool(r.problem) for r in results)} trials were void; "
        f"widest {widest:.1f} ms at a period of {PERIOD_NS / _MS:.0f} ms"
    )


def _verdict(result: Result) -> str:
    return "yes" if result.exact else "within ±" if result.contained else "NO"


def _start(argv: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise RuntimeError(f"{process.args!r} ended with {process.wait()}")
    return line


def _write(process: subprocess.Popen[str], text: str) -> None:
    assert process.stdin is not None
    process.stdin.write(text)
    process.stdin.flush()


def _end(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            stream.close()


def main() -> int:
    parser = argparse.ArgumentParser(description="Known outages, measured: intervals against the truth.")
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4)), help="default: random")
    arguments = parser.parse_args()
    print(f"{arguments.trials} outages, seed {arguments.seed}, about {math.ceil(arguments.trials * 0.65)} s")
    with tempfile.TemporaryDirectory() as folder:
        results = run_measured(arguments.trials, arguments.seed, Path(folder))
    print(table(results))
    if any(result.wrong for result in results):
        return 1
    return 0 if sum(result.passed for result in results) >= arguments.trials else 3


if __name__ == "__main__":
    sys.exit(main())
