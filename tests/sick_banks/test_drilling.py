"""Caught means: by the named check, by a case of the named kind, with a key that was sent in this run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import tests.sick_banks.__main__ as command
from tests.sick_banks.drilling import Ran, read
from tests.sick_banks.loading import Caught, read_bank

KEY = "5df21dc1-613b-414c-b94d-935f4201a318"
STRANGER = "00000000-613b-414c-b94d-935f4201a318"
LOST = Caught("nothing-lost", "lost")


def result(folder: Path, outcome: str, *verdicts: tuple[str, str, str]) -> Path:
    """A run folder's result and journals, as far as they are read: (check, outcome, case)."""
    (folder / "ops").mkdir(parents=True)
    (folder / "ops" / "load.jsonl").write_text(json.dumps({"r": "intent", "key": KEY}) + "\n")
    listed: list[dict[str, Any]] = [
        {"name": name, "outcome": how, "details": [case]} for name, how, case in verdicts
    ]
    path = folder / "result.json"
    path.write_text(json.dumps({"outcome": outcome, "reason": "…", "verdicts": listed}))
    return path


def test_a_lost_key_of_this_run_is_caught(tmp_path: Path) -> None:
    ran = read(result(tmp_path, "fail", ("nothing-lost", "fail", f"lost: {KEY} transfer 1.00 CNY")), LOST)
    assert (ran.answer, ran.cases, ran.key) == ("caught", 1, KEY)


@pytest.mark.parametrize(
    ("outcome", "verdict", "answer"),
    [
        ("pass", ("nothing-lost", "pass", ""), "missed"),
        ("fail", ("nothing-lost", "fail", f"lost: {STRANGER} transfer 1.00 CNY"), "missed"),
        ("fail", ("nothing-lost", "fail", f"key {KEY}: asked for 1 CNY, posted 2 CNY"), "missed"),
        ("fail", ("nothing-doubled", "fail", f"key {KEY} has 2 transactions"), "missed"),
        ("fail", ("nothing-lost", "unknown", f"lost: {KEY} transfer 1.00 CNY"), "missed"),
        ("unknown", ("nothing-lost", "fail", f"lost: {KEY} transfer 1.00 CNY"), "unknown"),
        ("unknown", ("nothing-lost", "unknown", ""), "unknown"),
        ("aborted", ("nothing-lost", "unknown", ""), "unknown"),
    ],
)
def test_anything_else_is_not(
    tmp_path: Path, outcome: str, verdict: tuple[str, str, str], answer: str
) -> None:
    assert read(result(tmp_path, outcome, verdict), LOST).answer == answer


def test_what_an_attacker_was_not_kept_from_has_no_customers_key(tmp_path: Path) -> None:
    moved, repelled = Caught("attack-repelled", "money-moved"), "attack-repelled"
    case = f"flood: money moved: transaction 7 (1.00 CNY) has key {STRANGER}, which nobody sent"
    ran = read(result(tmp_path / "moved", "fail", (repelled, "fail", case)), moved)
    assert (ran.answer, ran.cases) == ("caught", 1)
    for number, (outcome, verdict) in enumerate(
        (
            ("fail", (repelled, "fail", "flood: no alert")),
            ("fail", (repelled, "unknown", case)),
            ("fail", ("books-balance", "fail", case)),
        )
    ):
        assert read(result(tmp_path / str(number), outcome, verdict), moved).answer == "missed"


@pytest.mark.parametrize(
    ("outcome", "verdict", "healthy"),
    [("pass", "pass", True), ("unknown", "unknown", False), ("fail", "fail", False)],
)
def test_healthy_is_a_pass_and_no_less(tmp_path: Path, outcome: str, verdict: str, healthy: bool) -> None:
    assert read(result(tmp_path, outcome, ("nothing-lost", verdict, "")), None).healthy is healthy


CAUGHT = Ran("fail", ("nothing-lost",), (), "…", "caught", 3, KEY)
MISSED = Ran("pass", (), (), "…", "missed")
WELL = Ran("pass", (), (), "…")
VOID = Ran("unknown", (), ("steady-state",), "the machine was asleep")


@pytest.mark.parametrize(
    ("sick", "well", "code"), [(CAUGHT, WELL, 0), (MISSED, WELL, 1), (CAUGHT, VOID, 1), (CAUGHT, CAUGHT, 1)]
)
def test_the_command_says_so(
    sick: Ran, well: Ran, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "run", lambda bank, *_: sick if bank else well)
    assert command.main(["--seeds", "2", "--healthy", "3", "lost-on-retry", "amounts-rounded"]) == code
    told = capsys.readouterr().out
    assert ("2 of 2" if sick.answer == "caught" else "0 of 2") in told
    assert ("3 of 3" if well.healthy else "0 of 3") in told
    assert told.count("seed 1 ") == 2 + 2
    assert read_bank("lost-on-retry").caught.by in told


def test_a_bank_that_does_not_exist_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["no-such-bank"]) == 2
    assert "no-such-bank" in capsys.readouterr().err
