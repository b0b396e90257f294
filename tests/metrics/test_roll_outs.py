"""Whom a release hit until the stop: the load's first attempts in that window, and nothing before or after it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from chaoskit.evidence import load_history
from chaoskit.judge.clocks import clock_rows
from chaoskit.metrics import measure
from chaoskit.model.measurement import Hit, Measurements
from tests.histories.builder import MS, SYSTEM, ZERO, RunBuilder, S, drill, plan_for

RELEASES = {"next": {"version": "2", "services": ["gateway", "ledger"]}}
SEEN, HALTED = ZERO + 200 * MS, ZERO + 3 * S


def built(witnessed: bool = True, halted: bool = True) -> RunBuilder:
    builder = RunBuilder(plan=plan_for(drill(), {**SYSTEM, "releases": RELEASES}))
    builder.usual_events()
    builder.events = [
        one for one in builder.events if not one[1].startswith(("fault.", "response.", "detect."))
    ]
    about = {"step": "roll-out", "target": "next"}
    builder.event(ZERO, "fault.begin", name="upgrade.roll-out", lo=ZERO, **about)
    if witnessed:
        builder.event(ZERO + S, "fault.witnessed", hi=SEEN, how="the service says so", **about)
    if halted:
        builder.event(
            HALTED, "response.fact", step="back", fact="halted", release="next", changed=["gateway"]
        )
    builder.events.sort(key=lambda one: one[0])
    builder.operation("prober", "balance", ZERO - 2 * S, values={"account": "C0"})
    for at, outcome in (
        (ZERO - S, "fail"),  # before the release
        (SEEN + MS, "ok"),
        (ZERO + S, "fail"),
        (ZERO + 2 * S, "unknown"),
        (HALTED - MS, "ok"),
        (HALTED + MS, "fail"),  # after the stop
    ):
        builder.operation("load", "balance", at, outcome=outcome, values={"account": "C1"})
    builder.operation("prober", "balance", ZERO + S, outcome="fail", values={"account": "C2"})
    return builder


def measured(builder: RunBuilder, folder: Path) -> Measurements:
    return measure(load_history(builder.write(folder)))


def test_the_share_that_was_hit_is_of_those_who_asked_until_the_stop(tmp_path: Path) -> None:
    found = measured(built(), tmp_path)
    (one,) = found.roll_outs
    assert (one.release, one.changed, one.services) == ("next", ("gateway",), ("gateway", "ledger"))
    assert one.hit["balance"] == Hit(asked=4, bad=2)
    row = next(row for row in clock_rows(found) if row.clock == "stopped: next")
    assert "1 of 2 services had it" in row.what
    assert "50.00 % of 4 balance" in row.what


def test_what_nobody_saw_or_nobody_stopped_hit_nobody_that_is_known(tmp_path: Path) -> None:
    assert measured(built(witnessed=False), tmp_path / "unseen").roll_outs == ()
    assert measured(built(halted=False), tmp_path / "unstopped").roll_outs == ()


CODE = ("restored", {"step": "back", "service": "gateway"})
DATA = ("restored", {"step": "restore", "service": "db", "backup": "books", "before": "next"})
FIXED = ("forwarded", {"step": "back", "service": "gateway", "release": "mended", "over": "next"})
FINISHED = ("finished", {"step": "back", "release": "mended", "over": "next", "script": "finish.sql"})
AGAIN = (
    "resubmitted",
    {"step": "again", "resubmitted": ["t-1", "t-2"], "replayed": ["t-0"], "refused": ["t-3"], "unknown": []},
)


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        (
            [CODE],
            "roll-back: the code was taken back, and what it wrote stayed; in the end 1 lost, 1 not as they were asked "
            "for",
        ),
        (
            [FINISHED, FIXED],
            "forward fix: mended was put over it, and what it wrote was mended by that release's migration; in the end "
            "1 lost, 1 not as they were asked for",
        ),
        ([FIXED], "forward fix: mended was put over it, and what it wrote stayed; in the end 1 lost"),
        ([FINISHED], "forward fix: mended was not put over it everywhere, and what it wrote was mended"),
        (
            [FIXED, DATA, AGAIN],
            "restore plus replay: mended was put over it, the books restored to before it",
        ),
        (
            [CODE, DATA],
            "restore: the code was taken back, the books restored to before it, and nothing sent again; in the end 1 "
            "lost",
        ),
        (
            [CODE, DATA, AGAIN],
            "restore plus replay: the code was taken back, the books restored to before it (3 accepted operations lost "
            "by that), 2 sent again; in the end 1 lost",
        ),
        ([DATA, AGAIN], "the code was not taken back everywhere, the books restored"),
        ([("restored", {**DATA[1], "before": None})], None),  # of another day: an attack's
        ([AGAIN], None),  # nothing had been restored
    ],
)
def test_which_way_back_it_was_and_what_it_cost(
    tmp_path: Path, facts: list[tuple[str, dict[str, Any]]], words: str | None
) -> None:
    builder = built()
    for number in range(2):  # one is not in the books, and one is there under another amount
        builder.operation("load", "transfer", ZERO - S + number * MS, posted=bool(number))
    builder.operation("load", "transfer", ZERO - 2 * S)
    builder.postings[0].amount += 1
    for number, (fact, data) in enumerate(facts):
        builder.event(HALTED + (1 + number) * MS, "response.fact", fact=fact, **data)
    builder.events.sort(key=lambda one: one[0])
    found = measured(builder, tmp_path)
    (one,) = found.roll_outs
    rows = [row.what for row in clock_rows(found) if row.clock == "back: next"]
    if words is None:
        assert (one.way_back, rows) == (None, [])
        return
    (row,) = rows
    assert words in row, row
    assert one.way_back is not None
    assert (one.way_back.lost, one.way_back.unreadable) == (1, 1)


def test_what_is_lost_is_unknown_without_a_surviving_ledger(tmp_path: Path) -> None:
    builder = built()
    builder.event(HALTED + MS, "response.fact", fact=CODE[0], **CODE[1])
    builder.events.sort(key=lambda one: one[0])
    builder.members["standby"]["writable"] = False
    found = measured(builder, tmp_path)
    (row,) = [row.what for row in clock_rows(found) if row.clock == "back: next"]
    assert row.endswith("what is lost or unreadable is unknown")
