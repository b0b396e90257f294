"""The manifest notices every change of a judged run folder, and a folder that was made anew when its head was kept."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest

from chaoskit.errors import InputError
from chaoskit.evidence.chain import ChainWriter, canonical
from chaoskit.evidence.manifest import MANIFEST, check, parse_head, vouched_head, write_manifest
from chaoskit.evidence.seal import seal_files


def make_run(folder: Path, outcome: str = "pass") -> Path:
    """A small judged folder: chain, evidence, log, result."""
    (folder / "ops").mkdir(parents=True)
    (folder / "logs").mkdir()
    (folder / "plan.json").write_text("{}")
    (folder / "ops" / "load.jsonl").write_text('{"r":"begin"}\n')
    (folder / "logs" / "ledger.log").write_text("up\n")
    with ChainWriter(folder / "events.jsonl") as chain:
        chain.append(1, "run.begin", {"run": "r"})
        chain.append(2, "run.end", {"ended": "complete"})
        chain.append(3, "seal", {"files": seal_files(folder)})
    (folder / "result.json").write_text(json.dumps({"outcome": outcome}))
    return folder


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return make_run(tmp_path / "run")


def test_untouched_folder_is_authentic_with_its_head_and_only_consistent_without(run: Path) -> None:
    head = write_manifest(run)
    assert check(run, head).standing == "authentic"
    assert check(run).standing == "consistent"
    assert check(run).head == head


@pytest.mark.parametrize(
    "name", ["result.json", "logs/ledger.log", "ops/load.jsonl", "events.jsonl", "plan.json"]
)
def test_edit_of_any_file_is_named(run: Path, name: str) -> None:
    head = write_manifest(run)
    (run / name).write_bytes((run / name).read_bytes() + b" ")
    found = check(run, head)
    assert found.standing == "altered"
    assert any(problem.startswith(name) for problem in found.problems)
    assert check(run).standing == "altered"


def test_truncation_and_removal_are_named(run: Path) -> None:
    head = write_manifest(run)
    events = (run / "events.jsonl").read_bytes().splitlines(keepends=True)
    (run / "events.jsonl").write_bytes(b"".join(events[:-1]))
    (run / "logs" / "ledger.log").unlink()
    problems = check(run, head).problems
    assert "logs/ledger.log: is missing" in problems
    assert "events.jsonl: is not the file that the manifest names" in problems


def test_swapped_files_are_named(run: Path) -> None:
    head = write_manifest(run)
    plan, log = run / "plan.json", run / "logs" / "ledger.log"
    one, other = plan.read_bytes(), log.read_bytes()
    plan.write_bytes(other)
    log.write_bytes(one)
    assert {problem.split(":")[0] for problem in check(run, head).problems} >= {
        "plan.json",
        "logs/ledger.log",
    }


def test_folder_computed_anew_is_consistent_but_not_the_one_of_the_head(run: Path, tmp_path: Path) -> None:
    head = write_manifest(run)
    forged = make_run(tmp_path / "forged", outcome="fail")
    write_manifest(forged)
    assert check(forged).standing == "consistent"
    found = check(forged, head)
    assert found.standing == "altered"
    assert "not the one meant" in found.problems[0]


def test_manifest_recomputed_over_an_edited_chain_is_noticed_even_without_the_head(run: Path) -> None:
    write_manifest(run)
    lines = (run / "events.jsonl").read_bytes().splitlines(keepends=True)
    lines[0] = lines[0].replace(b'"run":"r"', b'"run":"q"')
    (run / "events.jsonl").write_bytes(b"".join(lines))
    write_manifest(run)
    assert check(run).standing == "altered"


def test_added_evidence_is_a_problem_and_a_later_report_is_not(run: Path) -> None:
    head = write_manifest(run)
    (run / "result-2.json").write_text("{}")
    (run / "report.html").write_text("")
    assert check(run, head).standing == "authentic"
    assert check(run, head).later == ("report.html", "result-2.json")
    (run / "ops" / "more.jsonl").write_text("")
    (run / ".hidden").write_text("")
    added = "was added after the run was judged"
    assert {p for p in check(run, head).problems if added in p} == {
        f".hidden: {added}",
        f"ops/more.jsonl: {added}",
    }


def test_links_and_pipes_are_never_followed_or_read(run: Path) -> None:
    head = write_manifest(run)
    (run / "logs" / "ledger.log").unlink()
    os.mkfifo(run / "logs" / "ledger.log")
    problems = check(run, head).problems
    assert "logs/ledger.log: is not the file that the manifest names" in problems
    assert "logs/ledger.log: sealed, but cannot be read: is no regular file" in problems
    (run / "plan.json").rename(run.parent / "plan.json")
    (run / "plan.json").symlink_to(run.parent / "plan.json")
    assert "plan.json: is not the file that the manifest names" in check(run, head).problems


@pytest.mark.parametrize("name", ["events.jsonl", "plan.json", "ops"])
def test_evidence_that_lay_elsewhere_when_it_was_judged_is_vouched_for_by_nothing(
    run: Path, tmp_path: Path, name: str
) -> None:
    """The head would hold the place that a link names, and the chain there could be made anew."""
    (run / name).rename(tmp_path / name)
    (run / name).symlink_to(tmp_path / name)
    head = write_manifest(run)
    problem = f"{name}: is a link: what it leads to is covered by no head"
    assert problem in check(run, head).problems
    assert check(run, head).standing == "altered"
    assert vouched_head(run) is None


def test_link_to_a_folder_is_an_entry_like_any_other(run: Path, tmp_path: Path) -> None:
    (run / "notes").symlink_to(tmp_path, target_is_directory=True)
    head = write_manifest(run)
    assert check(run, head).standing == "authentic"
    (run / "more").symlink_to(tmp_path, target_is_directory=True)
    assert check(run, head).problems == ("more: was added after the run was judged",)
    (run / "more").unlink()
    (run / "notes").unlink()
    (run / "notes").symlink_to(run, target_is_directory=True)
    assert check(run, head).problems == ("notes: is not the file that the manifest names",)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b"{}",
        b'{"version":"1"}',
        b'{"version":"1","files":[]}',
        b'{"version":"1","files":{"a":1}}',
    ],
)
def test_rubbish_in_place_of_the_manifest_is_altered_and_no_error(run: Path, raw: bytes) -> None:
    write_manifest(run)
    (run / MANIFEST).write_bytes(raw)
    assert check(run).standing == "altered"


def test_manifest_that_names_files_outside_is_altered(run: Path) -> None:
    raw = canonical({"version": "1", "files": {"../plan.json": "0" * 64, "/etc/hostname": "0" * 64}})
    (run / MANIFEST).write_bytes(raw)
    found = check(run, hashlib.sha256(raw).hexdigest())
    assert found.standing == "altered"
    assert "../plan.json: is missing" in found.problems


def test_head_is_the_manifest_s_own_digest_and_typing_mistakes_are_refused(run: Path) -> None:
    head = write_manifest(run)
    assert head == hashlib.sha256((run / MANIFEST).read_bytes()).hexdigest()
    assert parse_head(f" {head.upper()}\n") == head
    with pytest.raises(InputError, match="64 hex digits"):
        parse_head(head[:-1])


def test_folder_without_a_manifest_is_not_vouched_for(run: Path) -> None:
    assert check(run).standing == "altered"
    with pytest.raises(InputError, match="no such folder"):
        check(run / "nowhere")


def test_head_vouches_for_nothing_once_a_file_has_changed(run: Path) -> None:
    head = write_manifest(run)
    assert vouched_head(run) == head
    (run / "result.json").write_text(json.dumps({"outcome": "fail"}))
    assert vouched_head(run) is None


def test_head_vouches_for_what_was_read_and_not_for_what_lies_there_later(run: Path) -> None:
    head = write_manifest(run)
    read = hashlib.sha256((run / "ops/load.jsonl").read_bytes()).hexdigest()
    assert vouched_head(run, {"ops/load.jsonl": read}) == head
    assert vouched_head(run, {"ops/load.jsonl": hashlib.sha256(b"another").hexdigest()}) is None
    write_manifest(run, {"ops/load.jsonl": hashlib.sha256(b"another").hexdigest()})
    assert "ops/load.jsonl: is not the file that the manifest names" in check(run).problems
