"""Runs commands of chaoskit on rubbish, each in a limited process of its own, and says what was wrong with its end."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

ROOT = Path(__file__).parents[2]
SECONDS_MAX = 1.0
MEMORY_MB_MAX = 200.0
LINE_MAX = 2_000
_REPORT = re.compile(r"; the report is (.+?\.txt)$", re.MULTILINE)
_PLACE = re.compile(r":\d+:\d+: ")
_OWN_FRAME = re.compile(r'File "[^"]*/(chaoskit/[^"]+)", line (\d+)')
_RAW = re.compile("[^\n\t\x20-\x7e\xa0-\U0010ffff]")


@dataclass(frozen=True)
class Ended:
    """A command's end. `busy_s` is its time without waiting for a processor, which another process had."""

    argv: tuple[str, ...]
    code: int
    out: str
    err: str
    hung: bool
    wall_s: float
    waited_s: float
    cpu_s: float
    memory_mb: float

    @property
    def busy_s(self) -> float:
        return max(0.0, self.wall_s - self.waited_s)


@dataclass(frozen=True)
class Finding:
    """Something a command must not do. `signature` is the same for the same fault, whatever the input."""

    signature: str
    detail: str


class Sandbox:
    """One zygote and its scratch folder; `with Sandbox(folder) as sandbox`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._out, self._err = folder / "out", folder / "err"

    def __enter__(self) -> Self:
        for name in ("state", "tmp"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.fuzz.zygote"],
            cwd=ROOT,
            env={
                **os.environ,
                "CHAOSKIT_STATE_DIR": str(self.folder / "state"),
                "TMPDIR": str(self.folder / "tmp"),
                "DOCKER_HOST": f"unix://{self.folder}/no-engine.sock",
                "OPENBLAS_NUM_THREADS": "1",
                "PYTHONIOENCODING": "utf-8",
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._answer()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=20)

    def run(self, argv: Sequence[str | Path], cwd: Path) -> Ended:
        """One command line, in `cwd`. One that seems slow is run again: the machine may have been busy elsewhere."""
        ended = self._once([str(one) for one in argv], cwd)
        if ended.hung or ended.busy_s > SECONDS_MAX:
            again = self._once(list(ended.argv), cwd)
            return again if again.busy_s < ended.busy_s else ended
        return ended

    def _once(self, argv: list[str], cwd: Path) -> Ended:
        order = {"argv": argv, "cwd": str(cwd), "out": str(self._out), "err": str(self._err)}
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        fate: dict[str, Any] = json.loads(self._answer())
        return Ended(tuple(argv), out=_text(self._out), err=_text(self._err), **fate)

    def _answer(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the zygote has died: exit status {self._process.wait()}")
        return line


def _text(path: Path) -> str:
    return path.read_bytes().decode("utf-8", "surrogateescape")


def findings(ended: Ended, allowed: Sequence[int]) -> list[Finding]:
    """What was wrong. `allowed` are the exit codes this command documents for such an input."""
    command = ended.argv[0]
    both = ended.out + ended.err
    found = []
    if ended.hung:
        found.append(Finding(f"{command}: hung", f"killed after {ended.wall_s:.1f} s"))
    elif ended.busy_s > SECONDS_MAX:
        found.append(Finding(f"{command}: slow", f"{ended.busy_s:.2f} s, {ended.cpu_s:.2f} s of it busy"))
    if ended.memory_mb > MEMORY_MB_MAX:
        found.append(Finding(f"{command}: memory", f"{ended.memory_mb:.0f} MB"))
    trace = _traceback(both)
    if trace:
        found.append(Finding(f"{command}: {_origin(trace)}", trace))
    elif not ended.hung and ended.code not in allowed:
        found.append(Finding(f"{command}: exit {ended.code}", both[-2000:]))
    if ended.code and not ended.hung and not both.strip():
        found.append(Finding(f"{command}: says nothing", f"exit {ended.code}"))
    if command == "validate" and ended.code == 2 and not _PLACE.search(ended.err):
        found.append(Finding("validate: names no place", ended.err[-2000:]))
    if raw := next((char for char in both if _drives(char)), None):
        found.append(Finding(f"{command}: raw U+{ord(raw):04X} in its output", ascii(both[-2000:])))
    longest = max(map(len, both.splitlines()), default=0)
    if longest > LINE_MAX:
        found.append(Finding(f"{command}: a line of its output has no end", f"{longest} characters"))
    return found


def _drives(char: str) -> bool:
    """Whether the character drives a terminal or turns the reading direction."""
    if " " <= char <= "~" or char in "\n\t":
        return False
    return unicodedata.category(char) == "Cc" or unicodedata.bidirectional(char) in {
        "LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI",
    }  # fmt: skip


def _traceback(text: str) -> str:
    report = _REPORT.search(text)
    if report:
        path = Path(report[1])
        return path.read_text("utf-8", "replace") if path.exists() else text
    return (
        text if "Traceback (most recent call last)" in text or "an error of chaoskit itself" in text else ""
    )


def _origin(trace: str) -> str:
    """The kind of the exception and the last line of chaoskit that it came through."""
    frames = _OWN_FRAME.findall(trace)
    kind = trace.strip().splitlines()[-1].split(":")[0][:60]
    return f"{kind} at {':'.join(frames[-1])}" if frames else kind
