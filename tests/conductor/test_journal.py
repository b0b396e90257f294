"""Journals: what was recorded is read back, while it is written and after any damage."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from random import Random
from typing import Any

import pytest

from chaoskit.conductor.journal import (
    MISSED_LATE,
    JournalReader,
    JournalWriter,
)
from chaoskit.conductor.journal_records import Done, Intent
from chaoskit.conductor.percentiles import percentiles_ms
from chaoskit.errors import EnvironmentBroken

BEGIN = {"r": "begin", "t": 1, "source": "load", "beat_ns": 500}


def intent(identity: int, **changes: Any) -> dict[str, Any]:
    return {
        "r": "intent",
        "id": identity,
        "key": f"key-{identity}",
        "journey": "transfer",
        "attempt": 1,
        "tap": False,
        "intended": 100,
        "woke": 105,
        "payload_hash": "ab",
        "amount": 1230,
        "currency": "EUR",
        "values": {"payer": "ACC-1"},
    } | changes


def done(identity: int, **changes: Any) -> dict[str, Any]:
    return {
        "r": "done",
        "id": identity,
        "sent": 110,
        "done": 200,
        "outcome": "ok",
        "status": 201,
        "error": None,
        "read": {"value": "1.00"},
    } | changes


def missed(identity: int) -> dict[str, Any]:
    fields = {"key": f"key-{identity}", "journey": "transfer", "attempt": 1, "tap": False, "intended": 300}
    return {"r": "missed", "id": identity, **fields, "error": MISSED_LATE}


def end(scheduled: int) -> dict[str, Any]:
    return {"r": "end", "t": 900, "scheduled": scheduled, "sent": scheduled, "missed": 0, "late_ms": {}}


def written(path: Path, *records: dict[str, Any]) -> JournalReader:
    with JournalWriter(path) as journal:
        for record in records:
            journal.write(record)
    return JournalReader(path)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "load.jsonl"


def test_a_whole_journal(path: Path) -> None:
    records = (BEGIN, intent(1), intent(2, attempt=2), done(1), missed(3), done(2, outcome="unknown"), end(2))
    reader = written(path, *records)
    first, second, third = reader.operations()
    assert reader.problems == []
    assert (first.key, first.intended, first.sent, first.done) == ("key-1", 100, 110, 200)
    assert (first.outcome, first.amount, first.read, first.values) == (
        "ok",
        1230,
        {"value": "1.00"},
        {"payer": "ACC-1"},
    )
    assert (second.attempt, second.outcome) == (2, "unknown")
    assert (third.sent, third.done, third.outcome, third.error) == (None, None, "unknown", MISSED_LATE)
    assert reader.late_ns == [5]
    assert reader.outstanding == 0
    assert reader.end == end(2)
    assert reader.header == BEGIN


def test_an_intent_without_an_answer_is_unknown_and_sent_when_it_woke(path: Path) -> None:
    reader = written(path, BEGIN, intent(1))
    (operation,) = reader.operations()
    assert (operation.outcome, operation.sent, operation.done) == ("unknown", 105, None)
    assert (reader.outstanding, reader.end, reader.problems) == (1, None, [])


def test_polls_give_each_finished_operation_once_whatever_the_cuts(path: Path) -> None:
    records = [BEGIN]
    for n in range(1, 200):
        records += [intent(n), done(n) if n % 5 else missed(1000 + n)]
    data = b"".join(json.dumps(record).encode() + b"\n" for record in records)
    reader, random, seen, at = JournalReader(path), Random(3), [], 0
    assert reader.poll() == []
    with open(path, "ab") as file:
        while at < len(data):
            step = random.randint(1, 400)
            file.write(data[at : at + step])
            file.flush()
            at += step
            seen += [operation.key for operation in reader.poll()]
    assert reader.problems == []
    assert seen == [
        record.get("key", f"key-{record['id']}") for record in records if record["r"] in ("done", "missed")
    ]


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_a_torn_last_line_is_no_problem(path: Path, cut: int) -> None:
    written(path, BEGIN, intent(1), done(1))
    os.truncate(path, path.stat().st_size - cut)
    reader = JournalReader(path)
    (operation,) = reader.operations()
    assert (operation.outcome, reader.problems, reader.torn) == ("unknown", [], True)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"\x00\x00\x00", ""),
        (b"", ""),
        (b"[1]", "no object"),
        (b'{"r": "done"', ""),
        (b'{"id": 1}', "'r' is missing"),
        (b'{"r": "what"}', "unknown record"),
        (json.dumps(done(9)).encode(), "not outstanding"),
        (json.dumps(intent(1)).encode(), "a second time"),
        (json.dumps(intent(2, attempt="1")).encode(), "attempt"),
        (json.dumps(intent(2, intended=None)).encode(), ""),
        (json.dumps(done(1, outcome="maybe")).encode(), "outcome"),
        (json.dumps({"r": "intent", "id": 2}).encode(), "is missing"),
        (json.dumps({"r": "intent", "id": [2], "woke": 1}).encode(), ""),
        (json.dumps(BEGIN).encode(), "second `begin`"),
        (json.dumps({"r": "beat"}).encode(), "'t' is missing"),
        (json.dumps(end(77)).encode(), "77 arrivals"),
    ],
)
def test_damage_is_listed_with_its_line_and_the_rest_is_read(path: Path, line: bytes, words: str) -> None:
    written(path, BEGIN, intent(1))
    with open(path, "ab") as file:
        file.write(line + b"\n")
    reader = written(path, intent(5), done(5))
    operations = reader.operations()
    assert "load.jsonl:3: " in reader.problems[0]
    assert words in reader.problems[0]
    assert operations[-1].key == "key-5" or reader.end is not None


def test_a_flipped_byte_anywhere_never_raises(path: Path) -> None:
    written(path, BEGIN, intent(1), done(1), missed(2), intent(3), done(3), end(3))
    whole, random = path.read_bytes(), Random(11)
    for _ in range(400):
        damaged = bytearray(whole)
        damaged[random.randrange(len(damaged))] = random.randrange(256)
        path.write_bytes(damaged)
        JournalReader(path).operations()


def test_a_journal_that_does_not_begin(path: Path) -> None:
    reader = written(path, intent(1))
    assert reader.operations() == []
    assert "does not start with `begin`" in reader.problems[0]


def test_an_end_with_open_operations_is_a_problem(path: Path) -> None:
    reader = written(path, BEGIN, intent(1), end(1))
    reader.poll()
    assert "1 operations have no `done`" in reader.problems[0]


def test_silence_shows(path: Path) -> None:
    beats = [{"r": "beat", "t": t} for t in (500, 1000, 4000, 4500)]
    reader = written(path, BEGIN, *beats)
    reader.poll()
    assert reader.longest_silence_ns == 3000


def test_a_writer_that_is_killed_leaves_whole_lines(path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from chaoskit.conductor.journal import JournalWriter\n"
        "journal = JournalWriter(Path(sys.argv[1]))\n"
        "n = 0\n"
        "while True:\n"
        "    n += 1\n"
        "    journal.write({'r': 'beat', 't': n})\n"
        "    if n == 500: print('go', flush=True)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.kill()
    lines = path.read_bytes().split(b"\n")
    assert lines[-1] == b""
    assert [json.loads(line)["t"] for line in lines[:-1]] == list(range(1, len(lines)))


def test_a_full_disk_is_an_error_with_the_file_named(path: Path) -> None:
    code = (
        "import resource, signal, sys; from pathlib import Path\n"
        "from chaoskit.conductor.journal import JournalWriter\n"
        "from chaoskit.errors import EnvironmentBroken\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "journal = JournalWriter(Path(sys.argv[1]))\n"
        "try:\n"
        "    while True: journal.write({'r': 'beat', 't': 1})\n"
        "except EnvironmentBroken as error: print(error)\n"
    )
    run = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, timeout=30)
    assert str(path) in run.stdout
    assert "cannot record" in run.stdout


def test_a_folder_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises((OSError, EnvironmentBroken)):
        JournalWriter(tmp_path / "no" / "load.jsonl")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], {}),
        ([2_000_000], {"p50": 2.0, "p99": 2.0, "max": 2.0}),
        ([n * 1_000_000 for n in range(1, 101)], {"p50": 50.0, "p99": 99.0, "max": 100.0}),
    ],
)
def test_percentiles_by_nearest_rank(values: list[int], expected: dict[str, float]) -> None:
    assert percentiles_ms(values) == expected


def test_typed_records_are_the_lines_that_dictionaries_are(path: Path) -> None:
    sent = Intent(1, "key-1", "transfer", 1, False, 100, 105, "ab", 1230, "EUR", {"payer": "ACC-1"})
    answered = Done(1, 110, 200, "ok", 201, None, {"value": "1.00"})
    with JournalWriter(path) as journal:
        for record in (intent(1), sent, done(1), answered):
            journal.write(record)
        journal.write(Intent(2, "k", "t", 1, True, 1, 2, None, None, None, {"a": "\x9b\udcff"}, True))
    first, second, third, fourth, strange = path.read_bytes().splitlines()
    assert (first, third) == (second, fourth)
    assert strange.endswith(b'"values": {"a": "\\u009b\xef\xbf\xbd"}, "other": true}')
