"""Whatever is in a file: a drill, or an InputError that names a place; never another exception."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from chaoskit import spec
from chaoskit.errors import InputError, Problem
from tests.spec import sample_files
from tests.spec.fake_members import FakeRegistry

_WORDS = st.sampled_from(
    [
        *"-:{}[]&*<>|?!%@`'\"#,~\n\t ",
        "<<",
        "a",
        "on",
        "fault",
        "when",
        "1",
        "0x",
        "&a",
        "*a",
        "- ",
        ": ",
        "\n  ",
        "---\n",
    ]
)
_VALUES: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
_KEYS = [
    "drill",
    "system",
    "load",
    "steady",
    "timeline",
    "objectives",
    "settle",
    "checks",
    "abort",
    "expect",
    "matrix",
]
_PLACES = [
    *((key,) for key in _KEYS),
    *(
        ("timeline", number, key)
        for number in (0, 1)
        for key in ("at", "fault", "on", "when", "respond", "params", "x")
    ),
    ("objectives", "transfer", "rto"),
]


def survives(**files: bytes | str) -> None:
    """Load the bank with some files replaced."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        path = sample_files.write(folder)
        for file, content in files.items():
            raw = content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content
            (folder / f"{file}.yaml").write_bytes(raw)
        try:
            spec.cells(spec.load(path, FakeRegistry(), {}))
        except InputError as error:
            problems = error.problems
        else:
            return
    assert problems
    for one in problems:
        assert isinstance(one, Problem)
        assert one.location.line >= 1
        assert one.message


@settings(max_examples=150, deadline=None)
@given(
    st.binary(max_size=200) | st.lists(_WORDS, max_size=60).map("".join),
    st.sampled_from(["drill", "system", "compose"]),
)
def test_any_bytes(content: bytes | str, file: str) -> None:
    survives(**{file: content})


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(_PLACES), _VALUES)
def test_any_value_anywhere_in_a_drill(place: tuple[str | int, ...], value: Any) -> None:
    survives(drill=_changed(sample_files.DRILL, place, value))


@settings(max_examples=150, deadline=None)
@given(st.data(), _VALUES)
def test_any_value_anywhere_in_a_system(data: st.DataObject, value: Any) -> None:
    tree = yaml.safe_load(sample_files.SYSTEM)
    survives(system=_changed(sample_files.SYSTEM, data.draw(st.sampled_from(_paths(tree))), value))


@settings(max_examples=150, deadline=None)
@given(st.data(), _VALUES)
def test_any_value_anywhere_in_a_compose_file(data: st.DataObject, value: Any) -> None:
    tree = yaml.safe_load(sample_files.COMPOSE)
    survives(compose=_changed(sample_files.COMPOSE, data.draw(st.sampled_from(_paths(tree))), value))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, len(sample_files.DRILL) - 1), st.integers(0, 20))
def test_a_torn_drill(start: int, length: int) -> None:
    survives(drill=sample_files.DRILL[:start] + sample_files.DRILL[start + length :])


def _changed(text: str, place: tuple[str | int, ...], value: Any) -> str:
    tree: Any = yaml.safe_load(text)
    node = tree
    for part in place[:-1]:
        node = node[part]
    node[place[-1]] = value
    return yaml.safe_dump(tree, allow_unicode=True)


def _paths(tree: Any, base: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    inner = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else []
    return [path for key, value in inner for path in [(*base, key), *_paths(value, (*base, key))]]
