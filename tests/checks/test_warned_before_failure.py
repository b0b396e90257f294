"""warned-before-failure: how long before the first failure an indicator spoke, and the histories that it rejects."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from chaoskit.checks.warned_before_failure import WarnedBeforeFailure
from chaoskit.evidence import load_history
from chaoskit.judge.clocks import clock_rows
from chaoskit.metrics import measure
from tests.histories.builder import END, KILL_LO, MS, ZERO, RunBuilder, S, drill, plan_for

BELOW, ABOVE, FAILED, ACTED = ZERO + 1800 * MS, ZERO + 2 * S, ZERO + 3 * S, ZERO + 5 * S


def watched(
    *,
    below: int | None = BELOW,
    above: int | None = ABOVE,
    bad: int | None = FAILED,
    acted: bool = True,
    looks: int = 9,
    blind: list[int] | None = None,
    target: str = "db",
) -> RunBuilder:
    """An indicator that passes its mark at 2 s, customers that fail from 3 s to 5 s, and somebody who acts at 5 s."""
    builder = RunBuilder(plan=plan_for(drill(checks=[])))
    builder.usual_events()
    builder.events = [one for one in builder.events if not one[1].startswith(("response.", "detect."))]
    for source in ("load", "prober"):
        builder.arrivals(
            source, "balance", ZERO - 2 * S, END, 100 * MS, lambda t: bad is None or not bad <= t < ACTED
        )
    said: dict[str, Any] = {"what": "disk of db", "warn": 0.8, "last": "81 of 100 bytes", "looks": looks}
    spans = [blind] if blind is not None else []
    facts = {"indicator": {**said, "below_ns": below, "above_ns": above, "blind": spans}}
    about = {"step": "indicator", "name": "disk-used", "target": target, "begun": ZERO + 100 * MS}
    builder.event(above or ZERO + 15 * S, "probe.looked", ok=above is None, detail="", facts=facts, **about)
    if acted:
        builder.event(ACTED, "response.begin", step="tidy-up", name="restart-service")
    builder.events.sort(key=lambda one: one[0])
    return builder


@pytest.mark.parametrize(
    ("change", "outcome", "words"),
    [
        ({}, "pass", "disk of db passed its mark (81 of 100 bytes) 1.00 – 2.20 s before balance failed"),
        ({"bad": None}, "unknown", "nothing failed for at least 3.00 s until tidy-up"),
        ({"bad": None, "acted": False}, "unknown", "until the end: whether anything would have is not known"),
        ({"blind": [FAILED + 100 * MS, FAILED + 300 * MS]}, "unknown", "could not be seen while balance"),
        ({"blind": [KILL_LO, ZERO + 400 * MS]}, "pass", "before balance failed"),
        ({"target": "elsewhere"}, "unknown", "balance, which failed, goes through nothing of elsewhere"),
        (
            {"bad": ZERO + 1500 * MS - 1200 * MS},
            "fail",
            "balance was failing before disk of db passed its mark",
        ),
        ({"above": None}, "fail", "disk of db stayed below its mark (81 of 100 bytes), and balance failed"),
        (
            {"above": None, "bad": None},
            "unknown",
            "stayed below its mark (81 of 100 bytes), and nothing failed",
        ),
        ({"below": None}, "unknown", "was past its mark at the first look"),
        ({"above": KILL_LO - MS, "below": KILL_LO - 2 * MS}, "unknown", "that is a false alarm"),
        ({"looks": 0}, "unknown", "nothing could be seen of it"),
    ],
)
def test_whether_it_warned_in_time(tmp_path: Path, change: dict[str, Any], outcome: str, words: str) -> None:
    history = load_history(watched(**change).write(tmp_path / "run"))
    assert history.problems == ()
    measured = measure(history)
    verdict = WarnedBeforeFailure().judge(history, measured)
    assert (verdict.outcome, words in verdict.reason) == (outcome, True), verdict.reason
    (row,) = [one for one in clock_rows(measured) if one.clock == "warned: indicator"]
    assert "80.00 %: disk of db, 81 of 100 bytes" in row.what


def never_up(builder: RunBuilder, served: int | None = None) -> RunBuilder:
    """The release that comes about until 2.5 s is never healthy: all goes on failing, but for one at `served`."""
    builder.without("fault.begin", "fault.applied", "fault.witnessed")
    about = {"step": "roll-out", "target": "hoard"}
    builder.event(ZERO + 50 * MS, "fault.begin", name="upgrade.roll-out", lo=ZERO + 50 * MS, **about)
    builder.event(ZERO + 2500 * MS, "fault.witnessed", hi=ZERO + 400 * MS, how="it says so", **about)
    builder.events.sort(key=lambda one: one[0])
    if served is not None:
        builder.operation("load", "balance", served)
    return builder


@pytest.mark.parametrize("above", [None, ABOVE + S])
def test_a_release_that_never_served_anybody_used_nothing_up(tmp_path: Path, above: int | None) -> None:
    change: dict[str, Any] = {"bad": ZERO + 100 * MS, "above": above, "below": ABOVE}
    found = {}
    for served in (None, ZERO + 2600 * MS):
        folder = tmp_path / str(served)
        history = load_history(never_up(watched(**change), served).write(folder))
        found[served] = WarnedBeforeFailure().judge(history, measure(history))
    never, once = found.values()
    assert (never.outcome, "balance served nobody again after" in never.reason) == ("unknown", True), (
        never.reason
    )
    assert once.outcome == "fail", once.reason


def test_who_is_not_served_since_the_disk_was_taken_is_whom_there_was_to_warn_of(tmp_path: Path) -> None:
    """A second fault takes the rest while customers are well; from then on nobody is served until somebody acts."""
    found = {}
    for name in ("disk.full", "upgrade.roll-out"):
        builder = watched(below=BELOW, above=ABOVE, bad=FAILED)
        about = {"step": "rest", "target": "db"}
        builder.event(FAILED - 50 * MS, "fault.begin", name=name, lo=FAILED - 50 * MS, **about)
        builder.event(FAILED + 300 * MS, "fault.witnessed", hi=FAILED + 200 * MS, how="it says so", **about)
        builder.events.sort(key=lambda one: one[0])
        history = load_history(builder.write(tmp_path / name))
        found[name] = WarnedBeforeFailure().judge(history, measure(history))
    assert found["disk.full"].outcome == "pass", found["disk.full"].reason
    assert found["upgrade.roll-out"].outcome == "unknown"


def test_another_journey_that_fails_in_time_is_no_proof_while_one_was_never_served(tmp_path: Path) -> None:
    builder = never_up(watched())
    for at in range(ZERO + 60 * MS, ACTED, 100 * MS):
        builder.operation("prober", "transfer", at, outcome="fail")
    history = load_history(builder.write(tmp_path))
    verdict = WarnedBeforeFailure().judge(history, measure(history))
    assert (verdict.outcome, "transfer served nobody again" in verdict.reason) == ("unknown", True), (
        verdict.reason
    )


def test_a_failure_after_somebody_acted_is_not_the_one_that_was_warned_of(tmp_path: Path) -> None:
    builder = watched(bad=None)
    builder.operation("load", "balance", ACTED + 100 * MS, outcome="fail")
    (one,) = measure(load_history(builder.write(tmp_path / "run"))).warnings
    assert (one.failed, one.acted) == (None, "tidy-up")


def test_nobody_watched(tmp_path: Path) -> None:
    builder = watched()
    builder.events = [one for one in builder.events if one[1] != "probe.looked"]
    history = load_history(builder.write(tmp_path / "run"))
    verdict = WarnedBeforeFailure().judge(history, measure(history))
    assert (verdict.outcome, verdict.exercised) == ("unknown", False)


def test_an_indicator_that_told_nothing_is_no_warning_beside_one_that_did(tmp_path: Path) -> None:
    builder = watched()
    about = {"step": "memory", "name": "memory-used", "target": "db", "begun": ZERO + 100 * MS, "found": []}
    builder.event(ZERO + 25 * S, "probe.looked", ok=False, detail="no answer in time", **about)
    builder.events.sort(key=lambda one: one[0])
    history = load_history(builder.write(tmp_path / "run"))
    verdict = WarnedBeforeFailure().judge(history, measure(history))
    assert (verdict.outcome, verdict.reason) == ("unknown", "memory: no answer in time")
