"""A folder's drills are found whatever they are called: one that is overlooked would count as proven by silence."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaoskit.drill_files import drills_in


def test_drills_are_found_by_their_key_in_and_below_a_folder(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    texts = {
        "b.yaml": "drill: b\n",
        "deep/a.yml": '# one\n"drill": a\n',
        "system.yaml": "system: x\n",
        "notes.txt": "drill: no\n",
        "compose.yaml": "services: {drill: {image: x}}\n",
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    assert [path.relative_to(tmp_path).as_posix() for path in drills_in(tmp_path)] == ["b.yaml", "deep/a.yml"]


@pytest.mark.parametrize(
    ("raw", "found"),
    [
        (b"  drill: a\n  title: b\n", True),
        (b'{"title": "b", "drill": "a"}', True),
        (b'{\n "title": "b",\n "load": {"x": 1},\n "drill": "a"\n', True),
        (b"# " + b"x" * 100_000 + b"\ndrill: a\n", True),
        ("drill: a\n".encode("utf-16"), True),
        (b"--- {drill: a}\n", True),
        (b"x: {drill: a}\ny:\n  - drill: b\n", False),
        (b"  x:\n    drill: a\n", False),
        (b"- drill: a\n", False),
        (b'note: "to drill: a"\n', False),
        (b"x: [\n  drill: {\n", False),
        (b"\xff\xfe\x00 drill:", False),
    ],
)
def test_the_key_counts_however_the_file_is_written(tmp_path: Path, raw: bytes, found: bool) -> None:
    """`chaoskit run` takes every one of these; pytest and `prove` must not pass over them in silence."""
    (tmp_path / "x.yaml").write_bytes(raw)
    assert bool(drills_in(tmp_path)) is found
