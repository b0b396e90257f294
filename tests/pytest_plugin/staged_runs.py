"""Stands in for `pipeline.run` where a test is about pytest: the drill's title says how the run comes out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from chaoskit.evidence.chain import ChainWriter
from chaoskit.evidence.manifest import write_manifest
from chaoskit.evidence.seal import seal_files
from chaoskit.judging import Run
from chaoskit.model.history import History
from chaoskit.model.measurement import Clocks, Interval, JourneyMeasure, Measurements
from chaoskit.model.plan import Plan
from chaoskit.model.verdict import Outcome, Result, Verdict
from chaoskit.spec import Loaded

SYSTEM = """\
system: shop
compose: compose.yaml
links: [customers -> web]
journeys:
  visit: {get: web/, good: {status: 200, within: 1s}}
local:
  web: {run: "{python} -m http.server 8000 --bind {address}", ready: /}
"""
COMPOSE = """\
services:
  web: {image: python, command: python -m http.server 8000, expose: ["8000"]}
"""
DRILL = """\
drill: %(name)s
title: %(title)s
system: system.yaml
tags: [%(tags)s]
load: {visit: 20/s}
steady: {for: 1s, success: 95%%}
timeline:
  - {at: 0s, fault: process.kill, on: web}
  - {when: {down: web, every: 50ms, misses: 2}, respond: restart-service, on: web}
objectives:
  visit: {rto: %(rto)s}
settle: {hold: 2s, gap: 100ms}
"""
RTO_PLACE = (11, 16)
"""Line and column of the objective's value."""
CODES = {"pass": 0, "fail": 1, "unknown": 3, "aborted": 4, "interrupted": 130}


def drill(
    name: str = "shop-crash", title: str = "pass", tags: str = "", rto: str = "20s", more: str = ""
) -> str:
    """The text of a drill file."""
    return DRILL % {"name": name, "title": title, "tags": tags, "rto": rto} + more


def write(folder: Path, **drills: str) -> None:
    """The system's files, and drill files by name."""
    (folder / "system.yaml").write_text(SYSTEM)
    (folder / "compose.yaml").write_text(COMPOSE)
    for name, text in drills.items():
        (folder / f"{name}.yaml").write_text(text)


def run(loaded: Loaded, **options: Any) -> Run:
    """The first word of the title is the outcome; the rest becomes part of the reason."""
    word, _, rest = loaded.drill.title.partition(" ")
    outcome = cast(Outcome, {"interrupted": "aborted", "expected-fail": "fail"}.get(word, word))
    expected = loaded.drill.expect
    as_expected = word == "expected-fail"
    verdict = Verdict(
        name="visit.rto",
        outcome="unknown" if outcome == "aborted" else outcome,
        reason=f"recovered after 4.18 – 4.29 s {rest}".strip(),
    )
    result = Result(
        run="staged",
        drill=loaded.drill.drill,
        title=loaded.drill.title,
        outcome=outcome,
        expected="pass" if expected == "pass" else f"fail: {', '.join(expected.fail)}",
        as_expected=as_expected or outcome == "pass",
        exit_code=0 if as_expected else CODES[word],
        reason=verdict.reason,
        verdicts=(verdict,),
        scorecard=({"journey": "visit", "RTA (bounds)": "4.18 – 4.29 s", "verdict": outcome},),
        machine_s=(4.18, 4.29),
    )
    journey = JourneyMeasure(
        journey="visit",
        scheduled=10,
        good=9,
        ok=9,
        failed=1,
        unknown=0,
        good_ratio=0.9,
        latency_ms={},
        rta=Interval(lo=4_180_000_000, hi=4_290_000_000),
        probe_period=100_000_000,
    )
    measured = Measurements(run="staged", faults=(), journeys={"visit": journey}, losses={}, clocks=Clocks())
    folder = Path(options["reports"]) / f"staged-{loaded.drill.seed}"
    return Run(folder, cast(History, None), measured, result)


def run_plan(plan: Plan, *, reports: Path, **options: Any) -> Run:
    """A run of a series, published as a real one is, unless the title says that it vanishes."""
    made = run(cast(Loaded, SimpleNamespace(drill=plan.drill)), reports=reports)
    if "vanishing" in plan.drill.title:
        return made
    folder = reports / f"{plan.drill.drill}-{plan.seed}"
    folder.mkdir()
    (folder / "plan.json").write_text(plan.model_dump_json())
    with ChainWriter(folder / "events.jsonl") as chain:
        chain.append(1, "run.begin", {"run": folder.name})
        chain.append(2, "seal", {"files": seal_files(folder)})
    (folder / "result.json").write_text(made.result.model_dump_json())
    write_manifest(folder)
    return replace(made, folder=folder)
