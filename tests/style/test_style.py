"""What matters of style is a test: names, sizes, sentences, and nothing of this machine in the files."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
MODULE_LINES_MAX = 300
FUNCTION_LINES_MAX = 50
VAGUE_NAMES = {"util", "utils", "helper", "helpers", "common", "misc"}


def tracked(*suffixes: str) -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode == 0:
        files = [ROOT / name for name in listed.stdout.split("\0") if name]
    else:  # an unpacked archive without git
        files = [
            p for top in ("chaoskit", "fixtures", "tests", "benchmarks") for p in (ROOT / top).rglob("*")
        ]
    return sorted(p for p in files if p.is_file() and (not suffixes or p.suffix in suffixes))


def product_modules() -> list[Path]:
    return [
        p for p in tracked(".py") if p.relative_to(ROOT).parts[0] in ("chaoskit", "fixtures", "benchmarks")
    ]


def test_no_vague_module_names() -> None:
    assert [str(p.relative_to(ROOT)) for p in tracked(".py") if p.stem in VAGUE_NAMES] == []


def test_modules_can_be_read_in_one_sitting() -> None:
    long = {
        str(p.relative_to(ROOT)): n
        for p in product_modules()
        if (n := len(p.read_text().splitlines())) > MODULE_LINES_MAX
    }
    assert long == {}


def test_functions_fit_a_screen() -> None:
    long = []
    for path in product_modules():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > FUNCTION_LINES_MAX:
                    long.append(f"{path.relative_to(ROOT)}:{node.lineno} {node.name}: {lines} lines")
    assert long == []


def test_modules_open_with_a_sentence() -> None:
    bare = []
    for path in product_modules():
        doc = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
        if path.read_text().strip() and (not doc or not re.search(r"[.:?`]$", doc.splitlines()[0].strip())):
            bare.append(str(path.relative_to(ROOT)))
    assert bare == []


def test_errors_are_not_swallowed() -> None:
    swallowed = []
    for path in product_modules():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.ExceptHandler):
                continue
            broad = node.type is None or (
                isinstance(node.type, ast.Name) and node.type.id in ("Exception", "BaseException")
            )
            if broad and all(isinstance(line, ast.Pass) for line in node.body):
                swallowed.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert swallowed == []


def test_no_machine_path_and_no_registry_host_in_any_file() -> None:
    # Written in pieces, so that this file does not offend against itself.
    words = [
        "py" + "pi.org",
        "python" + "hosted.org",
        "registry." + "npmjs",
        "deb." + "debian.org",
        "proxy." + "golang.org",
    ]
    words += ["/work/" + "main", "../" + "shared"]
    pattern = re.compile("|".join(map(re.escape, words)))
    offences = []
    for path in tracked():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        offences += [
            f"{path.relative_to(ROOT)}:{n}"
            for n, line in enumerate(text.splitlines(), 1)
            if pattern.search(line)
        ]
    assert offences == []
