"""What a response cannot do in this system is said while planning, with its place, and before anything is wrecked."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaoskit import pipeline, registry
from chaoskit.errors import InputError
from chaoskit.spec import load

ROOT = Path(__file__).parents[2]
RANSOMWARE = "drills/attack/ledger-ransomware.yaml"
STALE = "drills/server/stale-standby.yaml"
REJOIN = "drills/server/rejoin.yaml"


@pytest.mark.parametrize(
    ("drill", "written", "instead", "said"),
    [
        (
            RANSOMWARE,
            "    backup: books\n",
            "    backup: boks\n",
            "`backup: boks` must be one of .*known: books",
        ),
        (
            RANSOMWARE,
            "    backup: books\n",
            "    backup: books\n    on: ledger\n",
            "`on: ledger` says nothing here",
        ),
        (
            RANSOMWARE,
            "respond: verify-backup",
            "on: ledger\n    respond: verify-backup",
            "`on: ledger` says nothing",
        ),
        (RANSOMWARE, "respond: isolate\n    on: ledger\n", "respond: isolate\n", "`isolate` needs `on:`"),
        (
            STALE,
            "respond: mend-standby\n    on: ledger-db-standby",
            "respond: mend-standby\n    on: ledger",
            "ledger",
        ),
        (
            REJOIN,
            "respond: rejoin\n    on: ledger-db",
            "respond: rejoin\n    on: ledger",
            "ledger is no member of a database role that has a standby; pairs: ledger-db and ledger-db-standby",
        ),
        (
            REJOIN,
            "respond: switch-back\n    on: ledger-db",
            "respond: switch-back\n    on: [ledger-db, ledger-db-standby]",
            "`switch-back` acts on one member of a pair",
        ),
        (
            REJOIN,
            "respond: rejoin\n    on: ledger-db",
            "respond: rejoin\n    rate: 1KB\n    on: ledger-db",
            "rate is 1KB",
        ),
    ],
)
def test_it_is_refused_by_name(tmp_path: Path, drill: str, written: str, instead: str, said: str) -> None:
    text = (ROOT / drill).read_text(encoding="utf-8")
    assert written in text
    file = tmp_path / "drill.yaml"
    for changed in (text, text.replace(written, instead)):
        file.write_text(changed.replace("../../fixtures", str(ROOT / "fixtures")), encoding="utf-8")
        if changed == text:
            pipeline.make_plan(load(file, registry), "local")
            continue
        with pytest.raises(InputError, match=said) as raised:
            pipeline.make_plan(load(file, registry), "local")
        assert f"{file}:" in str(raised.value)
