"""A release's files in the place of the system's, and neither folder touched."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from chaoskit.runtimes.local.release_tree import lay


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        path = folder / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def test_what_the_release_has_replaces_and_adds_and_the_rest_stays(tmp_path: Path) -> None:
    base = write(tmp_path / "base", bank__a="A = 1", bank__b="B = 1", other__c="C = 1", bank__init="")
    (base / "bank" / "init.py").rename(base / "bank" / "__init__.py")
    over = write(tmp_path / "over", bank__a="A = 2", bank__deep__new="N = 2")
    tree = tmp_path / "trees" / "next"
    lay(base, over, tree)
    read = {str(p.relative_to(tree)): p.read_text() for p in tree.rglob("*.py")}
    read |= {"bank/deep/new.py": (tree / "bank" / "deep" / "new.py").read_text()}
    read |= {"other/c.py": (tree / "other" / "c.py").read_text()}
    assert read == {
        "bank/__init__.py": "",
        "bank/a.py": "A = 2",
        "bank/b.py": "B = 1",
        "bank/deep/new.py": "N = 2",
        "other/c.py": "C = 1",
    }
    lay(base, over, tree)  # again: as it is
    assert (base / "bank" / "a.py").read_text() == "A = 1"
    assert not (base / "bank" / "deep").exists()


def test_python_does_not_take_the_old_compiled_file_for_the_new_source(tmp_path: Path) -> None:
    """Same size, same second: what a checkout gives two files, and all that Python compares."""
    base = write(tmp_path / "base", bank__a="A = 1")
    over = write(tmp_path / "over", bank__a="A = 2")
    compiles = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    ask = [sys.executable, "-c", "import bank.a; print(bank.a.A)"]
    for folder in (base, over):
        os.utime(folder / "bank" / "a.py", (1_700_000_000, 1_700_000_000))
    answers = []
    for folder in (base, tmp_path / "tree"):
        if folder != base:
            lay(base, over, folder)  # base holds a compiled file by now
        done = subprocess.run(ask, cwd=folder, env=compiles, capture_output=True, text=True, check=True)
        answers.append(done.stdout.strip())
        assert list((folder / "bank").glob("__pycache__/a.*"))
    assert answers == ["1", "2"]
