"""Every fault that a runtime offers keeps every clause of the contract there; one without a case fails by name."""

from __future__ import annotations

import asyncio
import json
import os
import pkgutil
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

import chaoskit.runtimes
from chaoskit import pipeline, registry
from chaoskit.clock import monotonic_ns
from chaoskit.model.estate import Runtime
from chaoskit.model.lease import LinkUndo, NothingToUndo, Undo
from chaoskit.model.member import Witness
from chaoskit.runtimes.supervision import own_environment
from tests.contracts.every_case import CASES, Case, cases
from tests.contracts.every_fault import CLAUSES, Kept, hold_to_it
from tests.contracts.every_left import keepers_killed, until_nothing, what_is_left

RUNTIMES: list[Runtime] = [
    pipeline.runtime(one.name) for one in pkgutil.iter_modules(chaoskit.runtimes.__path__) if one.ispkg
]
ON_EACH = [
    pytest.param(one, id=one.name, marks=[] if one.name == "local" else [pytest.mark.docker])
    for one in RUNTIMES
]
ROOT = Path(__file__).parents[2]


@dataclass
class Ground:
    """Folders of one run whose conductor is killed; short, as PostgreSQL's socket has to fit into one."""

    runtime: Runtime
    folder: Path
    cells: dict[tuple[str, str], str | None] = field(default_factory=dict)
    held: dict[str, str] = field(default_factory=dict)

    @property
    def run(self) -> str:
        return f"every-{os.getpid()}-{self.folder.name}"

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def environment(self) -> dict[str, str]:
        temporary = {"TMPDIR": str(self.folder / "tmp")}
        return {**own_environment(), **temporary, "CHAOSKIT_STATE_DIR": str(self.state)}

    def begin(self, whole: bool) -> subprocess.Popen[str]:
        """A conductor that has just been started."""
        order = {"runtime": self.runtime.name, "folder": str(self.folder), "run": self.run, "whole": whole}
        (self.folder / "tmp").mkdir()
        with (self.folder / "errors").open("w") as errors:
            return subprocess.Popen(
                [sys.executable, "-m", "tests.contracts.every_fault", json.dumps(order)],
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env=self.environment,
                cwd=ROOT,
            )

    def conduct(self, whole: bool) -> subprocess.Popen[str]:
        """A conductor that holds every fault in effect when this returns."""
        conductor = self.begin(whole)
        assert conductor.stdout is not None
        for line in conductor.stdout:
            said = json.loads(line)
            if "held" in said:
                self.held = said["held"]
                return conductor
            cell = (said["case"], said["clause"])
            self.cells[cell] = self.cells.get(cell) or said["wrong"]
        conductor.wait()
        pytest.fail((self.folder / "errors").read_text())

    def kept(self) -> dict[str, Any]:
        """The leases that are on disk: while it is conducted, and in the run folder when it has ended."""
        files = sorted((self.state / "runs" / self.run / "leases").glob("*.json"))
        return {path.stem: json.loads(path.read_text()) for path in files}

    def settled(self) -> dict[str, Any]:
        text = (self.folder / "reports" / self.run / "leases.json").read_text()
        return {lease["id"]: lease for lease in json.loads(text)}


@pytest.fixture
def folder() -> Iterator[Path]:
    one = Path(tempfile.mkdtemp(prefix="ck-"))
    yield one
    shutil.rmtree(one, ignore_errors=True)


def missing(
    cells: dict[tuple[str, str], str | None], expected: list[Case], clauses: tuple[str, ...]
) -> list[str]:
    """What of the matrix is not kept, or was not tried."""
    wanted = [(case.id, clause) for case in expected for clause in clauses]
    return [f"{case}: {clause}: {cells.get((case, clause), 'not tried')}" for case, clause in wanted if
            cells.get((case, clause), "not tried") is not None]  # fmt: skip


