"""Compose's variables: `${VAR}` in values (Compose specification, "Interpolation")."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_OPEN = re.compile(rf"\$(?:\$|({_NAME})|\{{({_NAME})(:?[-?+])?)")
_NESTED_MAX = 10


class BadVariable(ValueError):
    """A value's `$` cannot be read, or a required variable is not set; says how to write it."""


@dataclass
class Variables:
    """What `$NAME` stands for; `unset` collects the names that had no value and no default."""

    values: Mapping[str, str]
    unset: set[str] = field(default_factory=set)

    def fill(self, text: str, depth: int = 0) -> str:
        """The text with every variable replaced; raises BadVariable."""
        if "$" not in text:
            return text
        if depth > _NESTED_MAX:
            raise BadVariable("variables nest deeper than 10 levels")
        parts: list[str] = []
        at = 0
        while (dollar := text.find("$", at)) >= 0:
            parts.append(text[at:dollar])
            match = _OPEN.match(text, dollar)
            if not match:
                raise BadVariable(
                    f"'{text[dollar : dollar + 20]}' is no variable; write `$$` for a dollar sign"
                )
            at = match.end()
            if match[0] == "$$":
                parts.append("$")
            elif match[1]:
                parts.append(self._plain(match[1]))
            else:
                end = _closing(text, at)
                parts.append(self._braced(match[2], match[3] or "", text[at:end], depth))
                at = end + 1
        parts.append(text[at:])
        return "".join(parts)

    def _plain(self, name: str) -> str:
        if name not in self.values:
            self.unset.add(name)
        return self.values.get(name, "")

    def _braced(self, name: str, operator: str, rest: str, depth: int) -> str:
        if not operator:
            if rest:
                raise BadVariable(
                    f"'${{{name}{rest[:20]}}}' is no variable; write `${{{name}}}` or `${{{name}:-default}}`"
                )
            return self._plain(name)
        value = self.values.get(name)
        present = bool(value) if operator.startswith(":") else value is not None
        if operator.endswith("+"):
            return self.fill(rest, depth + 1) if present else ""
        if present:
            return value or ""
        if operator.endswith("?"):
            reason = self.fill(rest, depth + 1) or "a value is required"
            raise BadVariable(f"the variable {name} is not set: {reason}")
        return self.fill(rest, depth + 1)


def _closing(text: str, at: int) -> int:
    """Index of the `}` that ends the variable opened before `at`."""
    depth = 1
    while at < len(text):
        if text.startswith("${", at):
            depth += 1
            at += 1
        elif text[at] == "}":
            depth -= 1
            if depth == 0:
                return at
        at += 1
    raise BadVariable("a `${` is never closed")
