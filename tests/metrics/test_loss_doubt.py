"""What may be missing through a proxy of ours: near whatever may have ended the primary, on the way to its standby."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from chaoskit.evidence import load_history
from chaoskit.metrics import measure
from chaoskit.model.measurement import LossMeasure
from tests.histories.builder import KILL_HI, MS, SYSTEM, ZERO, RunBuilder, S, drill, plan_for

LATER = ZERO + 6 * S
"""Long after the first fault, and after the response to it was done."""
SECOND = LATER + 2 * S
"""When the second recovery was done: from here on the survivor took everything itself."""
ROLE = SYSTEM["roles"]["database"]
ALONE = {**SYSTEM, "roles": {"database": {k: v for k, v in ROLE.items() if k != "standby"}}}
BY_CLASS = {**SYSTEM, "books": {"ledger": {"class": "books.py:Books"}}}
AGAIN = {"step": "again", "target": "db", "name": "process.kill"}


def measured(
    folder: Path,
    *events: tuple[int, str, dict[str, Any]],
    gaps: tuple[tuple[int, int], ...] = ((LATER - S, LATER),),
    link: str = "standby -> db",
    system: dict[str, Any] = SYSTEM,
) -> LossMeasure:
    """One payment was acknowledged half a second before `LATER`, and is gone."""
    builder = RunBuilder(plan=plan_for(drill(), system))
    builder.usual_events()
    for source in ("load", "prober"):
        builder.operation(source, "balance", ZERO - 2 * S)
    builder.operation("load", "transfer", ZERO - 3 * S)
    builder.operation("load", "transfer", LATER - 500 * MS, posted=False)
    for lo, hi in gaps:
        builder.event(hi, "proxy.held-up", lo=lo, hi=hi, links=[link], why="it was stopped")
    for at, kind, data in (*events, (SECOND - MS, "response.begin", {"step": "second"})):
        builder.event(at, kind, **data)
    builder.event(SECOND, "response.done", step="second")
    builder.events.sort(key=lambda one: one[0])
    history = load_history(builder.write(folder))
    assert history.problems == ()
    return measure(history).losses["ledger"]


def second_fault(folder: Path, **changes: Any) -> LossMeasure:
    return measured(
        folder,
        (LATER, "fault.begin", {**AGAIN, "lo": LATER}),
        (LATER + 2 * MS, "fault.witnessed", {**AGAIN, "hi": LATER + 2 * MS, "how": "the kernel"}),
        **changes,
    )


def test_a_later_fault_may_have_ended_the_primary(tmp_path: Path) -> None:
    loss = second_fault(tmp_path)
    assert len(loss.lost) == 1
    assert loss.surely() == ()
    assert loss.doubted == ((LATER - S, LATER + S),)
    assert "held up for 1000 ms" in loss.doubt


@pytest.mark.parametrize(
    ("at", "kind", "data"),
    [
        (LATER, "response.begin", {"step": "fence"}),
        (
            LATER,
            "service.exit",
            {"service": "db", "at": LATER, "status": "killed by signal 11", "log_tail": []},
        ),
    ],
    ids=["a response that fences it", "it ended unasked"],
)
def test_so_may_a_response_or_the_primary_itself(
    tmp_path: Path, at: int, kind: str, data: dict[str, Any]
) -> None:
    assert measured(tmp_path / "with", (at, kind, data)).surely() == ()
    assert len(measured(tmp_path / "without").surely()) == 1, "nothing ended it near that time"


@pytest.mark.parametrize(
    ("changes", "sure"),
    [
        ({"link": "ledger -> db"}, 1),
        ({"link": "db -> standby"}, 0),
        ({"system": ALONE}, 1),
        ({"system": BY_CLASS, "link": "ledger -> db"}, 0),
        ({"gaps": ((LATER - S, LATER - 700 * MS),)}, 1),
        ({"gaps": ((LATER - 90 * MS, LATER),)}, 1),
    ],
    ids=[
        "not on the way to the standby",
        "the standby is called",
        "no standby",
        "books that nobody says the way of",
        "drained before it was acknowledged",
        "no longer than a period",
    ],
)
def test_only_what_was_on_its_way_to_a_standby_is_in_doubt(
    tmp_path: Path, changes: dict[str, Any], sure: int
) -> None:
    assert len(second_fault(tmp_path, **changes).surely()) == sure


def test_what_the_survivor_took_itself_is_in_no_doubt(tmp_path: Path) -> None:
    assert second_fault(tmp_path, gaps=((LATER - S, LATER + 5 * S),)).doubted == ((LATER - S, SECOND),)


def test_what_was_acknowledged_between_two_hold_ups_is_lost(tmp_path: Path) -> None:
    apart = ((ZERO - S, KILL_HI), (LATER - 200 * MS, LATER))
    assert len(second_fault(tmp_path, gaps=apart).surely()) == 1
