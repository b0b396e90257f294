"""Which files are drills: the same answer for pytest and for commands that take a folder. Imports nothing heavy."""

from __future__ import annotations

import re
from pathlib import Path

_DRILL_KEY = re.compile(rb"""^(?:\xef\xbb\xbf)?["']?drill["']?[ \t]*:""", re.MULTILINE)
_ANY_KEY = re.compile(rb"""(?<![\w-])drill["']?\s*:|^(?:\xff\xfe|\xfe\xff)""")
"""What may be the key of an indented file, of one in JSON, or of one in another encoding; few other files have it."""
_READ_BYTES = 1024 * 1024


def looks_like_a_drill(path: Path) -> bool:
    """Whether it is a YAML file with a top-level `drill:` key, broken or not; any other YAML file is left alone."""
    try:
        if (
            path.suffix not in (".yaml", ".yml") or not path.is_file()
        ):  # opening a pipe would wait for its writer
            return False
        with path.open("rb") as file:
            raw = file.read(_READ_BYTES)
    except OSError:
        return False
    return _DRILL_KEY.search(raw) is not None or (_ANY_KEY.search(raw) is not None and _at_the_top(raw))


def _at_the_top(raw: bytes) -> bool:
    """Whether YAML finds the key at the top; up to where the file is broken, if it is."""
    import yaml  # here, because hardly any file needs it

    depth, key_next = 0, True
    try:
        for event in yaml.parse(raw, Loader=yaml.SafeLoader):
            if isinstance(event, yaml.CollectionEndEvent):
                depth -= 1
            elif isinstance(event, yaml.NodeEvent):
                if depth == 0 and not isinstance(event, yaml.MappingStartEvent):
                    return False
                if depth == 1:
                    if key_next and isinstance(event, yaml.ScalarEvent) and event.value == "drill":
                        return True
                    key_next = not key_next
                if isinstance(event, yaml.CollectionStartEvent):
                    depth += 1
    except (yaml.YAMLError, ValueError, RecursionError):
        return False
    return False


def drills_in(folder: Path) -> list[Path]:
    """The drill files in a folder and below it, in order."""
    return [path for path in sorted(folder.rglob("*")) if looks_like_a_drill(path)]
