"""Values and texts that have broken readers of YAML and JSON before, ours or others'."""

from __future__ import annotations

from typing import Any

DEEP = 4_000
LONG = 120_000

STRINGS: tuple[str, ...] = (
    "",
    " ",
    "\n",
    "a" * 5_000,
    "名" * 3_000,
    '=HYPERLINK("http://x","y")',
    "@SUM(1+1)*cmd|' /C calc'!A0",
    "<script>alert(1)</script>",
    "]]>&amp;<!--",
    "\x1b[2J\x1b]0;owned\x07",
    "\u202egnp.exe",
    "\u2066\u2067\u061c\u200b\ufeff",
    "\x85\u2028\u2029",
    "\x00",
    "../../../../etc/passwd",
    "/dev/zero",
    "/proc/self/mem",
    "{" * 600,
    "{key" + "}" * 600,
    "{key!r:>{key}}",
    "{a.__class__.__mro__}",
    "{n:999999999d}",
    "%s%n%1000000000d",
    "${" * 300,
    "${A:-" * 300 + "}" * 300,
    "$$$$",
    "((((((((((a+)+)+)+)+)+)+)+)+)+)$",
    "(" * 5_000,
    "a -> b -> c",
    "->",
    "*",
    "<<",
    "-0s",
    "1e400s",
    "99999999999999999999999999d",
    "0.0000000000000000000000000001ms",
    "１２s",
    "१s",
    "1/0",
    "1e999999999/s",
    "-1/s",
    "nan",
    ".inf",
    "101%",
    "1 CNY 2",
    "9" * 4_000 + " CNY",
    "0x" + "f" * 5_000,
    "1:" * 2_000 + "0",
    "0-65535:0-65535",
    "1-99999999:1-99999999",
    "2026-13-45",
    "https://[::1",
    "http://a:b@c:99999999/",
    "\ud800",
)
"""Texts; a lone surrogate among them, which JSON can say and UTF-8 cannot."""

NUMBERS: tuple[int | float, ...] = (
    0,
    -1,
    2**31,
    2**63,
    -(2**63) - 1,
    2**64,
    10**30,
    10**400,
    1e308,
    5e-324,
    -0.0,
    float("inf"),
    float("nan"),
)


def nested(depth: int, kind: str = "list") -> Any:
    """`depth` lists or mappings inside each other."""
    value: Any = "x"
    for _ in range(depth):
        value = [value] if kind == "list" else {"a": value}
    return value


def containers() -> list[Any]:
    """Wrong shapes: empty, deep, wide, mixed."""
    return [
        [],
        {},
        [[]],
        [{}],
        [None],
        {"": ""},
        {"a": None},
        {"a": {"b": {"c": []}}},
        nested(30),
        nested(30, "mapping"),
        ["x"] * 2_000,
        {f"k{n}": n for n in range(2_000)},
        [1, "a", None, True, 1.5, [], {}],
    ]


def alias_bomb(levels: int, fan: int) -> str:
    """Each level names the one before `fan` times: fan ** levels values in a few hundred bytes."""
    lines = ["a0: &a0 [lol, lol]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * fan)}]" for n in range(1, levels)]
    return "\n".join(lines) + "\n"


def merge_bomb(levels: int, fan: int) -> str:
    """The same with merge keys."""
    lines = ["m0: &m0 {k0: 1}"]
    for n in range(1, levels):
        lines.append(f"m{n}: &m{n} {{<<: [{', '.join([f'*m{n - 1}'] * fan)}], k{n}: 1}}")
    return "\n".join(lines) + "\n"


