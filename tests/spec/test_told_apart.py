"""What tells the parties of a payment apart, and a good answer from a refused one, has to be able to."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaoskit.errors import InputError
from chaoskit.registry import members
from chaoskit.spec import load

ROOT = Path(__file__).parents[2]
BANK = ROOT / "fixtures/bank"
DRILL = """\
drill: told-apart
title: told apart
system: system.yaml
load: {transfer: 5/s}
timeline: [{at: 0s, fault: process.kill, on: ledger-db}]
objectives: {transfer: {OBJECTIVE}}
settle: {hold: 3s}
"""


class _Registry:
    """As chaoskit.registry, by its one function."""

    members = staticmethod(members)


def told(folder: Path, old: str, new: str, objective: str = "rto: 30s") -> str:
    for path in BANK.iterdir():
        if path.name != "system.yaml":
            (folder / path.name).symlink_to(path)
    text = (BANK / "system.yaml").read_text(encoding="utf-8")
    assert old in text
    (folder / "system.yaml").write_text(text.replace(old, new, 1), encoding="utf-8")
    (folder / "drill.yaml").write_text(DRILL.replace("OBJECTIVE", objective), encoding="utf-8")
    with pytest.raises(InputError) as caught:
        load(folder / "drill.yaml", _Registry())
    return str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (
            "parties: {from: payer, to: payee}\n    bound",
            "parties: {from: payre, to: payee}\n    bound",
            "no drawn value is called 'payre'",
        ),
        (
            "parties: {from: payer, to: payee}\n    bound",
            "parties: {from: payer, to: payer}\n    bound",
            "'payer' pays and is paid",
        ),
        (
            "read: {value: balance, position: position}\n    probe: {every: 100ms}\n  history",
            "read: {value: balance, of: acount}\n    probe: {every: 100ms}\n  history",
            "no drawn value is called 'acount'",
        ),
        ("refused: {status: [400, 409, 422]}", "refused: {status: [400, 201]}", "201 is good already"),
    ],
)
def test_a_name_that_tells_nothing_apart(tmp_path: Path, old: str, new: str, says: str) -> None:
    said = told(tmp_path, old, new)
    assert says in said
    assert "system.yaml:" in said


@pytest.mark.parametrize(
    ("objective", "says"),
    [("rto: 0s", "6:30: `rto` is 0"), ("success: 0%", "6:34: `success` is 0: nothing could miss it")],
)
def test_an_objective_that_says_nothing(tmp_path: Path, objective: str, says: str) -> None:
    assert f"drill.yaml:{says}" in told(tmp_path, "seed: 11", "seed: 12", objective)
