"""The quick way through a journal gives what the long way gives: the same operations, the same problems, in words."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chaoskit.conductor import journal
from chaoskit.conductor.journal import JournalReader
from chaoskit.conductor.journal_records import Beat, Done, Intent, usual, usual_lines

BEGIN = b'{"r":"begin","t":1,"source":"load"}'
INTENT = {
    "r": "intent",
    "id": 1,
    "key": "k-1",
    "journey": "transfer",
    "attempt": 1,
    "tap": False,
    "intended": 100,
    "woke": 105,
    "payload_hash": "ab",
    "amount": 1230,
    "currency": "EUR",
    "values": {"payer": "ACC-1"},
}
DONE = {
    "r": "done",
    "id": 1,
    "sent": 110,
    "done": 200,
    "outcome": "ok",
    "status": 201,
    "error": None,
    "read": {"value": "1.00", "position": 7, "share": 0.1, "age": None},
}
BEAT = {"r": "beat", "t": 9, "scheduled": 1, "sent": 1, "missed": 0, "late_max_ms": 0.143, "outstanding": 1}
ODD: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1.0, 1.5, 1e300, 10**19, 2**63, 2**64, 10**40, "", "1", "ok", [], {}, [1]),
    *({"a": "b"}, {"a": 1}, {"a": {"b": []}}, "\u2028", "Überweisung", "\x00", "a" * 300),
)


def line(record: dict[str, Any]) -> bytes:
    return json.dumps(record, separators=(",", ":"), ensure_ascii=False).encode()


def odd_lines() -> Iterator[bytes]:
    """Intents and answers with one field of another kind, missing, unknown, given twice, or with damaged bytes."""
    for record in (INTENT, DONE, BEAT):
        for name in record:
            for value in ODD:
                yield line({**record, name: value})
            yield line({other: value for other, value in record.items() if other != name})
            yield line(record)[:-1] + b',"' + name.encode() + b'":' + json.dumps(record[name]).encode() + b"}"
            yield line(record)[:-1] + b',"' + name.encode() + b'":"intent"}'
        yield line({**record, "other": True})
        yield line({**record, "unheard": 1})
        yield from (line(record) + tail for tail in (b" ", b"\r", b",", b"}", b"\x00", b" {}"))
    for value in (b"NaN", b"-Infinity", b"1e999", b"01", b"-0", b"1E2", b'"\\ud800"', b'"\xff"', b'"\x01"'):
        yield line(DONE).replace(b'"1.00"', value)
        yield line(DONE).replace(b"110", value)
        yield line(INTENT).replace(b'"ACC-1"', value)
        yield line(BEAT).replace(b"0.143", value)
        yield line(INTENT).replace(b'"k-1"', value)
    for depth in (50, 150, 190, 210, 400, 900, 20_000):
        yield line(DONE).replace(b'"1.00"', b"[" * depth + b"]" * depth)
        yield line(DONE).replace(b'"1.00"', b"[" * depth)
    yield from (line(DONE).replace(b"110", b"1" * digits) for digits in (19, 20, 4_300, 4_301))
    yield from (line(DONE).replace(b"7", b"1" * digits) for digits in (4_300, 4_301))
    random = Random(5)
    for whole in (line(INTENT), line(DONE), line(BEAT)):
        for _ in range(400):
            damaged = bytearray(whole)
            damaged[random.randrange(len(damaged))] = random.randrange(256)
            yield bytes(damaged)


def story(path: Path, lines: list[bytes]) -> tuple[Any, ...]:
    path.write_bytes(b"\n".join(lines) + b"\n")
    reader = JournalReader(path)
    finished = reader.poll()
    seen = (
        reader.late_ns,
        reader.outstanding,
        repr(reader.last_beat),
        reader.alive_ns,
        reader.longest_silence_ns,
    )
    return (repr(finished), repr(reader.operations()), reader.problems, *seen)


def test_both_ways_say_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cases = [[BEGIN, odd, line(INTENT), line(DONE)] for odd in odd_lines()]
    cases += [[BEGIN, line(INTENT), odd, line(DONE)] for odd in odd_lines()]
    cases += [[line(INTENT), line(DONE), BEGIN], [BEGIN, b'{"r":"end","t":2,"scheduled":0}', line(INTENT)]]
    quick = [story(tmp_path / "load.jsonl", case) for case in cases]
    monkeypatch.setattr(journal, "usual_lines", lambda _: None)
    monkeypatch.setattr(journal, "usual", lambda _: None)
    for case, found in zip(cases, quick, strict=True):
        assert found == story(tmp_path / "load.jsonl", case), case


def test_the_usual_lines_go_the_quick_way() -> None:
    assert isinstance(usual(line(INTENT)), Intent)
    assert isinstance(usual(line({**INTENT, "other": True, "amount": None, "currency": None})), Intent)
    assert isinstance(usual(line(DONE)), Done)
    assert usual(line({**DONE, "id": "1"})) is None
    assert isinstance(usual(line(BEAT)), Beat)


def test_a_block_of_usual_lines_is_decoded_at_once() -> None:
    whole = b"\n".join([line(INTENT), line(DONE), line(BEAT), b""])
    assert [type(record) for record in usual_lines(whole) or ()] == [Intent, Done, Beat]


@pytest.mark.parametrize(
    "block",
    [
        line(INTENT) + line(DONE) + b"\n\n" + line(BEAT) + b"\n",
        line(INTENT) + b" " + line(DONE) + b"\n \n" + line(BEAT) + b"\n",
        line(INTENT) + line(DONE) + b"\n" + line(BEAT).replace(b",", b",\n", 1) + b"\n",
        b"\n" + line(INTENT) + line(DONE) + b"\n",
        line(INTENT) + b"\n" + line(DONE)[:-1] + b"\n",
        line(INTENT) + b"\n" + BEGIN + b"\n",
    ],
)
def test_lines_that_are_not_one_record_each_are_no_usual_block(block: bytes) -> None:
    assert usual_lines(block) is None


@pytest.mark.parametrize("size", [1, 7, 100, 1 << 16])
def test_blocks_of_any_size_give_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    case = [BEGIN]
    for number in range(1, 300):
        case += [
            line({**INTENT, "id": number}),
            line({**DONE, "id": number}),
            line({**BEAT, "t": 9 + number}),
        ]
        if number % 50 == 0:
            case += [line({**DONE, "read": {"nested": [1]}}), b"", line(INTENT)]
    whole = story(tmp_path / "load.jsonl", case)
    monkeypatch.setattr(journal, "BLOCK_BYTES", size)
    assert story(tmp_path / "load.jsonl", case) == whole
    assert len(whole[2]) == 15


_NUMBERED = st.integers(1, 4)
_LINES = st.one_of(
    _NUMBERED.map(lambda number: line({**INTENT, "id": number})),
    _NUMBERED.map(lambda number: line({**DONE, "id": number})),
    _NUMBERED.map(lambda number: line({**BEAT, "t": number})),
    _NUMBERED.map(lambda number: line({**INTENT, "id": number, "attempt": 2, "other": True})),
    _NUMBERED.map(lambda number: line({**DONE, "id": number, "read": {"nested": {}}})),
    st.sampled_from(
        [
            BEGIN,
            b'{"r":"missed","id":3,"key":"k","journey":"transfer","attempt":1,"tap":false,"intended":1,"error":"late"}',
            b'{"r":"end","t":2,"scheduled":1}',
            *(b"", b"{}", b"{", b"[]", b"\n" + line(BEAT) + line(BEAT), line(INTENT)[:40], line(INTENT)[40:]),
            *(
                line(BEAT) + line(BEAT) + b"\n",
                line(BEAT) + b" " + line(BEAT),
                b"\xff",
                b"\r",
                line(BEAT) + b"\r",
            ),
        ]
    ),
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(_LINES, max_size=14),
    st.lists(st.integers(1, 400), max_size=3),
    st.sampled_from([1, 90, 1 << 16]),
)
def test_a_journal_read_while_it_grows_is_what_it_is_line_by_line(
    tmp_path: Path, lines: list[bytes], writes: list[int], size: int
) -> None:
    """With lines that are torn, empty, twice there, of two records or of half a one, and whatever is on file so far."""
    whole = b"\n".join([BEGIN, *lines])

    def told(quick: bool) -> tuple[Any, ...]:
        path = tmp_path / "load.jsonl"
        path.unlink(missing_ok=True)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(journal, "BLOCK_BYTES", size)
            if not quick:
                patch.setattr(journal, "usual_lines", lambda _: None)
                patch.setattr(journal, "usual", lambda _: None)
            reader = JournalReader(path)
            finished, at = reader.poll(), 0
            for some in [len(BEGIN) + 1, *writes, len(whole)]:
                with path.open("ab") as file:
                    file.write(whole[at : at + some])
                at += some
                finished += reader.poll()
        rest = (reader.outstanding, reader.alive_ns, reader.longest_silence_ns, reader.torn, reader.end)
        return repr(finished), repr(reader.operations()), reader.problems, reader.late_ns, rest

    assert told(quick=True) == told(quick=False)