def files() -> dict[str, bytes]:
    """Whole files, by what is hostile about them."""
    texts = {
        "alias bomb": alias_bomb(30, 9),
        "alias bomb, wide": alias_bomb(4, 400),
        "merge bomb": merge_bomb(30, 9),
        "merge bomb, wide": merge_bomb(5, 60),
        "loop": "a: &a [*a]\n",
        "loop through a merge": "a: &a {<<: *a}\n",
        "deep flow lists": "a: " + "[" * DEEP + "]" * DEEP,
        "deep flow mappings": "a: " + "{a: " * DEEP + "1" + "}" * DEEP,
        "never closed": "a: " + "[" * 50_000,
        "never closed, long": "{" * 900_000,
        "deep block": "".join(" " * n + "a:\n" for n in range(900)),
        "deep dashes": "- " * DEEP + "a",
        "question marks": "? " * DEEP + "a",
        "huge integer": f"seed: {'9' * LONG}\n",
        "huge hexadecimal": f"seed: 0x{'f' * LONG}\n",
        "huge sexagesimal": f"seed: {'1:' * LONG}0\n",
        "huge exponent": "seed: 1e999999999\n",
        "long key": f"{'k' * LONG}: 1\n",
        "long value": f"drill: {'v' * LONG}\n",
        "long plain words": f"drill: {'v ' * LONG}\n",
        "long anchor": f"a: &{'n' * LONG} 1\nb: *{'n' * LONG}\n",
        "long tag": f"a: !{'t' * 50_000} 1\n",
        "python tag": "a: !!python/object/apply:os.system ['true']\n",
        "many keys": "".join(f"k{n}: {n}\n" for n in range(15_000)),
        "twenty thousand times the same key": "k: 1\n" * 20_000,
        "many anchors": "".join(f"k{n}: &a{n} {n}\n" for n in range(9_000)) + "z: *missing\n",
        "many documents": "---\na: 1\n" * 5_000,
        "many directives": "%YAML 1.1\n" * 5_000 + "---\na: 1\n",
        "many tags": "%TAG ! tag:x,2000:\n---\na: !b 1\n",
        "long comment": "#" * 900_000,
        "spaces": " " * 900_000,
        "tabs": "\t" * 900_000,
        "line breaks": "\n" * 900_000,
        "quotes": "'" * 300_001,
        "escapes": '"' + "\\x41" * 100_000,
        "folded": "a: >\n" + " x\n\n" * 100_000,
        "NUL": "drill: a\0b\n",
        "escaped NUL": 'drill: "a\\0b"\ntitle: "\\e[2J\\u202e"\n',
        "surrogate": 'drill: "\\ud800"\n',
        "byte order mark inside": "drill: a\ufeffb\n",
        "carriage returns": "drill: a\rtitle: b\r\nsystem: c\r",
        "other line breaks": "drill: a\u2028title: b\u0085system: c\u2029",
        "null key": "~: 1\n? \n: 2\n",
        "a list as key": "? [a, b]\n: 1\n",
        "a mapping as key": "? {a: b}\n: 1\n",
        "numbers as keys": "1: a\n1.5: b\ntrue: c\n2026-01-01: d\n",
        "a scalar": "just words\n",
        "a list": "- a\n- b\n",
        "only a comment": "# nothing\n",
        "only an end": "...\n",
        "merge of a scalar": "<<: 1\n",
        "binary": "a: !!binary /w==\n",
        "set": "a: !!set {b, c}\n",
        "timestamp": "a: 2026-11-31T25:61:61Z\n",
    }  # fmt: skip
    raw = {name: text.encode("utf-8", "surrogatepass") for name, text in texts.items()}
    return raw | {
        "nothing": b"",
        "one NUL": b"\0",
        "not UTF-8": b"drill: \xff\xfe\n",
        "UTF-16": "drill: a\n".encode("utf-16"),
        "byte order mark": b"\xef\xbb\xbfdrill: a\n",
        "two byte order marks": b"\xef\xbb\xbf\xef\xbb\xbfdrill: a\n",
        "an overlong slash": b"drill: \xc0\xaf\n",
        "an encoded surrogate": b"drill: \xed\xa0\x80\n",
        "two megabytes": b"a: " + b"x" * 2_000_000,
        "an ELF header": b"\x7fELF\x02\x01\x01" + bytes(200),
    }