@pytest.mark.usefixtures("beside_no_drill")
@pytest.mark.timeout(1600)  # waiting for others' drills included
@pytest.mark.parametrize("runtime", ON_EACH)
def test_every_clause_and_a_killed_conductor(runtime: Runtime, folder: Path) -> None:
    ground = Ground(runtime, folder)
    expected = cases(runtime.capabilities, runtime.name)
    conductor = ground.conduct(whole=True)
    try:
        leases = ground.kept()
        found = what_is_left(ground.run, ground.folder, ground.environment)
    finally:
        conductor.send_signal(signal.SIGKILL)
        conductor.communicate()
    left = until_nothing(ground.run, ground.folder, ground.environment, found.known)
    after = ground.settled() if not left else {}
    for case in expected:
        before, settled = leases.get(case.id), after.get(case.id)
        wrong = None
        if before is None or before["state"] != "held":
            wrong = f"its lease was not held: {before}"
        elif "not seen" in ground.held.get(case.id, "not seen"):
            wrong = ground.held.get(case.id, "not in effect")
        elif left:
            wrong = f"left: {left[:5]}"
        elif settled is None or settled != {**before, "state": "undone"}:
            wrong = f"its lease was settled as {settled}"
        ground.cells[case.id, "killed"] = wrong
    assert found.words, "there was something to be left"
    assert missing(ground.cells, expected, CLAUSES) == []


@pytest.mark.usefixtures("beside_no_drill")
@pytest.mark.timeout(1600)
@pytest.mark.parametrize("runtime", ON_EACH)
def test_killed_with_all_who_would_clean_up(runtime: Runtime, folder: Path) -> None:
    """Supervisor, keepers and janitor die with the conductor: the leases stay, and `chaoskit clean` does it."""
    ground = Ground(runtime, folder)
    conductor = ground.conduct(whole=False)
    try:
        with keepers_killed(ground.run):
            conductor.send_signal(signal.SIGKILL)
            conductor.communicate()
    finally:
        conductor.kill()
    found = what_is_left(ground.run, ground.folder, ground.environment)
    assert found.words, "nobody was left to clean up"
    leases = ground.kept()
    assert {case.id for case in cases(runtime.capabilities, runtime.name)} == set(leases)
    assert {lease["state"] for lease in leases.values()} == {"held"}
    done = _clean(ground)
    assert done.returncode == 0, done.stdout + done.stderr
    assert ground.run in done.stdout
    assert until_nothing(ground.run, ground.folder, ground.environment, found.known, within_s=2) == []
    assert {lease["state"] for lease in ground.settled().values()} == {"undone"}
    assert ground.run not in _clean(ground).stdout


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("runtime", ON_EACH)
def test_killed_at_any_instant_while_faults_are_applied(runtime: Runtime, seed: int, folder: Path) -> None:
    """From the first lease on: in the middle of an application, before a witness, with some in effect and some not."""
    ground = Ground(runtime, folder)
    conductor = ground.begin(whole=False)
    try:
        while not ground.kept():
            assert conductor.poll() is None, (folder / "errors").read_text()
            time.sleep(0.01)
        time.sleep(random.Random(f"{runtime.name}-{seed}").uniform(0, 6))
        leases = ground.kept()
        found = what_is_left(ground.run, ground.folder, ground.environment)
    finally:
        conductor.send_signal(signal.SIGKILL)
        conductor.communicate()
    assert until_nothing(ground.run, ground.folder, ground.environment, found.known) == []
    assert set(leases) <= set(ground.settled())
    assert {lease["state"] for lease in ground.settled().values()} == {"undone"}


def _clean(ground: Ground) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "chaoskit", "clean"],
        env=ground.environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("runtime", RUNTIMES, ids=lambda one: one.name)
