"""Rubbish for what chaoskit reads back: run folders with files changed, cut, swapped, taken away or made anew."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
from hypothesis import strategies as st

from chaoskit import judging
from chaoskit.evidence.chain import link_hash
from tests.fuzz import hostile
from tests.fuzz.sandbox import Ended, Finding, Sandbox
from tests.histories.builder import RunBuilder

HEAD = "HEAD"
COMMANDS: tuple[tuple[str, ...], ...] = (
    ("judge", "run"),
    ("judge", "run"),
    ("verify", "run"),
    ("verify", "run", "--head", HEAD),
    ("explain", "run"),
    ("explain", "run", "transfer.rta"),
    ("explain", "run", "nothing-lost"),
    ("report", "run"),
    ("compare", "run", "good"),
    ("compare", "run", "--baseline", "good"),
    ("history", "--reports", "."),
    ("report", "primary-crash.series.json"),
)
ALLOWED = {
    "judge": (0, 1, 2, 3, 4, 130),
    "verify": (0, 1, 2, 3),
    "explain": (0, 2, 3),
    "report": (0, 1, 2, 3),
    "compare": (0, 1, 2, 3),
    "history": (0, 2),
}
_SERIES = {
    "series": "primary-crash",
    "drill": "primary-crash",
    "runs": 2,
    "confidence": "95%",
    "seeds": [1, 2],
}
JUDGEMENTS = ("result.json", "measurements.json", "manifest.json")

Edit = tuple[str, Any]
"""What is done to one file: a verb and its object."""


@dataclass(frozen=True)
class Damaged:
    """One input: edits of files of the run folder, and the command that reads it."""

    edits: tuple[tuple[str, Edit], ...]
    command: tuple[str, ...]
    judged: bool
    """Whether the folder still has its result; without it, `judge` gives its first."""


@dataclass(frozen=True)
class Recorded:
    """A small recorded run, judged; `head` vouches for it."""

    folder: Path
    head: str

    @property
    def files(self) -> list[str]:
        return sorted(p.relative_to(self.folder).as_posix() for p in self.folder.rglob("*") if p.is_file())


def record(folder: Path) -> Recorded:
    """Write a small run as a real one leaves it, and judge it."""
    RunBuilder().crash().write(folder)
    run = judging.judge_folder(folder)
    assert (run.result.outcome, run.head is not None) == ("pass", True)
    assert run.head is not None
    return Recorded(folder, run.head)


def run(sandbox: Sandbox, desk: Path, recorded: Recorded, one: Damaged) -> tuple[Ended, list[Finding]]:
    """The command's end on a damaged copy, and what was said of damage that must not have been said."""
    shutil.rmtree(desk, ignore_errors=True)
    desk.mkdir()
    shutil.copytree(recorded.folder, desk / "run")
    shutil.copytree(recorded.folder, desk / "good")
    (desk / "primary-crash.series.json").write_text(json.dumps(_SERIES))
    if not one.judged:
        for name in JUDGEMENTS:
            (desk / "run" / name).unlink()
    for name, edit in one.edits:
        apply(desk if name.endswith(".series.json") else desk / "run", name, edit)
    changed = [name for name in recorded.files if not _same(recorded.folder / name, desk / "run" / name)]
    argv = [recorded.head if word == HEAD else word for word in one.command]
    ended = sandbox.run(argv, desk)
    return ended, _believed(one, ended, changed)


def _same(a: Path, b: Path) -> bool:
    try:
        return b.is_file() and not b.is_symlink() and a.read_bytes() == b.read_bytes()
    except OSError:
        return False


def _believed(one: Damaged, ended: Ended, changed: list[str]) -> list[Finding]:
    """Damage that went unnoticed. A chain that was made anew is no such: without its head nobody can tell."""
    found = []
    if HEAD in one.command and changed and ended.code == 0:
        found.append(Finding("verify: authentic, though damaged", f"changed: {changed}"))
    evidence = [name for name in changed if name not in JUDGEMENTS]
    anew = any(edit[0] == "rechain" for _, edit in one.edits)
    if one.command[0] == "judge" and evidence and not anew and ended.code == 0 and not one.judged:
        found.append(Finding("judge: passes damaged evidence", f"changed: {evidence}"))
    return found


def apply(folder: Path, name: str, edit: Edit) -> None:
    """Do one edit; one that no longer fits what an earlier one left does nothing."""
    path = folder / name
    verb, what = edit
    if verb in _PLACED:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif os.path.lexists(path):
            path.unlink()
        if path.parent.is_dir():
            _PLACED[verb](path)
    elif path.is_file() and not path.is_symlink():
        path.write_bytes(_CHANGED[verb](path.read_bytes(), what))


_PLACED: dict[str, Callable[[Path], Any]] = {
    "remove": lambda path: None,
    "directory": lambda path: path.mkdir(),
    "pipe": lambda path: os.mkfifo(path),
    "loop": lambda path: path.symlink_to(path.name),
    "endless": lambda path: path.symlink_to("/dev/zero"),
    "dangling": lambda path: path.symlink_to("nowhere"),
    "device": lambda path: path.symlink_to("/dev/full"),
    "other parquet": lambda path: _parquet(path),
}


def _parquet(path: Path) -> None:
    with duckdb.connect() as base:
        base.execute(
            f"COPY (SELECT 'x' AS key, [1] AS amount, NULL AS entry_id) TO '{path}' (FORMAT parquet)"
        )


