"""The live view: lines that read well aloud, the customers' view by the clock, and nothing that drives a terminal."""

from __future__ import annotations

import io
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from chaoskit import pipeline, registry, spec
from chaoskit.cli.journeys_now import NO_ANSWER, NOTHING, JourneysNow
from chaoskit.cli.live import Screen
from chaoskit.cli.timeline_text import Narrator
from chaoskit.model.history import Event, Operation
from chaoskit.model.plan import Plan
from tests.cli.conftest import Desk

S = 1_000_000_000
BEGIN = 5 * S


@pytest.fixture
def plan(desk: Desk) -> Plan:
    desk.drill.write_text(
        desk.drill.read_text().replace(
            "respond: restart-service, on: web}",
            ("respond: restart-service, on: web, decision: {role: duty-manager, takes: 2m}}"),
        )
    )
    return pipeline.make_plan(spec.load(desk.drill, registry), "local")


def event(at_s: float, kind: str, **data: Any) -> Event:
    return Event(n=0, t=BEGIN + round(at_s * S), kind=kind, data=data, prev="", hash="")


def told(plan: Plan, *events: Event) -> list[str]:
    narrator = Narrator(plan)
    return [line for one in events if (line := narrator.line(one)) is not None]


def test_a_run_read_aloud(plan: Plan) -> None:
    lines = told(
        plan,
        event(0, "run.begin"),
        event(0, "phase", name="provision", state="begin"),
        event(2, "estate.ready", seconds=2.04),
        event(2, "slot.waiting", whom="run other (pid 7)", before=1),
        event(2, "slot.waiting", whom="run third (pid 9)", before=0),
        event(2, "phase", name="steady", state="begin"),
        event(7, "steady.ok", at="before"),
        event(7, "phase", name="steady", state="end"),
        event(7, "timeline.zero"),
        event(7, "fault.begin", step="process.kill", name="process.kill", target="web"),
        event(
            7.03, "fault.witnessed", step="process.kill", target="web", how="the kernel has none of them left"
        ),
        event(7.1, "detect.miss", step="restart-service", service="web", detail="connection refused"),
        event(7.2, "detect.miss", step="restart-service", service="web", detail="connection refused"),
        event(7.2, "detect.alert", step="restart-service", service="web", misses=2),
        event(7.2, "decision.begin", step="restart-service", role="duty-manager", takes_ns=120 * S),
        event(7.2, "decision.end", step="restart-service", role="duty-manager", takes_ns=120 * S, slept_ns=0),
        event(7.2, "response.begin", step="restart-service", name="restart-service", on=["web"]),
        event(7.5, "response.done", step="restart-service"),
        event(9.5, "journey.recovered", journey="visit"),
        event(9.6, "steady.ok", at="after", waited_ns=100_000_000),
        event(9.6, "phase", name="quiesce", state="begin"),
        event(10, "run.end", ended="complete", reason=""),
    )
    assert lines == [
        "   0.00 s  starting the system",
        "   2.00 s  the system is ready after 2.0 s",
        "   2.00 s  waiting for run other (pid 7) to finish measuring, and 1 before this one",
        "   2.00 s  waiting for run third (pid 9) to finish measuring",
        "   2.00 s  steady state: customers arrive, nothing is broken yet",
        "   7.00 s  the steady state holds before the faults",
        "  +0.00 s  the drill's clock starts",
        "  +0.00 s  FAULT process.kill on web",
        "  +0.03 s  witnessed: the kernel has none of them left",
        "  +0.10 s  web does not answer: connection refused",
        "  +0.20 s  ALERT web is down (2 looks in a row missed it)",
        "  +0.20 s  duty-manager decides (2m, modelled: nobody waits)",
        "  +0.20 s  RESPONSE restart-service on web",
        "  +0.50 s  done: restart-service",
        "  +2.50 s  visit is well, and has held (for now; judged at the end)",
        "  +2.60 s  the steady state holds after the faults, 0.1 s after every journey had held",
        "  +2.60 s  the load stops, faults are undone",
        "  +3.00 s  the run has ended, complete",
    ]


