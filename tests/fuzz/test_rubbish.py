"""Rubbish in, in small: what was found once stays here, and a fixed budget of new rubbish; `make fuzz` tries more."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fuzz import campaign as campaigns
from tests.fuzz import hostile, run_folders, written_files
from tests.fuzz.campaign import Campaign
from tests.fuzz.run_folders import Damaged, Recorded
from tests.fuzz.sandbox import Ended, Sandbox, findings
from tests.fuzz.written_files import Written

DRILL = written_files.DRILLS[0]
READ = (
    "plan.json",
    "events.jsonl",
    "ops/load.jsonl",
    "books/ledger/standby/meta.json",
    "books/ledger/standby/entries.parquet",
    "result.json",
    "manifest.json",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


@pytest.fixture(scope="module")
def sandbox(folder: Path) -> Iterator[Sandbox]:
    with Sandbox(folder / "sandbox") as running:
        yield running


@pytest.fixture(scope="module")
def desk(folder: Path) -> Path:
    place = folder / "desk"
    place.mkdir()
    return written_files.desk(place)


@pytest.fixture(scope="module")
def recorded(folder: Path) -> Recorded:
    return run_folders.record(folder / "recorded")


def fine(ended: Ended, allowed: tuple[int, ...]) -> None:
    assert findings(ended, allowed) == []


def test_the_shipped_files_are_read(sandbox: Sandbox, desk: Path) -> None:
    """The sandbox runs what `chaoskit` runs: it would not do to find every input refused."""
    fine(sandbox.run(["validate", *written_files.DRILLS], desk), (0,))


def test_hostile_files_are_refused_by_their_place(sandbox: Sandbox, desk: Path) -> None:
    for name, content in hostile.files().items():
        ended = written_files.run(sandbox, desk, Written(DRILL, DRILL, content, ("validate",)))
        assert (name, findings(ended, (2,))) == (name, [])


def test_a_pipe_or_an_endless_file_in_place_of_evidence(
    sandbox: Sandbox, folder: Path, recorded: Recorded
) -> None:
    """Found: a pipe was waited for until somebody writes, and /dev/zero read until the memory was full."""
    for name in READ:
        verb = "endless" if name == "events.jsonl" else "pipe"
        one = Damaged(((name, (verb, None)),), ("judge", "run"), judged=name in run_folders.JUDGEMENTS)
        ended, unnoticed = run_folders.run(sandbox, folder / "runs", recorded, one)
        assert (name, [*findings(ended, (0, 2, 3)), *unnoticed]) == (name, [])


@pytest.mark.parametrize(
    "command", [("verify", "run"), ("explain", "run"), ("report", "run"), ("compare", "run", "good")]
)
def test_pipes_everywhere(
    sandbox: Sandbox, folder: Path, recorded: Recorded, command: tuple[str, ...]
) -> None:
    edits = tuple((name, ("pipe", None)) for name in READ)
    ended, unnoticed = run_folders.run(
        sandbox, folder / "runs", recorded, Damaged(edits, command, judged=True)
    )
    assert [*findings(ended, (1, 2, 3)), *unnoticed] == []


def test_generated_files(sandbox: Sandbox, desk: Path) -> None:
    campaign = Campaign()
    campaigns.of_written_files(campaign, sandbox, desk, seeded=6, number=20)
    assert (campaign.tried >= 20, campaign.found) == (True, {})


def test_generated_damage(sandbox: Sandbox, folder: Path, recorded: Recorded) -> None:
    campaign = Campaign()
    campaigns.of_run_folders(campaign, sandbox, folder / "runs", recorded, seeded=6, number=16)
    assert (campaign.tried >= 16, campaign.found) == (True, {})


def test_the_sandbox_sees_what_it_looks_for(sandbox: Sandbox, folder: Path) -> None:
    """A fuzzer that could find nothing would be green for ever."""
    ok = Ended(("judge",), 0, "fine\n", "", False, 0.2, 0.0, 0.2, 90.0)
    assert findings(ok, (0,)) == []

    def signature(**changes: object) -> list[str]:
        return [one.signature for one in findings(Ended(**{**ok.__dict__, **changes}), (0,))]  # type: ignore[arg-type]

    assert signature(code=3) == ["judge: exit 3"]
    assert signature(code=-11) == ["judge: exit -11"]
    assert signature(hung=True, code=-9) == ["judge: hung"]
    assert signature(wall_s=1.5) == ["judge: slow"]
    assert signature(wall_s=5.0, waited_s=4.5) == []
    assert signature(memory_mb=201.0) == ["judge: memory"]
    assert signature(out="a\x1b[2J") == ["judge: raw U+001B in its output"]
    assert signature(err="\u202eabc") == ["judge: raw U+202E in its output"]
    assert signature(out="x" * 2_001) == ["judge: a line of its output has no end"]
    assert signature(code=2, out="") == ["judge: exit 2", "judge: says nothing"]
    trace = 'Traceback (most recent call last):\n  File "/x/chaoskit/a.py", line 3, in f\nKeyError: 1\n'
    assert signature(err=trace) == ["judge: KeyError at chaoskit/a.py:3"]


def test_a_large_file_of_rubbish_takes_no_time_and_no_room(
    sandbox: Sandbox, folder: Path, recorded: Recorded
) -> None:
    """Found: half a million blank lines were half a million problems, in three seconds; of a journal, in 224 MB."""
    for name, content in (("events.jsonl", b"\n" * 500_000), ("ops/load.jsonl", b"{}\n" * 100_000)):
        for command in (("verify", "run"), ("judge", "run")):
            one = Damaged(((name, ("whole", content)),), command, judged=command[0] == "verify")
            ended, unnoticed = run_folders.run(sandbox, folder / "runs", recorded, one)
            assert (name, [*findings(ended, (1, 3)), *unnoticed]) == (name, [])
