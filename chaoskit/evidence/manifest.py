"""The manifest: SHA-256 of every file of a judged run folder; its own SHA-256, the head, is what people write down.

    every file ──sha256──► manifest.json ──sha256──► head ──► scorecard, JUnit, the minutes of a meeting

Whoever changes a file must change the manifest, and then its head is another one. Without a head that was kept
elsewhere a folder can only be consistent with itself: all of it may have been made anew.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from chaoskit.errors import InputError
from chaoskit.evidence.chain import canonical, verify
from chaoskit.evidence.seal import digest, seal_problems
from chaoskit.model.plain_text import escaped_line
from chaoskit.regular_file import read_regular

MANIFEST = "manifest.json"
MANIFEST_VERSION = "1"
_LATER = re.compile(r"result-\d+\.json|report\.[^/]*|reports/.*")
"""What may be made from a judged run afterwards without changing it: second results, and reports."""
_JUDGED = ("events.jsonl", "plan.json", "leases.json", "ops", "books", "measurements.json", "result.json")
"""What a verdict rests on, and what it says."""
_HEAD = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Verification:
    """What a check of a run folder found.

    `head` is the folder's own, None if it has no readable manifest. `standing`: authentic (it is the head that was
    given), consistent (nothing contradicts anything, and no head was given), or altered (see `problems`). `later` are
    files that were made from the run after it was judged, and are not covered.
    """

    standing: Literal["authentic", "consistent", "altered"]
    head: str | None
    files: int
    problems: tuple[str, ...] = ()
    later: tuple[str, ...] = ()


def write_manifest(folder: Path, read: Mapping[str, str] = MappingProxyType({})) -> str:
    """Write manifest.json over everything that lies in the folder; returns the head (64 hex digits).

    `read`: as `check` takes it.
    """
    names = [name for name in _names(folder) if name != MANIFEST]
    content: dict[str, Any] = {
        "version": MANIFEST_VERSION,
        "files": {name: _fingerprint(folder / name, read.get(name)) for name in names},
    }
    raw = escaped_line(canonical(content)) + b"\n"
    partial = folder / f".{MANIFEST}.partial"
    with partial.open("wb") as file:
        file.write(raw)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(folder / MANIFEST)
    return hashlib.sha256(raw).hexdigest()


def head_of(folder: Path) -> str | None:
    """The head of a judged run folder; None if it has no manifest."""
    try:
        return digest(folder / MANIFEST)
    except OSError:
        return None


def vouched_head(folder: Path, read: Mapping[str, str] = MappingProxyType({})) -> str | None:
    """The head of a folder whose files are the ones it vouches for; None if they are not, or it has none.

    `read`: as `check` takes it.
    """
    found = check(folder, read=read)
    return None if found.standing == "altered" else found.head


def parse_head(text: str) -> str:
    """A head as a person may have copied it. Raises InputError for anything but 64 hex digits."""
    head = text.strip().lower()
    if not _HEAD.fullmatch(head):
        raise InputError(
            f"--head {text!r}: is no head; it is the 64 hex digits that the scorecard and JUnit show after `head`"
        )
    return head


def check(
    folder: Path, head: str | None = None, read: Mapping[str, str] = MappingProxyType({})
) -> Verification:
    """Compare a run folder with its manifest, its seal and its chain, and the manifest with the head, if given.

    `read`: SHA-256 of what the caller has read of some files, and judges by; they are not read again.
    Raises InputError when there is no such folder.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; give the folder of a run, like reports/<run>")
    own = head_of(folder)
    files, problems = _listed(folder)
    if head is not None and own != head:
        problems.insert(
            0, f"{MANIFEST}: its head is {own or 'missing'}, not {head}: the folder is not the one meant"
        )
    later = []
    for name in _names(folder):
        if name in files or name == MANIFEST:
            continue
        if _LATER.fullmatch(name):
            later.append(name)
        else:
            problems.append(f"{name}: was added after the run was judged")
    fingerprints = {name: _found(folder, name, read) for name in files}
    for name, expected in files.items():
        found = fingerprints[name]
        if found != expected:
            problems.append(
                f"{name}: is missing" if found is None else f"{name}: is not the file that the manifest names"
            )
    problems += [
        f"{name}: is a link: what it leads to is covered by no head"
        for name in files
        if name.partition("/")[0] in _JUDGED and (folder / name).is_symlink()
    ]
    problems += _chain_problems(
        folder, {n: one for n, one in fingerprints.items() if one and _HEAD.fullmatch(one)}
    )
    standing: Literal["authentic", "consistent", "altered"] = (
        "altered" if problems else "consistent" if head is None else "authentic"
    )
    return Verification(standing, own, len(files), tuple(dict.fromkeys(problems)), tuple(later))


def changed_among(folder: Path, names: Iterable[str]) -> tuple[str, ...]:
    """What the manifest says against these files alone; for who reads no others, of many runs."""
    files, problems = _listed(folder)
    if problems:
        return tuple(problems)
    return tuple(
        f"{name}: is not the file that the manifest names"
        for name in names
        if _found(folder, name, {}) != files.get(name)
    )


def _listed(folder: Path) -> tuple[dict[str, str], list[str]]:
    try:
        data = json.loads(read_regular(folder / MANIFEST))
        files = data["files"]
        if data["version"] != MANIFEST_VERSION:
            return {}, [f"{MANIFEST}: version {data['version']!r}; this chaoskit reads {MANIFEST_VERSION!r}"]
        if not all(isinstance(name, str) and isinstance(value, str) for name, value in files.items()):
            raise TypeError
    except FileNotFoundError:
        return {}, [f"{MANIFEST}: is missing: the run was never judged, or it was taken away"]
    except OSError as error:
        return {}, [f"{MANIFEST}: {error.strerror}"]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}, [f"{MANIFEST}: is no manifest"]
    return files, []


def _chain_problems(folder: Path, digests: Mapping[str, str]) -> list[str]:
    """What contradicts itself in the chain of events and its seal; that a killed run has no seal is no such thing."""
    chain = verify(folder / "events.jsonl")
    problems = list(chain.problems)
    if chain.sealed and isinstance(files := chain.events[-1].data.get("files"), dict):
        problems += seal_problems(folder, files, digests)
    return problems


def _names(folder: Path) -> list[str]:
    """Every entry below the folder but folders themselves, as relative POSIX paths; half-written files are left out."""
    found = []
    for place, folders, names in os.walk(folder):
        # A link to a folder is told among the folders, and is no less added or changed than any other.
        for name in (*names, *(one for one in folders if (Path(place) / one).is_symlink())):
            if not (name.startswith(".") and name.endswith(".partial")):
                found.append((Path(place) / name).relative_to(folder).as_posix())
    return sorted(found)


def _found(folder: Path, name: str, read: Mapping[str, str]) -> str | None:
    if name.startswith("/") or ".." in name.split("/"):
        return None
    try:
        return _fingerprint(folder / name, read.get(name))
    except OSError:
        return None


def _fingerprint(path: Path, read: str | None = None) -> str:
    """SHA-256 of a file, or of what was `read` of it; a link is where it points to, and anything else is not read (a
    pipe would never end)."""
    if path.is_symlink():
        return f"link to {os.readlink(path)}"  # noqa: PTH115
    if not path.is_file():
        if not path.exists():
            raise FileNotFoundError(path)
        return "no file"
    return read or digest(path)
