"""Reads one YAML file into plain values, and remembers the line and column of every key and value.

bytes → text (UTF-8, ≤ 1 MB) → nodes (depth, size and aliases checked) → values (aliases copied, `<<` merged) + Places
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chaoskit.errors import InputError
from chaoskit.spec.nodes import DEPTH_MAX, NODES_MAX, Composer, Node
from chaoskit.spec.places import Loc, Places, Position, Text

BYTES_MAX = 1_000_000


@dataclass(frozen=True)
class Document:
    """A read file: its values as plain dicts, lists and scalars, and where each of them stands."""

    path: Path
    data: dict[str, Any]
    places: Places


def read(path: Path, noun: str = "file", tags: frozenset[str] = frozenset()) -> Document:
    """Read one YAML file whose root is a mapping. `tags` are allowed beside YAML's own; `Places.tags` has them.

    Raises:
        InputError: with file:line:column, for everything that is not such a file.
    """
    text = Text(path, _decode(path, noun))
    composer = Composer(text, tags)
    root = composer.compose()
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
        if node.tag:
            self.places.tags[loc] = node.tag
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
