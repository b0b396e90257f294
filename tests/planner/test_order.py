"""What the timeline makes certain: a step before anything is broken, or before what it needs, is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaoskit import pipeline, registry
from chaoskit.cli.app import run_app
from chaoskit.errors import InputError
from chaoskit.spec import load
from chaoskit.spec.alone import load_alone

ROOT = Path(__file__).parents[2]
KILL = "  - {at: 5s, id: crash, fault: process.kill, on: ledger-db}\n"
FREEZE = "  - {id: a, at: 5s, fault: process.freeze, on: ledger-db, for: 5s}\n"
SLOW = "  - {id: a, at: 5s, fault: link.latency, on: ledger -> ledger-db, latency: 400ms, for: 5s}\n"
PUSH = "  - {id: a, at: 5s, fault: mistake.wrong-command, on: ledger-db, setting: work_mem, value: 64kB, for: 5s}\n"
EMPTY = "  - {id: b, at: 6s, fault: mistake.wrong-command, on: ledger-db, truncate: ledger.entries}\n"
ROLL = "  - {at: 5s, fault: upgrade.roll-out, on: api-break}\n"


def planned(folder: Path, timeline: str, variant: str = "backups-apart") -> str:
    """The notes of the plan, or what refuses it."""
    file = folder / "drill.yaml"
    file.write_text(
        f"drill: order\ntitle: order\nsystem: {ROOT}/fixtures/bank/system.yaml\nvariant: {variant}\n"
        f"load: {{transfer: 5/s}}\ntimeline:\n{timeline}objectives: {{transfer: {{rto: 30s}}}}\n"
        "settle: {hold: 3s}\n",
        encoding="utf-8",
    )
    try:
        return "\n".join(pipeline.make_plan(load(file, registry), "local").notes)
    except InputError as error:
        return str(error)


@pytest.mark.parametrize(
    ("timeline", "said"),
    [
        (
            "  - {at: 0s, respond: promote-standby}\n" + KILL,
            ":7:23: `promote-standby` comes before anything is broken",
        ),
        (KILL + "  - {at: 4s, respond: restart-service, on: ledger}\n", "no fault begins before 5s"),
        (
            "  - {at: 0s, respond: restart-service, on: ledger}\n"
            "  - {when: {done: restart-service}, fault: process.kill, on: ledger-db}\n",
            "`restart-service` comes before anything is broken",
        ),
        ("  - {at: 0s, respond: verify-backup}\n", ":6:1: nothing is broken: the timeline has no fault"),
        (KILL + "  - {after: 1s, respond: roll-back}\n", "no `upgrade.roll-out` comes before it"),
        (
            KILL + "  - {at: 5s, respond: roll-back}\n" + ROLL.replace("5s", "6s"),
            "no `upgrade.roll-out` comes before",
        ),
        (KILL + "  - {after: 1s, respond: resubmit}\n", "no `restore-backup` comes before it"),
        (KILL + "  - {after: 1s, respond: roll-forward, to: good}\n", "`roll-forward` goes over a roll-out"),
        (
            ROLL + "  - {after: 1s, respond: roll-forward, to: api-break}\n",
            "`roll-forward` goes over a roll-out",
        ),
        (ROLL + "  - {after: 1s, respond: restore-backup, before: good}\n", "rolled out by then: api-break"),
        (KILL + "  - {after: 1s, respond: restart-service}\n", "`restart-service` needs `on:`"),
        (
            KILL + "  - {when: {done: crash}, respond: restart-service, on: ledger-db}\n",
            ":8:19: `crash` is undone by the drill's end only, so that `restart-service` would never begin",
        ),
        (KILL.replace("at: 5s", "when: {recovered: transfer}"), ":7:5: `crash` waits for what only a fault"),
        (KILL.replace("at: 5s", "when: {down: ledger}"), "`crash` waits for what only a fault"),
        (
            ROLL + "  - {at: 9s, id: second, fault: upgrade.roll-out, on: good}\n",
            ":8:33: `upgrade.roll-out` and `second` may both be changing gateway, ledger",
        ),
        (
            ROLL.replace("api-break", "[api-break, good]"),
            "`api-break` and `upgrade.roll-out` may both be changing",
        ),
        (
            ROLL + "  - {when: {begun: upgrade.roll-out}, respond: roll-back}\n"
            "  - {when: {begun: roll-back}, id: second, fault: upgrade.roll-out, on: good}\n",
            "may both be changing gateway, ledger",
        ),
        (
            FREEZE + "  - {at: 7s, id: b, fault: process.freeze, on: ledger-db, for: 9s}\n",
            "`b` overlaps `a` on ledger-db: the undo of one takes back both",
        ),
        (
            FREEZE + "  - {after: 1s, id: b, fault: process.freeze, on: [ledger, ledger-db]}\n",
            "`b` overlaps `a` on ledger-db",
        ),
        (SLOW + SLOW.replace("id: a, at: 5s", "id: b, at: 6s"), "`b` overlaps `a` on ledger -> ledger-db"),
        (
            SLOW + SLOW.replace("id: a, at: 5s", "id: b, at: 6s").replace("400ms", "0.4s, jitter: 0ms"),
            "`b` overlaps `a` on ledger -> ledger-db",
        ),
        (
            SLOW + SLOW.replace("id: a, at: 5s", "id: b, at: 6s").replace("400ms", "400ms, direction: both"),
            "`b` overlaps `a` on ledger -> ledger-db",
        ),
        (
            PUSH + PUSH.replace("id: a, at: 5s", "id: b, at: 6s").replace("work_mem", "WORK_MEM"),
            "`b` overlaps `a` on ledger-db",
        ),
        (
            PUSH + PUSH.replace("id: a, at: 5s", "id: b, at: 6s").replace("64kB", "1MB"),
            "`b` overlaps `a` on ledger-db: the undo of one takes back both",
        ),
        (
            "  - {at: 5s, fault: mistake.wrong-command, on: ledger-db, setting: work_mem}\n",
            "`truncate: TABLE`, or `setting: NAME` and `value: VALUE`: one of them, and all of it",
        ),
        (
            PUSH.replace("on: ledger-db", "on: gateway"),
            "gateway is the primary of no database role; known: ledger-db; no other database than PostgreSQL is known",
        ),
        (
            PUSH + "  - {after: 1s, respond: reset-setting, on: gateway, setting: work_mem}\n",
            "gateway is no member of a database role; members: ledger-db, ledger-db-standby; no other database",
        ),
        (
            KILL + "  - {after: 1s, respond: promote-standby, on: ledger}\n",
            "ledger is no member of a database role",
        ),
        (
            KILL + "  - {after: 1s, respond: promote-standby, on: [ledger-db, ledger-db-standby]}\n",
            "acts on one standby, not on ledger-db, ledger-db-standby",
        ),
    ],
)
def test_what_comes_too_early_is_refused_at_its_place(tmp_path: Path, timeline: str, said: str) -> None:
    told = planned(tmp_path, timeline)
    assert said in told
    assert "drill.yaml:" in told


@pytest.mark.parametrize(
    "other", [EMPTY, PUSH.replace("id: a, at: 5s", "id: b, at: 6s").replace("work_mem", "temp_buffers")]
)
def test_mistakes_of_which_neither_undoes_the_other_may_overlap(tmp_path: Path, other: str) -> None:
    assert "overlaps" not in planned(tmp_path, PUSH + other)
    assert "overlaps" not in planned(tmp_path, EMPTY + EMPTY.replace("id: b", "id: c, for: 9s"))


def test_validate_tells_it_as_well(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    planned(tmp_path, KILL + "  - {after: 1s, respond: roll-back}\n")
    assert run_app(["validate", str(tmp_path / "drill.yaml")]) == 2
    assert "drill.yaml:8:26: `roll-back` takes back a roll-out" in capsys.readouterr().err
    planned(tmp_path, KILL)
    assert run_app(["validate", str(tmp_path / "drill.yaml")]) == 0


@pytest.mark.parametrize("on", ["gateway", "ledger-db"])
def test_who_has_no_way_to_a_database_is_no_place_to_wreck_it_from(tmp_path: Path, on: str) -> None:
    told = planned(tmp_path, f"  - {{at: 1s, fault: attack.ransomware, on: {on}}}\n")
    assert f":7:5: no link of {on} leads to a database" in told


@pytest.mark.parametrize(
    "timeline",
    [
        "  - {at: 5s, respond: promote-standby}\n" + KILL,  # in one instant
        FREEZE + "  - {when: {done: a}, id: b, fault: process.freeze, on: ledger-db, for: 9s}\n",
        FREEZE
        + FREEZE.replace("id: a, at: 5s", "id: b, at: 7s").replace("for: 5s", "for: 3s"),  # both end at 10s
        FREEZE + "  - {at: 11s, id: b, fault: process.freeze, on: ledger-db, for: 9s}\n",
        FREEZE + "  - {at: 6s, id: b, fault: process.freeze, on: ledger, for: 9s}\n",
        SLOW + SLOW.replace("id: a, at: 5s", "id: b, at: 6s").replace("400ms", "500ms"),  # two toxics
        SLOW.replace("400ms", "400ms, direction: answers")
        + SLOW.replace("id: a, at: 5s", "id: b, at: 6s").replace("400ms", "400ms, direction: requests"),
        KILL
        + KILL.replace("id: crash", "id: again").replace("5s", "7s"),  # somebody may have started it again
        KILL + "  - {when: {down: ledger-db}, id: b, fault: process.kill, on: ledger}\n",
        ROLL + "  - {when: {begun: upgrade.roll-out}, respond: roll-back}\n"
        "  - {when: {done: roll-back}, id: second, fault: upgrade.roll-out, on: good}\n",
        ROLL.replace("on:", "for: 9s, on:")
        + "  - {at: 15s, id: second, fault: upgrade.roll-out, on: good}\n",
        "  - {when: {down: ledger-db}, respond: promote-standby}\n"
        + KILL,  # written before it, and waits for it
        "  - {at: 0s, respond: verify-backup}\n" + KILL,  # a look, by which nothing comes back
        ROLL + "  - {when: {begun: upgrade.roll-out}, respond: roll-back}\n",
        ROLL
        + "  - {after: 1s, respond: roll-forward, to: good}\n  - {after: 1s, respond: restore-backup, before: good}\n",
        ROLL
        + "  - {after: 1s, respond: restore-backup, before: api-break}\n  - {after: 1s, respond: resubmit}\n",
    ],
)
def test_what_may_come_in_time_is_planned(tmp_path: Path, timeline: str) -> None:
    assert "without recovery the run ends" in planned(tmp_path, timeline)


def test_a_system_alone_which_tests_drive_has_no_timeline_to_be_refused() -> None:
    alone = load_alone(ROOT / "fixtures" / "bank" / "system.yaml")
    assert pipeline.make_plan(alone, "local").steps == ()
