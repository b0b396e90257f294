"""Hostile names and log lines come out harmless in terminal and JSON, and are data all the same; JUnit is pytest's."""

from __future__ import annotations

import json
import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest

from chaoskit import judging
from chaoskit.conductor.journal import JournalReader, JournalWriter
from chaoskit.evidence.chain import ChainWriter, canonical, link_hash, verify
from chaoskit.evidence.manifest import write_manifest
from chaoskit.model.plain_text import escaped
from chaoskit.model.verdict import Result
from chaoskit.run_folder import write_json
from tests.fuzz.sandbox import Sandbox, findings
from tests.histories.builder import ZERO, RunBuilder
from tests.reporters.test_scorecard import result

HOSTILE = {
    "a terminal's colours and title": "\x1b[2J\x1b[31m\x1b]0;owned\x07",
    "the same in one byte each": "\x9b2J\x9d0;owned\x9c",
    "the other reading direction": "\u202egnp.exe\u2066\u061c\u200f",
    "what nobody sees": "a\u200bb\u2060\ufeff\xad\U000e0041",
    "other line breaks": "a\rledger: pass\x85ledger: pass\u2028ledger: pass\u2029",
    "a NUL and a DEL": "a\0b\x7fc\b\b\b",
    "a page's markup": "<script>alert(1)</script><img src=x onerror=alert(1)>&amp;]]>",
    "a spreadsheet's formula": '=HYPERLINK("http://x","y")@SUM(1)+cmd|\' /C calc\'!A0',
    "a template": "{0.__class__} %s ${HOME} [bold]markup[/bold]",
    "no end": "x" * 200_000,
    "no end, wide": "名" * 50_000,
}
_DIRECTIONS = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


def drives(char: str) -> bool:
    """By Unicode's own tables, not by the product's list."""
    if char in "\n\t":
        return False
    return (
        unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp")
        or unicodedata.bidirectional(char) in _DIRECTIONS
        or char in "\u061c\u200b\u200e\u200f\u2060\ufeff\xad\U000e0041"
    )


def driving(text: str) -> set[str]:
    return {f"U+{ord(char):04X}" for char in set(text) if drives(char)}


@pytest.fixture(scope="module")
def hostile_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose log lines, errors, drawn values and reads are hostile, judged."""
    builder = RunBuilder().crash()
    for number, text in enumerate(HOSTILE.values()):
        at = ZERO - 4_000_000_000 + number
        builder.operation("load", "balance", at, values={"account": text}, read={"value": text})
        builder.event(at, "service.exit", service=text, status=text, log_tail=[text, f"second {text}"])
        builder.event(at, "trouble", what=text)
    for record in builder.records["load"]:
        if record["r"] == "done" and record["outcome"] == "unknown":
            record["error"] = HOSTILE["the same in one byte each"] + HOSTILE["the other reading direction"]
    folder = builder.write(tmp_path_factory.mktemp("hostile") / "run")
    judging.judge_folder(folder)
    return folder


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with Sandbox(tmp_path_factory.mktemp("sandbox")) as running:
        yield running


@pytest.mark.parametrize(
    "command",
    [
        "judge run",
        "report run",
        "explain run transfer.rta",
        "explain run transfer.outages",
        "verify run",
        "compare run run",
        "history --reports .",
    ],
)
def test_terminal(sandbox: Sandbox, hostile_run: Path, command: str) -> None:
    ended = sandbox.run(command.split(), hostile_run.parent)
    assert findings(ended, (0, 1, 3)) == []
    both = ended.out + ended.err
    assert driving(both) == set()
    assert not [line for line in both.splitlines() if line.startswith("ledger: pass")]
    assert len(both) < 60_000


def test_every_file_of_a_run_can_be_shown_and_holds_the_text_all_the_same(hostile_run: Path) -> None:
    texts = {path: path.read_bytes().decode("utf-8") for path in hostile_run.rglob("*.json*")}
    assert {path.name: found for path, text in texts.items() if (found := driving(text))} == {}
    read = json.loads((hostile_run / "result.json").read_bytes())
    details = "\n".join(one["detail"] for one in read["findings"])
    drawn = [
        operation.values.get("account")
        for operation in JournalReader(hostile_run / "ops/load.jsonl").operations()
    ]
    events = verify(hostile_run / "events.jsonl")
    assert events.problems == ()
    exits = [event.data["log_tail"][0] for event in events.events if event.kind == "service.exit"]
    for name, text in HOSTILE.items():
        assert (name, text in drawn, text in exits) == (name, True, True)
    assert HOSTILE["a terminal's colours and title"] in details


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_json_reads_back_as_it_was(tmp_path: Path, text: str) -> None:
    before = result("fail", drill=text, reason=text, notes=(text,), scorecard=({"journey": text},))
    write_json(tmp_path / "result.json", before)
    raw = (tmp_path / "result.json").read_text("utf-8")
    assert driving(raw) == set()
    assert Result.model_validate_json(raw) == before


def test_what_is_no_unicode_is_replaced_for_strict_readers(tmp_path: Path) -> None:
    """A lone surrogate, as in the name of a file that is not UTF-8: as \\ud800 no strict reader would take the file."""
    write_json(tmp_path / "result.json", result("fail", reason="a\udcffb"))
    assert Result.model_validate_json((tmp_path / "result.json").read_bytes()).reason == "a\ufffdb"
    with JournalWriter(tmp_path / "load.jsonl") as journal:
        journal.write({"r": "begin", "t": 0, "source": "load", "why": "a\udcffb"})
    reader = JournalReader(tmp_path / "load.jsonl")
    reader.poll()
    assert (reader.problems, reader.header and reader.header["why"]) == ([], "a\ufffdb")


def test_escaping_covers_what_unicode_calls_control_and_direction() -> None:
    every = [chr(code) for code in range(0x20, sys.maxunicode + 1)]
    assert [f"U+{ord(char):04X}" for char in every if drives(char) and escaped(char) == char] == []
    kept = [
        char
        for char in every
        if escaped(char) != char and unicodedata.category(char) not in ("Cc", "Cf", "Zl", "Zp", "Cs")
    ]
    assert [
        f"U+{ord(c):04X}"
        for c in kept
        if unicodedata.category(c) != "Cn" and not 0xE0100 <= ord(c) <= 0xE01EF
    ] == []
    assert escaped("Überweisung 转账 перевод תשלום") == "Überweisung 转账 перевод תשלום"


def test_a_chain_of_an_earlier_version_is_still_whole(tmp_path: Path) -> None:
    """Before, such characters stood in events.jsonl as they are; the hash is the same over either."""
    path = tmp_path / "events.jsonl"
    with ChainWriter(path) as chain:
        chain.append(1, "trouble", {"what": "\x9b2J\u202e"})
        chain.append(2, "trouble", {"what": "plain"})
    new = path.read_bytes()
    assert b"\\u009b2J\\u202e" in new
    events = [json.loads(line) for line in new.splitlines()]
    assert all(link_hash(event) == event["hash"] for event in events)
    path.write_bytes(b"".join(canonical(event) + b"\n" for event in events))
    assert path.read_bytes() != new
    assert verify(path).problems == ()


def test_manifest_of_hostile_file_names(tmp_path: Path) -> None:
    folder = RunBuilder().crash().write(tmp_path / "run")
    (folder / "logs").mkdir()
    (folder / "logs" / "a\x9b2J\u202e.log").write_text("x")
    write_manifest(folder)
    raw = (folder / "manifest.json").read_text("utf-8")
    assert driving(raw) == set()
    assert "logs/a\x9b2J\u202e.log" in json.loads(raw)["files"]
