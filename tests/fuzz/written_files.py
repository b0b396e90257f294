"""Rubbish for what a user writes: drill, system and Compose files, made from the shipped ones."""

from __future__ import annotations

import copy
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from hypothesis import strategies as st

from tests.fuzz import hostile
from tests.fuzz.sandbox import ROOT, Ended, Sandbox

COMMANDS = (("validate",), ("plan", "--runtime", "local"), ("plan", "--runtime", "docker"))
ALLOWED = {"validate": (0, 2), "plan": (0, 2, 3)}
"""`plan` ends with 3 where this machine lacks what the runtime needs."""
DRILLS = (
    "drills/server/ledger-primary-crash.yaml",
    "drills/server/ledger-primary-crash-async.yaml",
    "drills/resilience/ledger-partition.yaml",
    "drills/resilience/ledger-disk-slow.yaml",
    "drills/off_the_shelf/pooler-cut-off.yaml",
    "drills/off_the_shelf/queue-slow.yaml",
)
_BESIDE = {
    "server": "bank",
    "resilience": "bank",
    "pooler-cut-off": "pgbouncer_haproxy",
    "queue-slow": "shop",
}
_TOKENS = (
    *"-:{}[]&*<>|?!%@`'\"#,~\t$=/\\",
    "\n",
    "\n  ",
    "- ",
    ": ",
    "<<: ",
    "&a ",
    "*a",
    "!!python/name:os.system ",
    "---\n",
    "\0",
    "\x1b[31m",
    "\u202e",
    "\ufeff",
    "\r",
    "\x85",
    "${X:?}",
    "${",
    "9" * 60,
    "1e400",
)


@dataclass(frozen=True)
class Written:
    """One input: a drill, one file of its system replaced, and the command that reads them."""

    drill: str
    file: str
    content: bytes
    command: tuple[str, ...]


def desk(folder: Path) -> Path:
    """A folder with the shipped drills and systems, to be overwritten."""
    for top in ("drills", "fixtures"):
        shutil.copytree(
            ROOT / top, folder / top, ignore=shutil.ignore_patterns("tests", "__pycache__", "docker")
        )
    return folder


def run(sandbox: Sandbox, folder: Path, one: Written) -> Ended:
    """The command's end; the replaced file is put back."""
    path = folder / one.file
    before = path.read_bytes()
    path.write_bytes(one.content)
    try:
        return sandbox.run([one.command[0], one.drill, *one.command[1:]], folder)
    finally:
        path.write_bytes(before)


def allowed(one: Written) -> tuple[int, ...]:
    return ALLOWED[one.command[0]]


def files_of(drill: str) -> tuple[str, str, str]:
    """The drill, its system file and its Compose file."""
    parts = Path(drill)
    system = _BESIDE.get(parts.parent.name) or _BESIDE[parts.stem]
    return drill, f"fixtures/{system}/system.yaml", f"fixtures/{system}/compose.yaml"


def _pool() -> list[Any]:
    """Subtrees of every shipped file and of foreign Compose files, to be grafted where they do not belong."""
    paths = [*(ROOT / "drills").rglob("*.yaml"), *(ROOT / "fixtures").glob("*/*.yaml")]
    paths += sorted((ROOT / "tests/spec/compose_files").glob("*.yaml"))
    found = []
    for path in sorted(paths):
        try:
            tree = yaml.safe_load(path.read_text("utf-8"))
        except yaml.YAMLError:  # Compose's own tags
            continue
        found += [_at(tree, place) for place in places(tree)]
    return found


def places(tree: Any, base: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every value below the root."""
    inner = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    return [path for key, value in inner for path in [(*base, key), *places(value, (*base, key))]]


def _at(tree: Any, path: tuple[Any, ...]) -> Any:
    for part in path:
        tree = tree[part]
    return tree


_POOL = _pool()
VALUES: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from(hostile.STRINGS),
    st.sampled_from(hostile.NUMBERS),
    st.sampled_from(hostile.containers()),
    st.sampled_from(_POOL),
    st.none() | st.booleans() | st.integers() | st.text(max_size=12),
)


@st.composite
def trees(draw: st.DrawFn, text: str) -> bytes:
    """The file with one to three values replaced, taken away, renamed or added."""
    tree: Any = yaml.safe_load(text)
    for _ in range(draw(st.integers(1, 3))):
        known = places(tree)
        if not known:
            break
        path = draw(st.sampled_from(known))
        parent, last = _at(tree, path[:-1]), path[-1]
        match draw(st.sampled_from(["replace", "replace", "replace", "remove", "rename", "add"])):
            case "replace":
                parent[last] = copy.deepcopy(draw(VALUES))
            case "remove":
                del parent[last]
            case "rename" if isinstance(parent, dict):
                parent[draw(st.sampled_from(hostile.STRINGS))] = parent.pop(last)
            case _ if isinstance(parent, dict):
                parent[draw(st.text(max_size=8))] = copy.deepcopy(draw(VALUES))
            case _:
                parent.append(copy.deepcopy(draw(VALUES)))
    dumped = yaml.safe_dump(tree, allow_unicode=draw(st.booleans()), sort_keys=False)
    return dumped.encode("utf-8", "surrogatepass")


@st.composite
def texts(draw: st.DrawFn, text: str) -> bytes:
    """The file with spans deleted, doubled, moved, or written over by tokens that mean something to YAML."""
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        stop = min(len(text), start + draw(st.sampled_from([0, 1, 3, 10, 80, 2_000])))
        match draw(st.sampled_from(["cut", "double", "write", "write", "end"])):
            case "cut":
                text = text[:start] + text[stop:]
            case "double":
                text = text[:stop] + text[start:stop] * draw(st.sampled_from([1, 2, 50])) + text[stop:]
            case "write":
                text = text[:start] + draw(st.sampled_from(_TOKENS + hostile.STRINGS)) + text[stop:]
            case _:
                text = text[:start]
    return text[:500_000].encode("utf-8", "surrogatepass")


@st.composite
def written(draw: st.DrawFn) -> Written:
    """One input."""
    drill = draw(st.sampled_from(DRILLS))
    file = draw(st.sampled_from(files_of(drill)))
    text = (ROOT / file).read_text("utf-8")
    content = draw(st.one_of(trees(text), trees(text), texts(text), st.binary(max_size=60)))
    return Written(drill, file, content, draw(st.sampled_from(COMMANDS)))
