"""The minimum service in drill and system files: mistakes told at their places."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.spec import sample_files
from tests.spec.test_drill_file import load, refusal

AGREED = "minimum-service: {journeys: [balance, transfer], share: 80%, for: 5s}\n"
ASKED = "objectives:\n  minimum-service: {rto: 60s}\n"


def drill(objective: str = ASKED) -> str:
    return sample_files.DRILL.replace("objectives:\n", objective)


def test_it_is_agreed_and_asked_for(tmp_path: Path) -> None:
    loaded = load(tmp_path, drill=drill(), system=sample_files.SYSTEM + AGREED)
    agreed = loaded.system.minimum_service
    assert agreed is not None
    assert (agreed.journeys, str(agreed.share), str(agreed.for_)) == (("balance", "transfer"), "80%", "5s")
    assert str(loaded.drill.objectives["minimum-service"].rto) == "60s"
    expect = "expect: {fail: minimum-service.rto}\n"
    load(tmp_path, drill=drill() + expect, system=sample_files.SYSTEM + AGREED)


def test_a_variant_may_agree_on_another_one(tmp_path: Path) -> None:
    system = sample_files.SYSTEM.replace("{compose: fast.yaml}", "{minimum-service: {share: 50%}}") + AGREED
    loaded = load(tmp_path, drill=drill() + "variant: fast\n", system=system)
    assert loaded.system.minimum_service is not None
    assert str(loaded.system.minimum_service.share) == "50%"


@pytest.mark.parametrize(
    ("agreed", "said"),
    [
        ("{journeys: [balanse], share: 80%, for: 5s}", "system.yaml:34:30: no journey is called 'balanse'"),
        (
            "{journeys: [balance, balance], share: 80%, for: 5s}",
            "system.yaml:34:39: 'balance' is named twice",
        ),
        ("{journeys: [balance], share: 0%, for: 5s}", "system.yaml:34:47: `share` is 0"),
        (
            "{journeys: [balance], share: 80%, for: 1s}",
            "system.yaml:34:57: `for`: 1s is shorter than the window",
        ),
        ("{journeys: [], share: 80%, for: 5s}", "system.yaml:34:29: `journeys`"),
        ("{journeys: [balance], for: 5s}", "system.yaml:34:18: `share` is missing"),
    ],
)
def test_mistakes_in_the_agreement(tmp_path: Path, agreed: str, said: str) -> None:
    text = refusal(tmp_path, system=f"{sample_files.SYSTEM}minimum-service: {agreed}\n")
    assert text.startswith(said), text


@pytest.mark.parametrize(
    ("system", "objective", "said"),
    [
        ("", ASKED, "drill.yaml:15:3: the system agrees on no minimum service"),
        (
            AGREED,
            ASKED.replace("rto: 60s", "rto: 60s, lost: 0"),
            "drill.yaml:15:3: the minimum service has an `rto`, and nothing else",
        ),
    ],
)
def test_mistakes_in_the_objective(tmp_path: Path, system: str, objective: str, said: str) -> None:
    text = refusal(tmp_path, drill=drill(objective), system=sample_files.SYSTEM + system)
    assert text.startswith(said), text


def test_all_of_it_is_driven(tmp_path: Path) -> None:
    undriven = drill().replace("load: {transfer: 40/s, balance: 20/s}", "load: {transfer: 40/s}")
    text = refusal(
        tmp_path, drill=undriven.replace("  balance: {rto: 3m}\n", ""), system=sample_files.SYSTEM + AGREED
    )
    assert "nothing drives `balance`, which it counts" in text
