"""Loading a run folder: whole, killed at any point, damaged, forged, or no run at all."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

import pytest

from chaoskit import registry
from chaoskit.conductor.journal import JournalReader
from chaoskit.errors import EnvironmentBroken, InputError
from chaoskit.evidence import load_history
from chaoskit.evidence.seal import digest
from chaoskit.judge import judge
from chaoskit.metrics import measure
from chaoskit.model.history import Operation
from chaoskit.model.verdict import Result
from tests.histories.builder import BACK, END, MS, ZERO, RunBuilder, S


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return RunBuilder().crash().write(tmp_path_factory.mktemp("histories") / "run")


@pytest.fixture
def run(template: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    shutil.copytree(template, folder)
    return folder


def judged(folder: Path) -> Result:
    history = load_history(folder)
    return judge(history, measure(history), registry)


def test_a_whole_run(run: Path) -> None:
    history = load_history(run)
    assert history.problems == ()
    assert history.run == "2026-11-23T0931-primary-crash"
    assert {o.source for o in history.operations} == {"load", "prober"}
    assert history.journals["prober"]["lateness"] == {"p50": 0.1, "p99": 0.6, "max": 1.0}
    assert [b.member for b in history.books] == ["standby"]
    assert history.books[0].folder == run / "books/ledger/standby"
    assert judged(run).exit_code == 0


def test_a_run_that_was_moved(run: Path, tmp_path: Path) -> None:
    moved = tmp_path / "else where [1]*"
    run.rename(moved)
    assert judged(moved).exit_code == 0


def test_judgements_and_reports_are_not_sealed(run: Path) -> None:
    for name in ("measurements.json", "result.json", "result-2.json", "report.html"):
        (run / name).write_text("{}")
    assert load_history(run).problems == ()


FORGERIES = [
    ("plan.json", "plan.json: is not the file that was sealed"),
    ("ops/load.jsonl", "ops/load.jsonl: is not the file that was sealed"),
    ("ops/prober.jsonl", "ops/prober.jsonl: is not the file that was sealed"),
    ("books/ledger/standby/meta.json", "books/ledger/standby/meta.json: is not the file that was sealed"),
    (
        "books/ledger/standby/transactions.parquet",
        "books/ledger/standby/transactions.parquet: is not the file that was sealed",
    ),
]


@pytest.mark.parametrize(("name", "problem"), FORGERIES, ids=[name for name, _ in FORGERIES])
def test_a_swapped_file_makes_the_run_unknown(run: Path, name: str, problem: str) -> None:
    """The same content but for one white space at its end: nothing else would notice."""
    path = run / name
    path.write_bytes(path.read_bytes() + (b"\n" if path.suffix == ".json" else b""))
    if path.suffix != ".json":
        raw = bytearray(path.read_bytes())
        raw[len(raw) // 2] ^= 1
        path.write_bytes(raw)
    assert problem in load_history(run).problems
    result = judged(run)
    assert (result.outcome, result.exit_code) == ("unknown", 3)
    assert all(v.outcome == "unknown" for v in result.verdicts)


@pytest.mark.parametrize(
    "name", ["ops/load.jsonl", "ops/prober.jsonl", "books/ledger/standby/entries.parquet"]
)
def test_a_missing_file_makes_the_run_unknown(run: Path, name: str) -> None:
    (run / name).unlink()
    assert any(name in problem for problem in load_history(run).problems)
    assert judged(run).exit_code == 3


def test_books_that_were_removed_whole(run: Path) -> None:
    shutil.rmtree(run / "books")
    problems = load_history(run).problems
    assert any("was collected" in problem and "is not there" in problem for problem in problems)
    assert judged(run).exit_code == 3


def test_books_that_were_added_later(run: Path) -> None:
    shutil.copytree(run / "books/ledger/standby", run / "books/ledger/db")
    problems = load_history(run).problems
    assert "books/ledger/db/meta.json: was added after the run was sealed" in problems
    assert judged(run).exit_code == 3


def test_a_seal_that_points_out_of_the_folder(tmp_path: Path) -> None:
    builder = RunBuilder(sealed=False).crash()
    builder.event(END + 3 * S, "seal", files={"../secret": "0" * 64, "/etc/hostname": "0" * 64})
    problems = load_history(builder.write(tmp_path / "run")).problems
    assert any("'../secret', which is not in the run folder" in problem for problem in problems)
    assert any("'/etc/hostname'" in problem for problem in problems)


def killed(folder: Path, at: int) -> Path:
    """What a SIGKILL of everything at an instant leaves: the lines written by then, the last one torn."""
    events = (folder / "events.jsonl").read_bytes().splitlines(keepends=True)
    kept = [line for line in events if json.loads(line)["t"] <= at and json.loads(line)["kind"] != "seal"]
    torn = events[len(kept)][:40] if len(kept) < len(events) else b""
    (folder / "events.jsonl").write_bytes(b"".join(kept) + torn)
    for journal in (folder / "ops").iterdir():
        lines = journal.read_bytes().splitlines(keepends=True)
        own = []
        for line in lines:
            record = json.loads(line)
            instant = record.get("done") or record.get("woke") or record.get("intended") or record["t"]
            if instant <= at and record["r"] != "end":
                own.append(line)
        torn = lines[len(own)][:30] if len(own) < len(lines) else b""
        journal.write_bytes(b"".join(own) + torn)
    if at < END + S:
        shutil.rmtree(folder / "books")
    return folder


@pytest.mark.parametrize("seed", range(12))
def test_a_run_that_was_killed_at_any_instant_can_be_judged(run: Path, seed: int) -> None:
    at = random.Random(seed).randrange(ZERO - 8 * S, END + 3 * S)
    result = judged(killed(run, at))
    assert result.outcome == "unknown"
    assert result.exit_code == 3
    assert "killed" in result.reason or "sealed" in result.reason


def test_probes_in_flight_when_the_prober_was_killed_are_nobodys_outage(run: Path) -> None:
    """Killed 3 ms after a probe was sent, which would have been answered after 6."""
    history = load_history(killed(run, BACK + 3 * S + 10 * MS))
    assert any(o.done is None for o in history.operations if o.source == "prober")
    for journey in measure(history).journeys.values():
        assert len(journey.outages) == 1
        assert journey.rta is not None
        assert journey.rta.hi is None


def test_nothing_was_recorded_but_the_plan(run: Path) -> None:
    for path in (run / "events.jsonl", run / "ops", run / "books"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    result = judged(run)
    assert result.exit_code == 3
    assert result.reason.startswith("events.jsonl: No such file or directory")


@pytest.mark.parametrize(
    "rubbish", [b"", b"{", b"null", b"[]", b"\xff\xfe", b'{"version": "1"}', b"[" * 200_000]
)
def test_a_damaged_plan_is_unknown_with_a_clear_word(run: Path, rubbish: bytes) -> None:
    (run / "plan.json").write_bytes(rubbish)
    with pytest.raises(EnvironmentBroken, match="its verdict is unknown") as caught:
        load_history(run)
    assert caught.value.exit_code == 3


def test_a_missing_plan_is_unknown(run: Path) -> None:
    (run / "plan.json").unlink()
    with pytest.raises(EnvironmentBroken, match="No such file"):
        load_history(run)


@pytest.mark.parametrize(
    "name", ["events.jsonl", "ops/load.jsonl", "ops/prober.jsonl", "books/ledger/standby/meta.json"]
)
@pytest.mark.parametrize("rubbish", [b"", b"{", b"null\n", b"\xff\xfe\x00\n" * 3, b"[" * 200_000 + b"\n"])
def test_rubbish_anywhere_is_a_problem_and_no_traceback(run: Path, name: str, rubbish: bytes) -> None:
    (run / name).write_bytes(rubbish)
    result = judged(run)
    assert (result.outcome, result.exit_code) == ("unknown", 3)


@pytest.mark.parametrize("seed", range(20))
def test_random_damage_never_raises_and_never_passes(run: Path, seed: int) -> None:
    random_ = random.Random(seed)
    files = sorted(p for p in run.rglob("*") if p.is_file() and p.name != "plan.json")
    path = random_.choice(files)
    raw = bytearray(path.read_bytes())
    for _ in range(random_.randrange(1, 20)):
        raw[random_.randrange(len(raw))] = random_.randrange(256)
    path.write_bytes(raw)
    assert judged(run).exit_code != 0


def test_directories_where_files_should_be(run: Path) -> None:
    for name in ("ops/load.jsonl", "events.jsonl"):
        (run / name).unlink()
        (run / name).mkdir()
    assert judged(run).exit_code == 3


def test_a_folder_that_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no run"):
        load_history(tmp_path)
    with pytest.raises(InputError, match="no such folder"):
        load_history(tmp_path / "nowhere")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="no such folder"):
        load_history(tmp_path / "file")


def test_a_journal_under_the_wrong_name(run: Path) -> None:
    load, prober = run / "ops/load.jsonl", run / "ops/prober.jsonl"
    load.rename(run / "ops/x")
    prober.rename(load)
    (run / "ops/x").rename(prober)
    assert any("is the journal of the prober" in problem for problem in load_history(run).problems)


@pytest.mark.parametrize("place", ["books/ledger/spare", "books/.spare", "books/ledger/.spare"])
def test_a_survivor_that_a_link_brings_in_is_not_of_this_run(run: Path, tmp_path: Path, place: str) -> None:
    """A folder that is only a link is read as a member's books, and was none of those that were sealed."""
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "spare").mkdir(parents=True)
    meta = json.loads((run / "books/ledger/standby/meta.json").read_text())
    target = elsewhere if place.count("/") == 1 else elsewhere / "spare"
    (elsewhere / "spare" / "meta.json").write_text(json.dumps(meta))
    (run / place).symlink_to(target, target_is_directory=True)
    assert f"{place}: was added after the run was sealed" in load_history(run).problems


def test_a_journal_that_is_another_one_only_while_it_is_read(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Swapped(JournalReader):
        def operations(self) -> list[Operation]:
            sealed = self.path.read_bytes()
            self.path.write_bytes(sealed.replace(b'"outcome":"ok"', b'"outcome":"fail"', 1))
            try:
                return super().operations()
            finally:
                self.path.write_bytes(sealed)

    assert load_history(run).problems == ()
    monkeypatch.setattr("chaoskit.evidence.history.JournalReader", Swapped)
    assert "ops/load.jsonl: is not the file that was sealed" in load_history(run).problems


def test_journals_are_hashed_as_they_are_read(run: Path) -> None:
    read: dict[str, str] = {}
    load_history(run, read)
    assert read == {f"ops/{name}.jsonl": digest(run / f"ops/{name}.jsonl") for name in ("load", "prober")}
