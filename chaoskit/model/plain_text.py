"""Text from outside (names, log lines, messages) made harmless to the terminal, log or report that shows it."""

from __future__ import annotations

import re
import unicodedata

ONE_LINE_MAX = 400
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
