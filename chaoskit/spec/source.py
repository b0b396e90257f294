"""Reads one YAML file into plain values, and remembers the line and column of every key and value.

bytes → text (UTF-8, ≤ 1 MB) → events (libyaml) → node tree (depth, node and alias limits) → values + Places
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
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

from chaoskit.errors import InputError
from chaoskit.spec.places import Loc, Places, Position, Text, nearest
from chaoskit.spec.scalars import Scalar, resolve

BYTES_MAX = 1_000_000
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
    open: bool = field(default=True, repr=False)


@dataclass(frozen=True)
class Document:
    """A read file: its values as plain dicts, lists and scalars, and where each of them stands."""

    path: Path
    data: dict[str, Any]
    places: Places


def read(path: Path, noun: str = "file") -> Document:
    """Read one YAML file whose root is a mapping.

    Raises:
        InputError: with file:line:column, for everything that is not such a file.
    """
    text = Text(path, _decode(path, noun))
    reader = _Reader(text)
    root = reader.compose()
    if root is None:
        text.refuse(
            Position(0, 0), f"the {noun} is empty", "write a mapping: keys and values, like `title: …`"
        )
    if root.kind != "mapping":
        text.refuse(
            root.at, f"the {noun} is a {root.kind}, not a mapping", "write keys and values, like `title: …`"
        )
    places = Places(text)
    data = _Values(text, places).build(root, ())
    return Document(path, data, places)


def _decode(path: Path, noun: str) -> str:
    blank = Text(path, "")
    try:
        if path.exists() and not path.is_file() and not path.is_dir():
            # A pipe without a writer would be waited for until somebody gives up.
            blank.refuse(Position(0, 0), f"is no regular file, so it cannot be a {noun}")
        with path.open("rb") as file:
            raw = file.read(BYTES_MAX + 1)
    except IsADirectoryError:
        raise InputError(blank.problem(Position(0, 0), f"is a directory, not a {noun}")) from None
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(blank.problem(Position(0, 0), f"no such {noun}")) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(blank.problem(Position(0, 0), f"cannot read the {noun}: {reason}")) from None
    if len(raw) > BYTES_MAX:
        blank.refuse(Position(0, 0), f"the {noun} is larger than 1 MB", "a drill or system file has a few KB")
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        blank.refuse(Position(0, 0), f"the {noun} is UTF-16 or UTF-32, not UTF-8", "save it as UTF-8")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        good = Text(path, raw[: error.start].decode("utf-8-sig", "replace") + "\N{REPLACEMENT CHARACTER}")
        place = Position(len(good.lines) - 1, len(good.lines[-1]) - 1)
        good.refuse(place, f"the byte 0x{raw[error.start]:02x} is not UTF-8", "save the file as UTF-8")
    return text


class _Reader:
    """Events to nodes without recursion, so that no nesting can exhaust the stack."""

    def __init__(self, text: Text) -> None:
        self.text = text
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
            if event.tag not in (None, "!", wanted):
                self.text.refuse(_at(event), f"the tag {event.tag!r} means nothing here", "remove it")
            node = Node(_at(event), [], kind)
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
        return Node(_at(event), value, _kind(value), merge, open=False)

    def _pairs(self, mapping: Node) -> list[tuple[Node, Node]]:
        flat: list[Any] = mapping.value  # type: ignore[assignment]
        return list(zip(flat[::2], flat[1::2], strict=True))


class _Values:
    """Nodes to plain values; aliases are copied, within the node limit, and merge keys applied."""

    def __init__(self, text: Text, places: Places) -> None:
        self.text = text
        self.places = places
        self.made = 0

    def build(self, node: Node, loc: Loc, key_at: Position | None = None) -> Any:
        """The node's plain value. Recursion is bounded: the reader refused deep nesting, and aliases are counted."""
        self.made += 1
        if self.made > NODES_MAX or len(loc) > DEPTH_MAX * 2:
            self.text.refuse(
                node.at, f"aliases expand to more than {NODES_MAX} values", "an alias bomb is refused"
            )
        self.places.add(loc, node.at, key_at)
        if node.kind == "list":
            items: list[Any] = node.value  # type: ignore[assignment]
            return [self.build(item, (*loc, index)) for index, item in enumerate(items)]
        if node.kind != "mapping":
            return node.value
        return {
            key: self.build(value, (*loc, key), key_node.at)
            for key, (key_node, value) in self._entries(node, 0).items()
        }

    def _entries(self, node: Node, depth: int) -> dict[str, tuple[Node, Node]]:
        """The mapping's own keys, then what `<<` brings; an own key wins, and earlier merged mappings before later."""
        own: dict[str, tuple[Node, Node]] = {}
        merged: list[Node] = []
        pairs: list[tuple[Node, Node]] = node.value  # type: ignore[assignment]
        for key_node, value in pairs:
            key = self._key(key_node)
            if key in own or (key_node.merge and merged):
                first = own[key][0].at.line + 1 if key in own else key_node.at.line + 1
                self.text.refuse(key_node.at, f"the key `{key}` is written twice", f"first on line {first}")
            if key_node.merge:
                merged += self._merged(value)
            else:
                own[key] = (key_node, value)
        for mapping in merged:
            self.made += 1
            if depth > DEPTH_MAX or self.made > NODES_MAX:
                self.text.refuse(node.at, "merge keys nest too deep", "an alias bomb is refused")
            entries = self._entries(mapping, depth + 1)
            self.made += len(entries)
            for key, entry in entries.items():
                own.setdefault(key, entry)
        return own

    def _merged(self, value: Node) -> list[Node]:
        many: list[Any] = value.value if value.kind == "list" else [value]  # type: ignore[assignment]
        for one in many:
            if one.kind != "mapping":
                self.text.refuse(
                    one.at, f"`<<` merges mappings, not a {one.kind}", "write `<<: *name` of a mapping"
                )
        return many

    def _key(self, node: Node) -> str:
        if node.kind == "mapping" or node.kind == "list":
            self.text.refuse(
                node.at, f"a key is a word, not a {node.kind}", "quote it if it holds braces or brackets"
            )
        if isinstance(node.value, str):
            return node.value
        return getattr(node.value, "text", None) or {None: "null", True: "true", False: "false"}[node.value]  # type: ignore[index]


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
