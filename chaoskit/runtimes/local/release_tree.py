"""A tree of files in which a release's replace the system's; neither folder is changed.

base/bank/app.py ─────────┐              tree/bank/app.py      a copy of base's
base/bank/answers.py      ├──────►       tree/bank/answers.py  a copy of over's
base/docs/                │              tree/docs           → base/docs
over/bank/answers.py ─────┘

A file in a folder that both have is copied, as a program looks for its own parts where it really lies.
"""

from __future__ import annotations

import shutil
from pathlib import Path

_LEFT_OUT = frozenset({"__pycache__"})
"""Python's compiled files, which it would take for those of a replaced source of the same size and second."""


def lay(base: Path, over: Path, tree: Path) -> None:
    """Make `tree`. Raises OSError; a tree that is there already is left alone."""
    if tree.exists():
        return
    partial = tree.with_name(tree.name + ".partial")
    _merge(base, over, partial)
    partial.rename(tree)


def _merge(base: Path, over: Path, tree: Path) -> None:
    tree.mkdir(parents=True, exist_ok=True)
    ours = {entry.name: entry for entry in over.iterdir() if entry.name not in _LEFT_OUT}
    theirs = {entry.name: entry for entry in base.iterdir() if entry.name not in _LEFT_OUT}
    for name in {**theirs, **ours}:
        under, above = theirs.get(name), ours.get(name)
        if under is not None and above is not None and under.is_dir() and above.is_dir():
            _merge(under, above, tree / name)
            continue
        found = above or under
        if found is not None and found.is_file():
            shutil.copy2(found, tree / name)
        elif found is not None:
            (tree / name).unlink(missing_ok=True)
            (tree / name).symlink_to(found)
