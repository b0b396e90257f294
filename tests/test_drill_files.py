"""A folder's drills are found whatever they are called: one that is overlooked would count as proven by silence."""

from __future__ import annotations

from pathlib import Path

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
