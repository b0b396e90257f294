"""Text from outside (names, log lines, messages) made harmless to the terminal, log or report that shows it."""

from __future__ import annotations

import re
import unicodedata

ONE_LINE_MAX = 400
_DRIVING = re.compile(
    "[\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff\ufff9-\ufffb"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
"""What JSON need not escape and a terminal, an editor or a browser heeds: control, direction, invisible characters."""
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_BREAKS = re.compile("\r\n|[\t\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")
_UNSEEN = frozenset(("Cc", "Cf", "Co", "Cn", "Zl", "Zp"))
"""Categories of control, direction, zero-width, private and unassigned characters; surrogates stay: a stream's error
handler shows them as the bytes of a file name that they stand for."""


def harmless(text: str) -> str:
    """The text, its line breaks and tabs kept, without anything that drives a terminal or hides what stands there."""
    if text.isprintable():
        return text
    return "".join(
        char
        if char in "\n\t" or char.isprintable() or unicodedata.category(char) not in _UNSEEN
        else _REPLACEMENT
        for char in text
    )


def one_line(text: object, at_most: int = ONE_LINE_MAX) -> str:
    """The same on a single line, so that a name cannot forge a line of a report; a very long one is cut."""
    whole = str(text)
    line = harmless(_BREAKS.sub(" ", whole[: at_most + 1]))
    return line if len(line) <= at_most else line[: at_most - 1] + "…"


def escaped(text: str) -> str:
    """JSON text in which nothing drives a terminal: such characters as \\uXXXX, which reads back the same.

    A lone surrogate, which is no Unicode and which strict readers refuse, becomes U+FFFD.
    """
    return _DRIVING.sub(_escape, text)


def escaped_line(line: bytes) -> bytes:
    """The same for one encoded line; nearly all are ASCII, and that is quickly seen."""
    if line.isascii() and b"\x7f" not in line:
        return line
    return escaped(line.decode("utf-8", "replace")).encode()


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    if 0xD800 <= code <= 0xDFFF:
        return _REPLACEMENT
    units = match[0].encode("utf-16-be")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))
