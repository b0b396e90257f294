"""`chaoskit sql`: an auditor's own DuckDB finds in the run folder what chaoskit found."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from chaoskit.evidence import load_history
from chaoskit.metrics import measure
from chaoskit.metrics.auditor_sql import auditor_sql
from chaoskit.metrics.reconciliation import BooksUnreadable
from tests.histories.builder import RunBuilder


def broken_run(folder: Path) -> Path:
    """A run that lost three payments, posted one twice and halved an entry's transaction."""
    builder = RunBuilder().crash()
    doubled = builder.postings[10]
    del builder.postings[2:5]
    builder.postings.append(type(doubled)(90_001, doubled.key, doubled.payer, doubled.payee, doubled.amount))
    return builder.write(folder)


def answers(script: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[tuple[object, ...]]]:
    monkeypatch.chdir(folder)
    with duckdb.connect() as base:
        found = []
        for statement in duckdb.extract_statements(script):
            rows = base.execute(statement).fetchall()
            if statement.type == duckdb.StatementType.SELECT:
                found.append(rows)
        return found


def test_the_script_finds_what_the_scorecard_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = broken_run(tmp_path / "a run [folder]")
    history = load_history(folder)
    measured = measure(history)
    found = answers(auditor_sql(history, folder), folder, monkeypatch)
    *rules, lost, holes, doubt = found
    own = measured.losses["ledger"]
    assert [row[0] for row in lost] == [operation.key for operation in own.lost]
    assert len(lost) == 3
    assert tuple((row[0], row[1]) for row in holes) == own.holes
    assert {row[0]: row[2] for row in doubt} == own.in_doubt
    told = [case for v in measured.books["ledger"].violations for case in v.cases]
    assert [row[1] for rows in rules for row in rows] == told
    assert any("has 2 transactions" in case for case in told)


def test_entries_from_before_the_fault_are_part_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    builder = RunBuilder().crash()
    builder.added["before"] = builder.legs()[:40]
    builder.entries = builder.legs()[2:]
    folder = builder.write(tmp_path / "a run [folder]")
    script = auditor_sql(load_history(folder), folder)
    assert "'books/ledger/before.parquet'" in script
    told = [row[-1] for rows in answers(script, folder, monkeypatch) for row in rows]
    assert len([case for case in told if "before the fault, and is gone" in str(case)]) == 2


def test_it_is_not_given_for_a_damaged_run(tmp_path: Path) -> None:
    folder = broken_run(tmp_path / "run")
    journal = folder / "ops" / "load.jsonl"
    journal.write_bytes(journal.read_bytes().replace(b'"r":"done"', b'"r":"gone"', 1))
    with pytest.raises(BooksUnreadable, match=r"load\.jsonl"):
        auditor_sql(load_history(folder), folder)


def test_the_command_prints_it_and_says_why_not(tmp_path: Path) -> None:
    folder = broken_run(tmp_path / "run")
    done = subprocess.run(
        [sys.executable, "-m", "chaoskit", "sql", str(folder)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("-- The books ledger of run ")
    missing = subprocess.run(
        [sys.executable, "-m", "chaoskit", "sql", str(tmp_path / "none")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert missing.returncode == 2
    assert "no such folder" in missing.stderr
