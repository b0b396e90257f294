"""YAML events to a tree of nodes with places; depth, size, aliases and words are checked on the way.

text ─► events (libyaml) ─► nodes: no recursion, so that no nesting can exhaust the stack
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml
from yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    DocumentStartEvent,
    Event,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceStartEvent,
)

from chaoskit.spec.places import Position, Text, nearest
from chaoskit.spec.scalars import Scalar, resolve

NODES_MAX = 20_000
DEPTH_MAX = 50
DIRECTIVES_MAX = 4
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_CORE = "tag:yaml.org,2002:"
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(eq=False)
class Node:
    """A value of the file: `value` is a scalar, a list of nodes, or a list of (key node, value node) pairs."""

    at: Position
    value: Scalar | list[Node] | list[tuple[Node, Node]]
    kind: str
    merge: bool = False
    tag: str = ""
    open: bool = field(default=True, repr=False)


class Composer:
    """Events to nodes without recursion, so that no nesting can exhaust the stack."""

    def __init__(self, text: Text, tags: frozenset[str] = frozenset()) -> None:
        self.text = text
        self.tags = tags
        self.nodes = 0
        self.anchors: dict[str, Node] = {}

    def compose(self) -> Node | None:
        """The one document's root; None for an empty file."""
        self._scan()
        root: Node | None = None
        documents = 0
        stack: list[Node] = []
        for event in self._events():
            if isinstance(event, DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self.text.refuse(_at(event), "a second document begins here", "write one document a file")
            elif isinstance(event, CollectionEndEvent):
                done = stack.pop()
                done.open = False
                if done.kind == "mapping":
                    done.value = self._pairs(done)
            elif isinstance(event, NodeEvent):
                node = self._node(event)
                if stack:
                    stack[-1].value.append(node)  # type: ignore[union-attr,arg-type]
                else:
                    root = node
                if node.open and not isinstance(event, AliasEvent):
                    stack.append(node)
                    if len(stack) > DEPTH_MAX:
                        self.text.refuse(node.at, f"nested deeper than {DEPTH_MAX} levels")
        if root is not None and root.kind == "null" and root.value is None and not self.text.has_content:
            return None
        return root

    def _scan(self) -> None:
        """What libyaml would only find late, or slowly."""
        bad = _UNPRINTABLE.search(self.text.text)
        if bad:
            place = self.text.position(bad.start())
            self.text.refuse(
                place, f"the character U+{ord(bad[0]):04X} cannot stand in a YAML file", "remove it"
            )
        directives = [number for number, line in enumerate(self.text.lines) if line.startswith("%")]
        if len(directives) > DIRECTIVES_MAX:
            self.text.refuse(
                Position(directives[DIRECTIVES_MAX], 0), "too many YAML directives", "remove them"
            )

    def _events(self) -> Iterator[Event]:
        try:
            yield from yaml.parse(self.text.text, Loader=_LOADER)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            place = Position(mark.line, mark.column) if mark else Position(0, 0)
            context = f" ({error.context})" if error.context else ""
            hint = _advice(self.text, place)
            if not "".join(self.text.lines[place.line :]).strip():
                last = max((number for number, line in enumerate(self.text.lines) if line.strip()), default=0)
                place = Position(last, max(0, len(self.text.lines[last].rstrip()) - 1))
                hint = "the file ends before a bracket, brace or quote is closed"
            self.text.refuse(place, f"not YAML: {error.problem}{context}", hint)
        except (yaml.YAMLError, ValueError) as error:
            self.text.refuse(Position(0, 0), f"not YAML: {str(error).splitlines()[0]}")

    def _node(self, event: NodeEvent) -> Node:
        self.nodes += 1
        if self.nodes > NODES_MAX:
            self.text.refuse(
                _at(event), f"more than {NODES_MAX} values", "a drill or system file has a few hundred"
            )
        if isinstance(event, AliasEvent):
            return self._alias(event)
        if isinstance(event, ScalarEvent):
            node = self._scalar(event)
        else:
            assert isinstance(event, MappingStartEvent | SequenceStartEvent)
            kind = "mapping" if isinstance(event, MappingStartEvent) else "list"
            wanted = _CORE + ("map" if kind == "mapping" else "seq")
            if event.tag not in (None, "!", wanted, *self.tags):
                self.text.refuse(_at(event), f"the tag {event.tag!r} means nothing here", "remove it")
            node = Node(_at(event), [], kind, tag=self._own(event.tag))
        if event.anchor is not None:
            self.anchors[event.anchor] = node
        return node

    def _alias(self, event: AliasEvent) -> Node:
        name = event.anchor or ""
        node = self.anchors.get(name)
        if node is None:
            near = nearest(name, self.anchors, "anchors")
            self.text.refuse(_at(event), f"no anchor &{event.anchor} stands before this", near)
        if node.open:
            self.text.refuse(
                _at(event), f"*{event.anchor} stands inside what &{event.anchor} names", "a loop"
            )
        return node

    def _scalar(self, event: ScalarEvent) -> Node:
        text = event.value
        if any("\ud800" <= char <= "\udfff" for char in text):
            self.text.refuse(
                _at(event), "half of a surrogate pair is no character", "write the character itself"
            )
        value: Scalar = text
        if event.tag is None or event.tag == "!":
            value = resolve(text) if event.implicit[0] and event.tag is None else text
        elif event.tag in self.tags:
            value = resolve(text) if event.style in (None, "") else text
        elif event.tag.startswith(_CORE) and event.tag != _CORE + "str":
            value = resolve(text)
            fits = {"int": int, "float": (int, float), "bool": bool, "null": type(None)}.get(
                event.tag[len(_CORE) :]
            )
            if fits is None or not isinstance(value, fits):  # type: ignore[arg-type]
                self.text.refuse(_at(event), f"{text!r} does not fit the tag {event.tag!r}", "remove the tag")
        elif event.tag != _CORE + "str":
            self.text.refuse(_at(event), f"the tag {event.tag!r} means nothing here", "remove it")
        merge = text == "<<" and event.implicit[0]
        return Node(_at(event), value, _kind(value), merge, self._own(event.tag), open=False)

    def _own(self, tag: str | None) -> str:
        return tag if tag in self.tags and tag is not None else ""

    def _pairs(self, mapping: Node) -> list[tuple[Node, Node]]:
        flat: list[Any] = mapping.value  # type: ignore[assignment]
        return list(zip(flat[::2], flat[1::2], strict=True))


def _at(event: Event) -> Position:
    mark = event.start_mark
    return Position(mark.line, mark.column) if mark else Position(0, 0)


def _kind(value: Scalar) -> str:
    if value is None or isinstance(value, str):
        return "null" if value is None else "text"
    return "truth value" if isinstance(value, bool) else "number"


def _advice(text: Text, place: Position) -> str:
    line = text.lines[place.line] if place.line < len(text.lines) else ""
    if "\t" in line[: place.column + 1]:
        return "indent with spaces, not tabs"
    return "a value that holds ': ', ' #' or begins with one of @ ` % { [ * & ! needs quotes"
