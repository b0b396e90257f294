"""The chain of events: what was written is read back, and any change is found."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chaoskit.errors import EnvironmentBroken
from chaoskit.evidence.chain import ChainWriter, canonical, link_hash, verify


def write(path: Path, n: int = 5, seal: bool = True) -> Path:
    with ChainWriter(path) as chain:
        for i in range(n):
            chain.append(
                1_000 + i, "phase", {"name": f"p{i}", "state": "begin", "z": [1, {"a": None}]}, sync=i == 0
            )
        if seal:
            chain.append(2_000, "seal", {"files": {}})
    return path


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    chain = verify(write(tmp_path / "events.jsonl"))
    assert chain.problems == ()
    assert chain.sealed
    assert not chain.torn
    assert [event.n for event in chain.events] == [0, 1, 2, 3, 4, 5]
    assert chain.events[0].prev == ""
    assert chain.events[3].prev == chain.events[2].hash


def test_the_line_is_canonical_json_with_its_hash(tmp_path: Path) -> None:
    line = write(tmp_path / "events.jsonl", 1).read_bytes().splitlines()[0]
    fields = json.loads(line)
    assert line == json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    assert fields["hash"] == link_hash(fields)


def test_append_returns_what_a_reader_will_see(tmp_path: Path) -> None:
    with ChainWriter(tmp_path / "events.jsonl") as chain:
        written = chain.append(7, "service.exit", {"log_tail": ("a", "ü", "\udcff"), "status": 1})
    assert verify(tmp_path / "events.jsonl").events == (written,)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.floats(0, 1, exclude_max=True), byte=st.integers(1, 255))
def test_any_changed_byte_is_found(tmp_path: Path, at: float, byte: int) -> None:
    path = tmp_path / "events.jsonl"
    path.unlink(missing_ok=True)
    raw = bytearray(write(path).read_bytes())
    place = int(at * len(raw))
    raw[place] ^= byte
    path.write_bytes(raw)
    chain = verify(path)
    assert chain.problems or chain.torn


@pytest.mark.parametrize("n", range(5))
def test_a_missing_line_is_found(tmp_path: Path, n: int) -> None:
    path = write(tmp_path / "events.jsonl")
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:n] + lines[n + 1 :]))
    assert verify(path).problems


def test_lines_in_another_order_are_found(tmp_path: Path) -> None:
    path = write(tmp_path / "events.jsonl")
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([lines[1], lines[0], *lines[2:]]))
    assert verify(path).problems


def test_a_line_that_was_forged_with_a_fitting_hash_breaks_the_next(tmp_path: Path) -> None:
    path = write(tmp_path / "events.jsonl")
    lines = path.read_bytes().splitlines()
    fields = json.loads(lines[2])
    fields["data"]["name"] = "forged"
    fields["hash"] = link_hash(fields)
    lines[2] = canonical(fields)
    path.write_bytes(b"\n".join(lines) + b"\n")
    assert verify(path).problems == ("events.jsonl: line 4 does not continue the line before it",)


def test_nothing_may_follow_the_seal(tmp_path: Path) -> None:
    path = write(tmp_path / "events.jsonl")
    with path.open("ab") as file:
        file.write(b"{}\n")
    assert any("after the seal" in problem or "no event" in problem for problem in verify(path).problems)


def test_a_torn_last_line_is_told_and_harmless(tmp_path: Path) -> None:
    path = write(tmp_path / "events.jsonl", seal=False)
    path.write_bytes(path.read_bytes()[:-7])
    chain = verify(path)
    assert chain.torn
    assert chain.problems == ()
    assert len(chain.events) == 4


@pytest.mark.parametrize(
    "rubbish", [b"", b"\n\n", b"\xff\xfe\n", b"[" * 100_000 + b"\n", b"null\n", b'{"n":0}\n']
)
def test_rubbish_never_raises(tmp_path: Path, rubbish: bytes) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(rubbish)
    assert verify(path).events == ()


def test_a_missing_file_is_a_problem(tmp_path: Path) -> None:
    assert verify(tmp_path / "events.jsonl").problems == ("events.jsonl: No such file or directory",)


def test_a_second_writer_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "events.jsonl")
    with pytest.raises(EnvironmentBroken, match="File exists"):
        ChainWriter(tmp_path / "events.jsonl")


def test_a_full_disk_is_said(tmp_path: Path) -> None:
    with ChainWriter(tmp_path / "events.jsonl") as chain:
        os.close(chain._file)
        chain._file = os.open("/dev/full", os.O_WRONLY)
        with pytest.raises(EnvironmentBroken, match="No space left"):
            chain.append(1, "phase", {})


def test_what_json_cannot_say_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with ChainWriter(tmp_path / "events.jsonl") as chain:
        with pytest.raises(ValueError):
            chain.append(1, "phase", {"x": float("nan")})
        chain.append(2, "phase", {"x": 1})
    assert verify(tmp_path / "events.jsonl").problems == ()


WRITER = """
import sys
from pathlib import Path
from chaoskit.evidence.chain import ChainWriter
with ChainWriter(Path(sys.argv[1])) as chain:
    n = 0
    while True:
        chain.append(n, "phase", {"name": "x" * (n % 700)})
        n += 1
        if n == 50:
            print("writing", flush=True)
"""


def test_a_killed_writer_leaves_a_chain_that_verifies(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    with subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"writing\n"
        process.send_signal(signal.SIGKILL)
        process.wait(30)
    chain = verify(path)
    assert chain.problems == ()
    assert len(chain.events) >= 50
    assert not chain.sealed


def test_a_line_that_was_only_spaced_anew_is_found(tmp_path: Path) -> None:
    """Its hash still fits, because the content is the same; it is not the line that was written."""
    path = write(tmp_path / "events.jsonl")
    path.write_bytes(path.read_bytes().replace(b'"kind":"phase"', b'"kind": "phase"', 1))
    assert verify(path).problems == ("events.jsonl: line 1 is not in canonical form: it was rewritten",)


def test_a_chain_whose_numbers_skip_is_found(tmp_path: Path) -> None:
    """Forged as a whole, every hash fits."""
    path, prev = tmp_path / "events.jsonl", ""
    with path.open("wb") as file:
        for n in (0, 1, 3):
            fields: dict[str, object] = {"n": n, "t": n, "kind": "phase", "data": {}, "prev": prev}
            prev = link_hash(fields)
            file.write(canonical(fields | {"hash": prev}) + b"\n")
    assert verify(path).problems == ("events.jsonl: line 3 is event 3; events are missing or out of order",)
