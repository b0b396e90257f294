"""Known outages under simulated time: the same journals, events, files and judge, with a server that is a schedule.

    schedule ──► probes and load as the measurers would have journalled them ──► run folder ──► measured ──► judged
       │                                                                                        │ interval    │ verdict
       └──────► truth ──────────────────────────────────────────────────────────────────────────┴─ inside? ───┴─ true?

Each has a recovery time objective of its own, drawn about its truth: short of it, beyond it, and too near to tell.

Solid outages (clean, two in a row, a relapse within the hold, partial) have their truth on the schedule. For flapping
and brown-out the truth is the criterion itself, applied to the schedule at a thousand arrivals a second by code that
shares nothing with chaoskit.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from tabulate import tabulate

from chaoskit import evidence, metrics, registry
from chaoskit.judge.judge import judge
from tests.histories.builder import KILL_HI, KILL_LO, MS, PERIOD, SYSTEM, ZERO, RunBuilder, S, drill, plan_for

SOLID = ("clean", "two in a row", "relapse", "partial")
GAMBLES = ("flapping", "brown-out")
KINDS = SOLID + GAMBLES
HOLD, WINDOW, Q = 5 * S, 2 * S, 0.99
DENSE = MS
LATE_MAX = MS


@dataclass(frozen=True)
class Schedule:
    """When the server is good. `truth`: when it has recovered, by the criterion; `fault`: the true instant."""

    kind: str
    fault: int
    ends: tuple[int, ...]
    good: Callable[[int], bool]

    @property
    def end(self) -> int:
        return self.ends[-1]


@dataclass(frozen=True)
class Trial:
    """One outage as scheduled and as measured, ns."""

    kind: str
    seed: int
    truth: int
    lo: int
    hi: int | None
    other: tuple[int, int | None] | None = None
    asked: int = 0
    verdict: str = "unknown"

    @property
    def judged_wrong(self) -> bool:
        """A pass of what took longer than was asked for, or a fail of what did not; unknown is neither."""
        return self.verdict != "unknown" and (self.verdict == "pass") != (self.truth <= self.asked)

    @property
    def contained(self) -> bool:
        return self.lo <= self.truth and (self.hi is None or self.truth <= self.hi)

    @property
    def width(self) -> int | None:
        return None if self.hi is None else self.hi - self.lo

    @property
    def narrow(self) -> bool:
        """No wider than two periods, the fault's own interval and the lateness of two probes."""
        return self.width is not None and self.width <= 2 * PERIOD + (KILL_HI - KILL_LO) + 2 * LATE_MAX

    @property
    def right(self) -> bool:
        """The truth is inside, at the stated width; a relapse just before the recovery may be wider (ADR 10)."""
        return self.contained and (self.narrow or self.kind == "relapse")


