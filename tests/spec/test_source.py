"""YAML with places: 1.2 words, anchors, merge keys, and what is refused."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from chaoskit.errors import InputError
from chaoskit.spec.source import Document, read


def load(tmp_path: Path, text: str | bytes) -> Document:
    path = tmp_path / "file.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read(path)


def refusal(tmp_path: Path, text: str | bytes) -> str:
    """The error as printed, without the folder."""
    with pytest.raises(InputError) as caught:
        load(tmp_path, text)
    return str(caught.value).replace(f"{tmp_path}/", "")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("on", "on"),
        ("yes", "yes"),
        ("22:22", "22:22"),
        ("2026-11-23", "2026-11-23"),
        ("012", 12),
        ("0o14", 12),
        ("0x1F", 31),
        ("1_000", "1_000"),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("1.10", 1.1),
        ("true", True),
        ("True", True),
        ("~", None),
        ("", None),
        ("null", None),
        ("'no'", "no"),
        ('"12"', "12"),
        ("!!str 12", "12"),
        (".inf", ".inf"),
        ("9" * 5000, "9" * 5000),
    ],
)
def test_words_mean_what_yaml_1_2_says(tmp_path: Path, text: str, value: Any) -> None:
    found = load(tmp_path, f"a: {text}\n").data["a"]
    assert found == value
    assert isinstance(found, bool) == isinstance(value, bool)


def test_numbers_remember_how_they_were_written(tmp_path: Path) -> None:
    data = load(tmp_path, "a: 012\nb: 1.10\n").data
    assert (data["a"].text, data["b"].text) == ("012", "1.10")


def test_keys_stay_words(tmp_path: Path) -> None:
    assert list(load(tmp_path, "on: 1\nno: 2\n12: 3\n").data) == ["on", "no", "12"]


def test_anchors_are_copied_and_merge_keys_yield_to_own_keys(tmp_path: Path) -> None:
    text = "a: &a {x: 1, y: 1}\nb: &b {y: 2, z: 2}\nc: {z: 3, <<: [*a, *b]}\nd: *a\n"
    document = load(tmp_path, text)
    assert document.data["c"] == {"z": 3, "x": 1, "y": 1}
    assert document.data["d"] == {"x": 1, "y": 1}
    assert document.places.at("c", "y").line == 1


def test_every_key_and_value_has_its_place(tmp_path: Path) -> None:
    places = load(tmp_path, "标题: é\nlist:\n  - 😀: {b: [1, 2]}\n").places
    assert str(places.at("标题")).endswith("file.yaml:1:5")
    assert str(places.at("list", 0, "😀", "b", 1)).endswith("file.yaml:3:16")
    assert str(places.at("list", 0, "nowhere")).endswith("file.yaml:3:5")


def test_a_caret_stands_below_wide_characters(tmp_path: Path) -> None:
    problem = load(tmp_path, "银行: {名: x}\n").places.problem(("银行", "名"), "wrong")
    assert str(problem).splitlines()[1:] == ["    银行: {名: x}", "               ^"]


def test_a_long_line_is_cut_around_its_place(tmp_path: Path) -> None:
    problem = load(tmp_path, "a: [" + "x, " * 1000 + "y]\n").places.problem(("a", 900), "wrong")
    line, caret = str(problem).splitlines()[1:]
    assert len(line) < 120
    assert line[caret.index("^")] == "x"


GOLDEN = [
    ("", "file.yaml:1:1: the file is empty\n    write a mapping: keys and values, like `title: …`"),
    (
        "# x\n",
        "file.yaml:1:1: the file is empty\n    # x\n    ^\n    write a mapping: keys and values, like `title: …`",
    ),
    ("- 1\n", "file.yaml:1:1: the file is a list, not a mapping"),
    ("hello\n", "file.yaml:1:1: the file is a text, not a mapping"),
    ("a: 1\n---\nb: 1\n", "file.yaml:2:1: a second document begins here"),
    (
        "a: 1\nb:\n  a: 2\na: 3\n",
        "file.yaml:4:1: the key `a` is written twice\n    a: 3\n    ^\n    first on line 1",
    ),
    ("a: 1\n~: 2\nnull: 3\n", "file.yaml:3:1: the key `null` is written twice"),
    ("a:\n\tb: 1\n", "file.yaml:2:1: not YAML: found character that cannot start any token"),
    ("a: *b\n", "file.yaml:1:4: no anchor &b stands before this"),
    ("a: &a [*a]\n", "file.yaml:1:8: *a stands inside what &a names"),
    ("a: &a {<<: *a}\n", "file.yaml:1:12: *a stands inside what &a names"),
    ("b: {<<: 3}\n", "file.yaml:1:9: `<<` merges mappings, not a number"),
    ("? [a]\n: 1\n", "file.yaml:1:3: a key is a word, not a list"),
    ("a: !!python/object:os.system x\n", "file.yaml:1:4: 'x' does not fit the tag"),
    ("a: !reset null\n", "file.yaml:1:4: the tag '!reset' means nothing here"),
    ("a: !!int x\n", "file.yaml:1:4: 'x' does not fit the tag 'tag:yaml.org,2002:int'"),
    ("a: \x1b[31m\n", "file.yaml:1:4: the character U+001B cannot stand in a YAML file\n    a:  [31m\n"),
    ("a: \x00\n", "file.yaml:1:4: the character U+0000 cannot stand in a YAML file"),
    ('a: "\\ud800"\n', "file.yaml:1:"),
    ("a: [\n", "file.yaml:1:4: not YAML: "),
    ("a: 1\nb: é\n".encode("latin-1"), "file.yaml:2:4: the byte 0xe9 is not UTF-8\n    b: �\n       ^"),
    ("a: 1\n".encode("utf-16"), "file.yaml:1:1: the file is UTF-16 or UTF-32, not UTF-8"),
    ("a: 1\n".encode("utf-16-le"), "file.yaml:1:2: the character U+0000"),
]


@pytest.mark.parametrize(("text", "begin"), GOLDEN, ids=[str(number) for number in range(len(GOLDEN))])
def test_what_is_refused_is_told_with_its_place(tmp_path: Path, text: str | bytes, begin: str) -> None:
    assert refusal(tmp_path, text).startswith(begin)


ALIAS_BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(98 + level)}: &{chr(98 + level)} [{','.join(['*' + chr(97 + level)] * 9)}]\n" for level in range(9)
)
MERGE_BOMB = "b0: &b0 {x: 1}\n" + "".join(
    f"b{level}: &b{level} {{<<: [{','.join([f'*b{level - 1}'] * 9)}]}}\n" for level in range(1, 10)
)


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    ("text", "says"),
    [
        (ALIAS_BOMB, "an alias bomb is refused"),
        (MERGE_BOMB, "an alias bomb is refused"),
        ("a: " + "[" * 400_000, "nested deeper than 50 levels"),
        ("a: " + "{a: " * 100_000, "nested deeper than 50 levels"),
        ("- " * 300_000, "nested deeper than 50 levels"),
        ("\n".join(" " * depth + "a:" for depth in range(1000)), "nested deeper than 50 levels"),
        ("x" * 2_000_000, "larger than 1 MB"),
        ("a: [" + "1," * 400_000 + "]", "more than 20000 values"),
        ("%TAG !a! tag:x\n" * 60_000 + "---\na: 1\n", "too many YAML directives"),
        ("#\n" * 450_000, "the file is empty"),
        ("a: " + "x: " * 100_000, "mapping values are not allowed"),
    ],
    ids=[
        "alias-bomb",
        "merge-bomb",
        "flow",
        "maps",
        "lists",
        "blocks",
        "bytes",
        "values",
        "directives",
        "comments",
        "keys",
    ],
)
def test_what_would_exhaust_the_machine_is_refused(tmp_path: Path, text: str, says: str) -> None:
    assert says in refusal(tmp_path, text)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name, says in [
        ("", "is a directory"),
        ("missing.yaml", "no such file"),
        ("pipe", "is no regular file"),
        ("x" * 300, "cannot read the file"),
        ("a\0b", "cannot read the file"),
    ]:
        with pytest.raises(InputError, match=says):
            read(tmp_path / name)
