"""The seal: SHA-256 of every file of a history, written as the chain's last event, and checked before judging."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any, Self

from chaoskit.regular_file import open_regular

JUDGED_LATER = ("events.jsonl", "measurements.json")
"""Never sealed: the chain itself, and what is made from the history. Results and reports are not sealed either."""
_EVIDENCE = ("plan.json", "leases.json")
_EVIDENCE_FOLDERS = ("ops", "books")


def digest(path: Path) -> str:
    """SHA-256 of a file, hex; raises OSError, also for what is no file: a pipe in its place would never end."""
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Hashing:
    """SHA-256 of what is being read, made in a thread: hashing needs no interpreter."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._thread = ThreadPoolExecutor(1, "hashing")

    def update(self, block: bytes) -> None:
        """The next block, at some time before the end."""
        self._thread.submit(self._hash.update, block)

    def hexdigest(self) -> str:
        """Of all blocks, once nothing is being read any more."""
        return self._hash.hexdigest()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.shutdown()


def seal_files(folder: Path) -> dict[str, str]:
    """What the seal of this run folder must say: relative POSIX path → SHA-256, of all but judgements."""
    return {
        name: digest(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and not path.is_symlink()
        and not _is_judgement(name := path.relative_to(folder).as_posix())
    }


def _is_judgement(name: str) -> bool:
    return (
        name in JUDGED_LATER
        or name.rpartition("/")[2].startswith(".")
        or name.startswith(("reports/", "report."))
        or (name.startswith("result") and name.endswith(".json"))
    )


def seal_problems(
    folder: Path, sealed: Mapping[str, Any], digests: Mapping[str, str] = MappingProxyType({})
) -> tuple[str, ...]:
    """Every file that is missing, changed, or was added to the evidence after the seal.

    `digests`: of files that the caller has just read.
    """
    problems = []
    for name, expected in sorted(sealed.items()):
        inside = PurePosixPath(name)
        if inside.is_absolute() or ".." in inside.parts:
            problems.append(f"the seal names {name!r}, which is not in the run folder")
            continue
        try:
            found = digests.get(name) or digest(folder / inside)
        except OSError as error:
            problems.append(f"{name}: sealed, but cannot be read: {error.strerror}")
            continue
        if found != expected:
            problems.append(f"{name}: is not the file that was sealed")
    problems += [
        f"{name}: was added after the run was sealed" for name in _evidence(folder) if name not in sealed
    ]
    return tuple(problems)


def _evidence(folder: Path) -> list[str]:
    names = [name for name in _EVIDENCE if (folder / name).exists()]
    for top in _EVIDENCE_FOLDERS:
        names += sorted(
            path.relative_to(folder).as_posix()
            for path in (folder / top).rglob("*")
            # A link to a folder is not gone into here, and would be by who reads the books of each member.
            if path.is_symlink() or (path.is_file() and not path.name.startswith("."))
        )
    return names
