"""Files of NAME=value lines: `.env`, `env_file` and `label_file` (Compose specification, "env_file")."""

from __future__ import annotations

import re
from collections import ChainMap
from collections.abc import Mapping
from pathlib import Path

from chaoskit.regular_file import read_regular
from chaoskit.spec.compose_variables import BadVariable, Variables

_START = re.compile(r"[ \t]*(?:export[ \t]+)?([^\s=:#][^\s=:]*)[ \t]*(?:([=:])[ \t]*|(?=\r?\n|$))")
_BLANK = re.compile(r"[ \t\n\r]+|#[^\n]*")
_REST = re.compile(r"[ \t\r]*(?:#[^\n]*)?(?=\n|$)")
BYTES_MAX = 1_000_000
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\", "$": "$$", "'": "'"}


def read_env_file(path: Path, variables: Variables | None = None, raw: bool = False) -> dict[str, str]:
    """The file's variables, in order; a later one may use those before it.

    `NAME=value` or `NAME: value`, `#` comments, `export`, '…' as it stands, "…" with escapes and variables, both over
    several lines; a name alone takes its value from `variables`. `raw` takes every line as it stands.

    Raises:
        OSError, UnicodeDecodeError: the file cannot be read.
        BadVariable: something in it is no NAME=value, with its line.
    """
    text = read_regular(path, BYTES_MAX).decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    if raw:
        lines = [
            line.partition("=") for line in text.split("\n") if line.strip() and not line.startswith("#")
        ]
        return {name.strip(): value for name, equals, value in lines if equals}
    found: dict[str, str] = {}
    at, line, counted = 0, 1, 0
    while at < len(text):
        blank = _BLANK.match(text, at)
        if blank:
            at = blank.end()
            continue
        line += text.count("\n", counted, at)
        counted = at
        match = _START.match(text, at)
        if not match:
            raise BadVariable(f"{path.name}, line {line}: write NAME=value")
        name, at = match[1], match.end()
        try:
            if match[2] is None:
                if variables is not None and name in variables.values:
                    found[name] = variables.values[name]
                continue
            found[name], at = _value(text, at, variables, found)
        except BadVariable as error:
            raise BadVariable(f"{path.name}, line {line}: {error}") from None
    return found


def _value(text: str, at: int, variables: Variables | None, before: Mapping[str, str]) -> tuple[str, int]:
    """The value that begins here, and where it ends."""
    quote = text[at : at + 1]
    if quote in ("'", '"') and quote:
        closing = re.compile(rf"(?:\\.|[^\\{quote}])*", re.S).match(text, at + 1)
        end = closing.end() if closing else at + 1
        if end < len(text):
            rest = _REST.match(text, end + 1)
            if rest is None:
                raise BadVariable(
                    "something stands behind the closing quote; write `\\` before a quote within"
                )
            inner = text[at + 1 : end]
            if quote == "'":
                return inner.replace("\\'", "'"), rest.end()
            return _filled(re.sub(r"\\(.)", _escape, inner, flags=re.S), variables, before), rest.end()
        raise BadVariable(f"a quote ({quote}) is never closed")
    end = text.find("\n", at)
    end = len(text) if end < 0 else end
    plain = "" if text.startswith("#", at) else re.split(r"\s#", text[at:end], maxsplit=1)[0].strip()
    return _filled(plain, variables, before), end


def _escape(match: re.Match[str]) -> str:
    return _ESCAPES.get(match[1], match[0])


def _filled(value: str, variables: Variables | None, before: Mapping[str, str]) -> str:
    if variables is None or "$" not in value:
        return value
    # A chain, not a copy: a file may have thousands of lines.
    return Variables(ChainMap(variables.values, before), variables.unset).fill(value)  # type: ignore[arg-type]
