"""A journey by SQL as a statement with bound parameters: `{name}` becomes $1, $2 …, whatever it holds."""

from __future__ import annotations

from typing import NamedTuple

from chaoskit.conductor.draw import Template, Values
from chaoskit.errors import InputError


class Statement(NamedTuple):
    """What is sent: PostgreSQL's own placeholders, and parameters as text, whose types the server infers."""

    text: bytes
    parameters: tuple[bytes, ...]


class SqlMessages:
    """Makes one journey's statements; raises InputError for placeholders that nothing fills or that stand in quotes."""

    def __init__(self, statement: str, known: frozenset[str], where: str) -> None:
        template = Template.compile(statement, known, where)
        if (quoted := in_quotes(template)) is not None:
            raise InputError(
                f"{where}: {{{quoted}}} stands in quotes; it is bound as a parameter, so it needs none"
            )
        self._names = list(dict.fromkeys(template.names))
        text = template.literals[0]
        for name, literal in zip(template.names, template.literals[1:], strict=True):
            text += f"${1 + self._names.index(name)}{literal}"
        self._text = text.encode()

    def make(self, values: Values) -> tuple[Statement, bytes]:
        """The statement; its hash is of nothing, because a database keeps none unless `fingerprint` says of what."""
        parameters = tuple(values[name].part(part).encode() for name, part in self._names)
        return Statement(self._text, parameters), b""


def in_quotes(template: Template) -> str | None:
    """The first placeholder inside a quoted string or identifier of SQL; None if there is none."""
    before = ""
    for (name, _), literal in zip(template.names, template.literals, strict=False):
        before += literal
        if before.count("'") % 2 or before.count('"') % 2:
            return name
    return None
