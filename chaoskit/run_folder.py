"""Run folders: a name no other run has, and the files every stage leaves in one."""

from __future__ import annotations

import json
import os
import shutil
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel

from chaoskit.errors import InputError
from chaoskit.model.plain_text import escaped


def state_directory() -> Path:
    """Where leases and scratch data live: $CHAOSKIT_STATE_DIR, $XDG_STATE_HOME/chaoskit or ~/.local/state/chaoskit."""
    if own := os.environ.get("CHAOSKIT_STATE_DIR"):
        return Path(own)
    base = os.environ.get("XDG_STATE_HOME")
    return (Path(base) if base else Path.home() / ".local" / "state") / "chaoskit"


def make_run_folder(reports: Path, drill: str, now: datetime) -> Path:
    """Create `<reports>/<date>T<time>-<drill>[-n]`, exclusively, also among runs that report elsewhere.

    Raises InputError when the reports folder cannot be written.
    """
    stem = f"{now:%Y-%m-%dT%H%M}-{drill}"
    runs = state_directory() / "runs"
    try:
        runs.mkdir(parents=True, exist_ok=True)
        reports.mkdir(parents=True, exist_ok=True)
        for n in range(1, 10_000):
            name = stem if n == 1 else f"{stem}-{n}"
            folder = reports / name
            try:
                (runs / name).mkdir()
            except FileExistsError:
                continue
            try:
                folder.mkdir()
            except FileExistsError:
                (runs / name).rmdir()
                continue
            return folder.resolve()
    except OSError as error:
        raise InputError(
            f"cannot write run folders: {error.filename}: {error.strerror}; choose another place with --reports "
            "or CHAOSKIT_STATE_DIR"
        ) from error
    raise InputError(f"{reports}: too many runs named {stem}; move old ones away")


def remove_run_folder(folder: Path) -> None:
    """Remove one in which no run has begun, and its place in the state directory."""
    shutil.rmtree(folder, ignore_errors=True)
    with suppress(OSError):
        (state_directory() / "runs" / folder.name).rmdir()


def write_json(path: Path, value: BaseModel) -> None:
    """Write atomically: a reader sees the whole file or none. Nothing in it drives a terminal that shows it."""
    partial = path.with_name(f".{path.name}.partial")
    text = escaped(json.dumps(value.model_dump(mode="json"), indent=1, ensure_ascii=False))
    with partial.open("w", encoding="utf-8") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def unused_name(path: Path) -> Path:
    """`result.json` → `result-2.json`, the first that does not exist: a second result never replaces a first."""
    n = 2
    while (candidate := path.with_name(f"{path.stem}-{n}{path.suffix}")).exists():
        n += 1
    return candidate