def schedule(kind: str, random: Random) -> Schedule:
    """A schedule of that kind, bad from a fault somewhere in the witnessed interval on."""
    fault = random.randint(KILL_LO, KILL_HI)
    first = fault + random.randint(300 * MS, 4 * S)
    bad: list[tuple[int, int]] = [(fault, first)]
    if kind == "two in a row":
        # The second outage comes after the first recovery has held, and before the run's end: seen, but not its RTA.
        start = first + HOLD + random.randint(300 * MS, 900 * MS)
        bad.append((start, start + random.randint(250 * MS, 800 * MS)))
    elif kind == "relapse":
        start = first + random.randint(500 * MS, 4 * S)
        bad.append((start, start + random.randint(250 * MS, 2 * S)))
    elif kind == "flapping":
        bad, at = [], fault
        for _ in range(random.randint(3, 7)):
            bad.append((at, at + random.randint(150 * MS, 900 * MS)))
            at = bad[-1][1] + random.randint(150 * MS, 900 * MS)
    elif kind == "brown-out":
        chance, stop = random.uniform(0.15, 0.8), fault + random.randint(2 * S, 5 * S)
        fate = np.random.default_rng(random.randrange(2**32)).random((stop - fault) // DENSE + 1) >= chance
        return Schedule(
            kind, fault, (stop,), lambda t: not fault <= t < stop or bool(fate[(t - fault) // DENSE])
        )
    return Schedule(
        kind, fault, tuple(end for _, end in bad), lambda t: not any(lo <= t < hi for lo, hi in bad)
    )


def truth_of(made: Schedule) -> int:
    """Nanoseconds from the fault to the recovery; for gambles by the criterion over dense arrivals."""
    if made.kind in SOLID:
        # A second outage that comes after the hold is another outage.
        return next(end for end in made.ends if _held(made, end)) - made.fault
    times_dense = np.arange(made.fault, made.end + HOLD + 2 * WINDOW, DENSE)
    good = np.fromiter((made.good(int(t)) for t in times_dense), dtype=bool, count=len(times_dense))
    total = np.concatenate([[0], np.cumsum(good)])
    per_window = WINDOW // DENSE
    full = total[per_window:] - total[:-per_window] >= Q * per_window - 1e-9
    windows = (HOLD - WINDOW) // DENSE + 1
    run = np.concatenate([[0], np.cumsum(full)])
    holds = run[windows:] - run[:-windows] == windows
    return int(np.flatnonzero(holds & good[: len(holds)])[0]) * DENSE


def _held(made: Schedule, start: int) -> bool:
    return all(made.good(t) for t in range(start, start + HOLD, 10 * MS))


def trial(kind: str, seed: int, folder: Path) -> Trial:
    """Build, write, measure and compare one run."""
    random = Random(f"{kind} {seed}")
    made = schedule(kind, random)
    end = made.end + HOLD + 3 * S
    truth = truth_of(made)
    asked = int(truth * Random(f"asked {kind} {seed}").uniform(0.7, 1.3)) // MS * MS
    builder = RunBuilder(plan=_plan(asked))
    builder.members = {}
    for journey in ("transfer", "balance"):
        good = made.good if kind != "partial" or journey == "transfer" else lambda t: True
        for source, instants in (("prober", _periodic(random, end)), ("load", _poisson(random, end))):
            for intended in instants:
                late = random.randrange(LATE_MAX)
                fine = good(intended + late)
                builder.operation(source, journey, intended, late=late, **_answer(fine, random))
    builder.usual_events()
    builder.events = [
        (max(t, end) if kind_ == "run.end" else t, kind_, data) for t, kind_, data in builder.events
    ]
    history = evidence.load_history(builder.write(folder))
    measured = metrics.measure(history)
    (verdict,) = (one for one in judge(history, measured, registry).verdicts if one.name == "transfer.rto")
    shutil.rmtree(folder)  # a thousand of them would be gigabytes
    rta, other = measured.journeys["transfer"].rta, measured.journeys["balance"].rta
    assert rta is not None, measured.journeys["transfer"].invalid
    return Trial(
        kind,
        seed,
        truth,
        rta.lo,
        rta.hi,
        (other.lo, other.hi) if other and kind == "partial" else None,
        asked,
        verdict.outcome,
    )


def _answer(fine: bool, random: Random) -> dict[str, Any]:
    if fine:
        return {"outcome": "ok", "took": random.randint(MS, 9 * MS)}
    return random.choice(
        (
            {"outcome": "fail", "took": MS},
            {"outcome": "unknown", "took": 2 * MS},
            {"outcome": "unknown", "took": 1_200 * MS},
        )
    )


def _periodic(random: Random, end: int) -> Sequence[int]:
    return range(ZERO - 6 * S + random.randrange(PERIOD), end, PERIOD)


def _poisson(random: Random, end: int) -> Sequence[int]:
    found, at = [], ZERO - 6 * S
    while (at := at + int(random.expovariate(20) * S)) < end:
        found.append(at)
    return found


def _plan(rto_ns: int) -> Any:
    objectives = {"transfer": {"rto": f"{rto_ns // MS}ms"}, "balance": {"rto": "30s"}}
    asked = drill(objectives=objectives, checks=[])
    system = {**SYSTEM, "books": {}, "journeys": {**SYSTEM["journeys"]}}
    system["journeys"]["transfer"] = {k: v for k, v in SYSTEM["journeys"]["transfer"].items() if k != "books"}
    return plan_for(asked, system)


def run(
    count: int, folder: Path, kinds: Sequence[str] = KINDS, seed: int = 0, processes: int = 1
) -> list[Trial]:
    """`count` trials, the kinds in turn; the same ones however many `processes` make them."""
    asked = [(kinds[n % len(kinds)], seed + n, folder / f"trial-{n}") for n in range(count)]
    if processes == 1:
        return [trial(*one) for one in asked]
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        return list(pool.map(trial, *zip(*asked, strict=True), chunksize=5))


def coverage(trials: Sequence[Trial], kind: str) -> float | None:
    """The share of that kind's intervals that contain the truth; None if there is none of it."""
    own = [one.contained for one in trials if one.kind == kind]
    return sum(own) / len(own) if own else None


def table(trials: Sequence[Trial]) -> str:
    """A row a kind: intervals that contain the truth, a lower bound on the coverage, widths, verdicts, untrue ones."""
    from chaoskit.metrics.metric_shift import miss_bound

    rows = []
    for kind in dict.fromkeys(trial.kind for trial in trials):
        own = [one for one in trials if one.kind == kind]
        inside = sum(one.contained for one in own)
        widths = [one.width / MS for one in own if one.width is not None]
        least = 1 - miss_bound(len(own) - inside, len(own), 0.95)
        median, most = (f"{np.median(widths):.0f}", f"{max(widths):.0f}") if widths else ("–", "–")
        told = [sum(one.verdict == outcome for one in own) for outcome in ("pass", "fail", "unknown")]
        rows.append(
            [
                *(
                    kind,
                    f"{inside} of {len(own)}",
                    f"{inside / len(own):.1%}",
                    f"≥ {least:.1%}",
                    median,
                    most,
                ),
                *told,
                sum(one.judged_wrong for one in own),
            ]
        )
    heads = ["outage", "truth inside", "coverage", "at 95 % confidence", "width ms, median", "most"]
    heads += ["pass", "fail", "unknown", "untrue"]
    return tabulate(rows, headers=heads, disable_numparse=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=10_000)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        trials = run(arguments.trials, Path(folder), seed=arguments.seed, processes=arguments.processes)
    print(table(trials))
    wrong = [one for one in trials if one.kind in SOLID and (not one.right or one.judged_wrong)]
    for one in wrong:
        print(f"WRONG: {one}")
    short = [kind for kind in GAMBLES if (found := coverage(trials, kind)) is not None and found < 0.95]
    for kind in short:
        print(f"TOO FEW: {kind}: less than 95 % of the intervals contain the truth")
    return 1 if wrong or short else 0


if __name__ == "__main__":
    sys.exit(main())