def _cut(raw: bytes, at: int) -> bytes:
    return raw[: at % (len(raw) + 1)]


def _flip(raw: bytes, what: tuple[int, bytes]) -> bytes:
    at = what[0] % (len(raw) + 1)
    return raw[:at] + what[1] + raw[at + len(what[1]) :]


def _lines(raw: bytes, what: tuple[str, int, int]) -> bytes:
    """Lines doubled, swapped or dropped."""
    lines = raw.split(b"\n")
    verb, a, b = what[0], what[1] % len(lines), what[2] % len(lines)
    if verb == "double":
        lines.insert(b, lines[a])
    elif verb == "swap":
        lines[a], lines[b] = lines[b], lines[a]
    else:
        del lines[a]
    return b"\n".join(lines)


def _value(raw: bytes, what: tuple[int, int, Any]) -> bytes:
    """One value of one JSON line, or of the one JSON document, replaced."""
    try:
        json.loads(raw)
        lines = [raw]
    except (ValueError, RecursionError):
        lines = raw.split(b"\n")
    number = what[0] % len(lines)
    try:
        tree = json.loads(lines[number])
        lines[number] = _dump(_replaced(tree, what[1], what[2]))
    except (ValueError, RecursionError):
        pass
    return b"\n".join(lines)


def _replaced(tree: Any, at: int, value: Any) -> Any:
    known = _paths(tree)
    if not known:
        return value
    path = known[at % len(known)]
    node = tree
    for part in path[:-1]:
        node = node[part]
    node[path[-1]] = value
    return tree


def _paths(tree: Any, base: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    return [path for key, value in inner for path in [(*base, key), *_paths(value, (*base, key))]]


def _dump(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()


def _rechain(raw: bytes, what: tuple[int, int, Any]) -> bytes:
    """An event's value replaced and the whole chain made anew, as whoever knows how would do: only the seal is old."""
    events = [json.loads(line) for line in raw.splitlines() if line.strip()]
    if not events or not all(isinstance(event, dict) for event in events):
        return raw
    event = events[what[0] % len(events)]
    event["data"] = _replaced(event.get("data"), what[1], what[2])
    previous = ""
    lines = []
    for event in events:
        event["prev"] = previous
        try:
            event["hash"] = previous = link_hash(event)
            text = json.dumps(event, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        except ValueError:
            return raw
        lines.append(text.encode("utf-8", "replace") + b"\n")
    return b"".join(lines)


_CHANGED: dict[str, Callable[[bytes, Any], bytes]] = {
    "empty": lambda raw, what: b"",
    "whole": lambda raw, what: what,
    "cut": _cut,
    "flip": _flip,
    "lines": _lines,
    "value": _value,
    "rechain": _rechain,
}

_JSON_TEXTS = (
    b"null",
    b"[]",
    b"{}",
    b"0",
    b'"x"',
    b"{" * 50_000,
    b"[" * 200_000,
    b'{"a":' * 50_000,
    b"9" * 200_000,
    b"-1e999999999",
    b"NaN",
    b'"\\ud800"',
    b"\xff\xfe\x00",
    b"\xef\xbb\xbf{}",
    b"{}\n" * 100_000,
    b"\n" * 500_000,
    b'{"n":0,"t":0,"kind":"seal","data":{"files":{}},"prev":"","hash":""}\n',
)
_VALUES: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from(hostile.STRINGS),
    st.sampled_from([n for n in hostile.NUMBERS if abs(n) < 10**300]),
    st.sampled_from(hostile.containers()),
    st.none() | st.booleans() | st.integers() | st.text(max_size=12),
)
_AT = st.integers(0, 10**6)


def _edits(name: str) -> st.SearchStrategy[Edit]:
    common: list[st.SearchStrategy[Edit]] = [
        st.tuples(st.sampled_from(sorted(_PLACED)), st.none()),
        st.tuples(st.just("empty"), st.none()),
        st.tuples(st.just("cut"), _AT),
        st.tuples(st.just("flip"), st.tuples(_AT, st.binary(min_size=1, max_size=8))),
    ]
    if not name.endswith(".parquet"):
        common += [
            st.tuples(st.just("whole"), st.sampled_from(_JSON_TEXTS)),
            st.tuples(st.just("lines"), st.tuples(st.sampled_from(["double", "swap", "drop"]), _AT, _AT)),
        ] + [st.tuples(st.just("value"), st.tuples(_AT, _AT, _VALUES))] * 4
    if name == "events.jsonl":
        common += [st.tuples(st.just("rechain"), st.tuples(_AT, _AT, _VALUES))] * 6
    return st.one_of(common)


def damaged(recorded: Recorded) -> st.SearchStrategy[Damaged]:
    """One input for this run."""
    names = [*recorded.files, "primary-crash.series.json"]
    # The small files say most; a journal has hundreds of lines alike.
    weighted = [*names, *["events.jsonl", "plan.json", "result.json", "measurements.json"] * 2]
    one = st.sampled_from(weighted).flatmap(lambda name: st.tuples(st.just(name), _edits(name)))
    return st.builds(
        Damaged,
        st.lists(one, min_size=1, max_size=2).map(tuple),
        st.sampled_from(COMMANDS),
        st.booleans(),
    )
