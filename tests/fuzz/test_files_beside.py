"""The other files that a system names: variables, and classes of one's own."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from chaoskit.model.own_class import missing
from chaoskit.spec.compose_env_file import read_env_file
from chaoskit.spec.compose_variables import Variables

SOURCES = {
    "brackets.py": b"(" * 100_000,
    "minus.py": b"x = " + b"-" * 900_000 + b"1",
    "nul.py": b"a\0b",
    "latin.py": b"\xff",
    "coding.py": b"# coding: nope\n",
    "huge.py": b"class A: pass\n" * 100_000,
}


def test_a_long_file_of_variables_takes_no_longer_than_its_lines(tmp_path: Path) -> None:
    """Found: each line was counted from the file's start, and each value copied all that stood before it."""
    path = tmp_path / "long.env"
    path.write_text("".join(f"V{n}=${{V{n - 1}}}x\n" if n % 10 == 9 else f"V{n}=a\n" for n in range(60_000)))
    begin = time.process_time()
    found = read_env_file(path, Variables({"HOME": "/root"}))
    assert time.process_time() - begin < 1.0
    assert (len(found), found["V59999"], found["V59998"]) == (60_000, "ax", "a")


def test_what_is_no_file_of_variables(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path, why in (
        (pipe, "no regular file"),
        (Path("/dev/zero"), "no regular file"),
        (tmp_path, "directory"),
    ):
        with pytest.raises(OSError, match=why):
            read_env_file(path)
    (tmp_path / "large").write_text("A=" + "x" * 1_000_001)
    with pytest.raises(OSError, match="larger than"):
        read_env_file(tmp_path / "large")


def test_line_breaks_of_other_systems(tmp_path: Path) -> None:
    (tmp_path / "mac").write_bytes(b"A=1\rB=2\r\nC=3\n")
    assert read_env_file(tmp_path / "mac") == {"A": "1", "B": "2", "C": "3"}


@pytest.mark.parametrize("name", SOURCES)
def test_a_source_that_cannot_be_parsed(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(SOURCES[name])
    why = missing(f"{name}:A", tmp_path, "chaoskit.journeys")
    assert why is not None
    assert why.startswith(f"{name}: ")


@pytest.mark.parametrize(
    "name", ["", ".x", "__main__", "a\0b", "a b", "x" * 5_000, "..", "\0.py", "\ud800.py"]
)
def test_a_name_that_no_module_can_have(tmp_path: Path, name: str) -> None:
    assert missing(f"{name}:A", tmp_path, "chaoskit.journeys")


def test_a_pipe_in_place_of_a_source(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "own.py")
    assert missing("own.py:A", tmp_path, "chaoskit.journeys") == "own.py: is no regular file"