def test_a_fault_without_a_case_is_named(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    assert {case.fault for case in cases(runtime.capabilities, runtime.name)} <= set(CASES)
    offered = SimpleNamespace(requires=frozenset({"links"}))
    nowhere = SimpleNamespace(requires=frozenset({"a capability of tomorrow"}))
    known = registry.members("faults")
    monkeypatch.setattr(registry, "members", lambda _: {**known, "link.new": offered, "moon.lost": nowhere})
    with pytest.raises(
        LookupError, match=rf"link\.new is offered on {runtime.name} and is held to no contract"
    ):
        cases(runtime.capabilities, runtime.name)


def test_every_case_is_of_a_fault_that_there_is() -> None:
    known = {
        name
        for runtime in RUNTIMES
        for name in (one.fault for one in cases(runtime.capabilities, runtime.name))
    }
    assert set(CASES) == known == set(registry.members("faults"))


@dataclass
class Lamp:
    """A target that is lit or not, and an estate whose undo lights it as often as it is told to work."""

    lit: bool = True
    undone: int = 0

    async def undo(self, undo: Undo) -> None:
        self.undone += 1
        if not undo.steps:
            return
        if "breaks" in undo.steps[0].link:  # type: ignore[union-attr]
            self.lit = self.undone < 3
        elif "idle" not in undo.steps[0].link:  # type: ignore[union-attr]
            self.lit = True


def sick(how: str) -> type:
    """A fault that puts the lamp out, and breaks the contract in one way."""

    @dataclass(frozen=True)
    class Out:
        requires: ClassVar[frozenset[str]] = frozenset({"links"})

        async def baseline(self, target: str, estate: Any) -> bool:
            return bool(estate.lit)

        async def undo(self, target: str, estate: Any) -> Undo:
            if how == "applies while it makes its lease":
                estate.lit = False
            steps: tuple[Any, ...] = (
                LinkUndo(link={"undo is idle": "idle", "second undo breaks": "breaks"}.get(how, "")),
            )
            if how == "undo is none and says why":
                steps = (LinkUndo(link="idle"), NothingToUndo(why="a broken lamp stays dark"))
            return Undo(steps=() if how == "no undo" else steps)

        async def apply(self, target: str, estate: Any) -> None:
            estate.lit = how == "does nothing"

        async def witness(self, target: str, estate: Any, baseline: Any) -> Witness:
            seen = how == "witness sees what is not" or not estate.lit
            at = 1 if how == "witness was there before" else monotonic_ns()
            return Witness(seen, at if seen else None, "looked")

    return Out


@pytest.mark.parametrize(
    ("how", "wrong"),
    [
        ("sound", set()),
        ("undo is none and says why", set()),
        ("applies while it makes its lease", {"witness"}),
        ("does nothing", {"witness"}),
        ("witness sees what is not", {"witness"}),
        ("witness was there before", {"witness"}),
        ("undo is idle", {"undo"}),
        ("second undo breaks", {"undo"}),
        ("no undo", {"lease", "undo"}),
    ],
)
def test_what_breaks_a_clause_is_told(
    how: str, wrong: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHAOSKIT_STATE_DIR", str(tmp_path))
    monkeypatch.setattr("tests.contracts.every_fault.BACK_WITHIN_S", 0.3)
    monkeypatch.setattr(registry, "member", lambda *_: sick(how))
    cells: dict[tuple[str, str], str | None] = {}

    def tell(case: Case, clause: str, said: str | None) -> None:
        cells[case.id, clause] = cells.get((case.id, clause)) or said

    async def lit(_: Case, estate: Any) -> bool:
        return bool(estate.lit)

    lamp = Case("lamp.out", "lamp", {})
    asyncio.run(hold_to_it(Lamp(), [lamp], tell, Kept("lamps"), lit))
    assert {clause for (_, clause), said in cells.items() if said} == wrong
    assert all(line.startswith("lamp.out: ") for line in missing(cells, [lamp], CLAUSES))
    assert "lamp.out: killed: not tried" in missing(cells, [lamp], CLAUSES)