KINDS = [
    "abort",
    "detect.alert",
    "detect.miss",
    "detect.ok",
    "decision.begin",
    "decision.end",
    "estate.ready",
]
KINDS += [
    "fault.begin",
    "fault.failed",
    "fault.undone",
    "fault.unwitnessed",
    "fault.witnessed",
    "interrupted",
]
KINDS += [
    "journey.recovered",
    "lease.superseded",
    "phase",
    "response.begin",
    "response.done",
    "response.failed",
]
KINDS += [
    "run.end",
    "service.exit",
    "steady.failed",
    "steady.ok",
    "step.failed",
    "step.skipped",
    "trouble",
    "new.kind",
]


@pytest.mark.parametrize("kind", KINDS)
def test_an_event_that_says_less_is_still_told(plan: Plan, kind: str) -> None:
    told(plan, event(0, kind))


def operation(at_s: float, took_s: float, outcome: Any = "ok", **more: Any) -> Operation:
    at = BEGIN + round(at_s * S)
    return Operation(
        key="k",
        journey="visit",
        source="load",
        attempt=1,
        intended=at,
        done=at + round(took_s * S),
        outcome=outcome,
        **more,
    )


def test_customers_now_are_those_of_the_last_second(plan: Plan) -> None:
    now = JourneysNow(plan)
    (row,) = now.rows(BEGIN)
    assert (row.good, row.median, row.bad) == (NOTHING, NOTHING, False)
    now.see([operation(0.1 * n, 0.004) for n in range(9)])
    (row,) = now.rows(BEGIN + S)
    assert (row.good, row.median, row.bad) == ("100 %", "4 ms", False)
    now.see([operation(0.9, 0.05, "fail", status=503), operation(0.9, 1.05)])
    (row,) = now.rows(BEGIN + S)
    assert (row.good, row.trouble, row.bad) == ("81 %", "answer 503", True)


def test_silence_is_told_and_does_not_look_like_the_last_answer(plan: Plan) -> None:
    now = JourneysNow(plan)
    now.see([operation(0.1, 0.0004)])
    assert now.rows(BEGIN + S)[0].median == "< 1 ms"
    assert now.rows(BEGIN + 3 * S)[0].good == NO_ANSWER


def test_hostile_names_drive_nothing(plan: Plan) -> None:
    out = io.StringIO()
    screen = Screen(Console(file=out, force_terminal=False), plan)
    screen.hear(event(0, "trouble", what="\x1b[2J\u202e\r\nrun: pass [bold]markup[/bold] " + "x" * 10_000))
    text = out.getvalue()
    assert "[bold]markup[/bold]" in text
    assert text.count("\n") == 1
    assert len(text) < 1000
    assert not [char for char in text if char != "\n" and not char.isprintable()]


def test_without_a_terminal_a_view_every_five_seconds(plan: Plan) -> None:
    out = io.StringIO()
    time_ns = BEGIN
    screen = Screen(Console(file=out, force_terminal=False, width=200), plan, clock=lambda: time_ns)
    with screen.showing():
        screen.hear(event(0, "phase", name="steady", state="begin"))
        for n in range(11):
            time_ns = BEGIN + n * S
            screen.see([operation(n - 0.5, 0.004)])
    assert out.getvalue().count("customers now: visit 100 % good, 4 ms") == 2


@pytest.mark.parametrize(("terminal", "moves"), [("xterm-256color", True), ("dumb", False)])
def test_in_a_real_terminal(desk: Desk, terminal: str, moves: bool) -> None:
    """Narrow, too: 40 columns. A dumb terminal gets lines and nothing that moves a cursor."""
    text = in_terminal(desk, "run", desk.drill, env={"TERM": terminal, "COLUMNS": "40", "NO_COLOR": "1"})
    assert "FAULT process.kill on web" in text
    assert "shop-crash: pass" in text
    assert ("\x1b[" in text) is moves
    assert ("\x1b[1A" in text or "\x1b[2K" in text) is moves
    assert "\x1b[31m" not in text, "NO_COLOR"


def in_terminal(desk: Desk, *arguments: str | Path, env: dict[str, str]) -> str:
    """What a command writes to a terminal of its own."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "chaoskit", *map(str, arguments)],
        cwd=desk.folder,
        env=desk.environment(env),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    seen = b""
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:  # EIO: everybody on the other side has left
            break
        if not piece:
            break
        seen += piece
    os.close(ours)
    process.wait(timeout=60)
    return seen.decode()
