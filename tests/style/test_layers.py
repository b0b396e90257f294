"""Imports go one way: the layers of docs/architecture.md, held to the code."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "chaoskit"
EXTENSIONS = ("faults", "responses", "probes", "journeys", "checks", "reporters")
CONTAINER_LIBRARIES = ("docker", "testcontainers")

# Who may import whom, by first folder or module below chaoskit; what is not listed may import anything.
ALLOWED: dict[str, set[str]] = {
    "quantity": set(),
    "errors": set(),
    "clock": set(),
    "scratch": set(),
    "regular_file": set(),
    "processor": set(),
    "machine": {"runtimes"},
    "model": {"model", "quantity", "errors"},
    "registry": {"registry", "errors"},
    "engines": {"engines", "model", "quantity", "errors", "clock", "processor"},
    "toxiproxy": {"toxiproxy", "errors", "processor"},
    "intruder": {"intruder", "engines"},  # it must start at once, and knows nothing of the drill
    **{
        name: {name, "model", "engines", "registry", "quantity", "errors", "clock"}
        for name in EXTENSIONS
        if name not in ("checks",)
    },
    "checks": {"checks", "model", "engines", "metrics", "registry", "quantity", "errors", "clock"},
    "evidence": {"evidence", "model", "conductor", "quantity", "errors", "clock", "scratch", "regular_file"},
    "metrics": {"metrics", "model", "quantity", "errors", "clock", "scratch"},
    "spec": {"spec", "registry", "model", "quantity", "errors", "regular_file"},
    "planner": {"planner", "spec", "registry", "model", "quantity", "errors"},
    "testing": {
        "testing",
        "conductor",
        "planner",
        "spec",
        "runtimes",
        "registry",
        "model",
        "run_folder",
        "quantity",
        "errors",
        "clock",
    },
    "conductor": {
        "conductor",
        "registry",
        "model",
        "engines",
        "evidence",
        "metrics",
        "quantity",
        "errors",
        "clock",
        "processor",
        "regular_file",
    },
}


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def layer(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def chaoskit_imports(path: Path) -> Iterator[tuple[int, str]]:
    """(line, dotted name) of every import, those inside functions included."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                yield node.lineno, "." * node.level + (node.module or "")
            elif node.module == "chaoskit":
                for alias in node.names:
                    yield node.lineno, f"chaoskit.{alias.name}"
            elif node.module:
                yield node.lineno, node.module


@pytest.mark.parametrize("name", sorted(ALLOWED))
def test_layer_imports_only_what_it_may(name: str) -> None:
    offences = []
    for path in modules():
        if layer(path) != name:
            continue
        for line, imported in chaoskit_imports(path):
            if imported.startswith("."):
                offences.append(
                    f"{path.relative_to(ROOT)}:{line}: relative import {imported}; write it in full"
                )
            elif imported.startswith("chaoskit.") and imported.split(".")[1] not in ALLOWED[name]:
                offences.append(f"{path.relative_to(ROOT)}:{line}: {name} may not import {imported}")
    assert not offences, "\n".join(offences)


def test_extension_members_do_not_import_each_other() -> None:
    offences = []
    for path in modules():
        if layer(path) not in EXTENSIONS or path.name == "__init__.py":
            continue
        for line, imported in chaoskit_imports(path):
            parts = imported.split(".")
            if parts[0] in CONTAINER_LIBRARIES or (
                parts[0] == "chaoskit" and len(parts) > 2 and parts[1] in EXTENSIONS
            ):
                offences.append(f"{path.relative_to(ROOT)}:{line}: {imported}")
    assert not offences, "\n".join(offences)


def test_only_the_command_line_and_pytest_import_the_pipeline() -> None:
    offences = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in modules()
        if layer(path) not in ("cli", "pytest_plugin", "pipeline", "proof", "series")
        for line, imported in chaoskit_imports(path)
        if imported.startswith(("chaoskit.pipeline", "chaoskit.judging"))
    ]
    assert not offences, "\n".join(offences)


def test_the_framework_knows_no_bank() -> None:
    bank = [p for p in modules() for _, name in chaoskit_imports(p) if name.split(".")[0] == "bank"]
    framework = [
        path
        for path in (ROOT / "fixtures" / "bank").rglob("*.py")
        for _, name in chaoskit_imports(path)
        if name.split(".")[0] == "chaoskit"
        and path.name != "customers.py"  # it plays customers: a part of the drills, as system.yaml is
    ]
    assert (bank, framework) == ([], [])


def test_no_import_cycles() -> None:
    names = {
        ".".join(p.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): p for p in modules()
    }
    graph: dict[str, set[str]] = {}
    for name, path in names.items():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        graph[name] = set()
        for node in tree.body:  # imports at the top: the ones that run while the module is imported
            if isinstance(node, ast.ImportFrom) and node.module:
                for alias in node.names:
                    deeper = f"{node.module}.{alias.name}"
                    graph[name].add(deeper if deeper in names else node.module)
            elif isinstance(node, ast.Import):
                graph[name].update(alias.name for alias in node.names)
        graph[name] = {target for target in graph[name] if target in names and target != name}

    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, "import cycle: " + " → ".join((*trail[trail.index(name) :], name))
        if name in done:
            return
        for target in sorted(graph[name]):
            visit(target, (*trail, name))
        done.add(name)

    for name in sorted(graph):
        visit(name, ())
