"""Which files are drills: the same answer for pytest and for commands that take a folder. Imports nothing heavy."""

from __future__ import annotations

import re
from pathlib import Path

_DRILL_KEY = re.compile(rb"""^(?:\xef\xbb\xbf)?["']?drill["']?[ \t]*:""", re.MULTILINE)
_SNIFFED_BYTES = 64 * 1024


def looks_like_a_drill(path: Path) -> bool:
    """Whether it is a YAML file with a top-level `drill:` key, broken or not; any other YAML file is left alone."""
    try:
        if (
            path.suffix not in (".yaml", ".yml") or not path.is_file()
        ):  # opening a pipe would wait for its writer
            return False
        with path.open("rb") as file:
            return _DRILL_KEY.search(file.read(_SNIFFED_BYTES)) is not None
    except OSError:
        return False


def drills_in(folder: Path) -> list[Path]:
    """The drill files in a folder and below it, in order."""
    return [path for path in sorted(folder.rglob("*")) if looks_like_a_drill(path)]
