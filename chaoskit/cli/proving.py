"""`prove`: drills and their controls, printed as they come out, and one table of them all at the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tabulate import tabulate

from chaoskit import pipeline, proof, registry, spec
from chaoskit.cli.judging import as_typed
from chaoskit.cli.live import watch
from chaoskit.drill_files import drills_in
from chaoskit.errors import InputError
from chaoskit.model.plain_text import harmless, one_line
from chaoskit.planner.controls import Control

_REASON_MAX = 160
_INTERRUPTED, _NOT_PROVEN, _NO_ANSWER = 130, 1, 3


@dataclass(frozen=True)
class _Told:
    """What became of one drill, for the last table. `code` 0: proven."""

    name: str
    code: int
    came_out: str
    left_out: str


def prove_drills(paths: Sequence[Path], runtime: str, reports: Path, seed: int | None) -> int:
    """Prove every cell of every drill; a folder stands for the drills in and below it.

    0 only if each drill came out as written and all of its controls turned red; 3 if nothing but runs without an
    answer stand against that. One drill that cannot run here is wrong input; among several it is one without an
    answer, and the others are proven.
    """
    drills = _drills(paths)
    told: list[_Told] = []
    for path in drills:
        try:
            cells = spec.cells(spec.load(path, registry))
            planned = [(cell, _seeded(loaded, seed)) for cell, loaded in cells]
            for _, loaded in planned:
                proof.plan_of_proof(loaded, runtime)  # what cannot run is refused before anything starts
        except InputError as error:
            if len(drills) == 1:
                raise
            print(harmless(f"{error}"), flush=True)
            told.append(_Told(one_line(str(path)), _NO_ANSWER, "cannot run here: see above", "–"))
            continue
        for cell, loaded in planned:
            told.append(_prove(loaded, cell, runtime, reports))
            if told[-1].code == _INTERRUPTED:
                break
        if told[-1].code == _INTERRUPTED:
            break
    if len(told) > 1:
        words = {0: "proven", _NOT_PROVEN: "NOT PROVEN", _NO_ANSWER: "no answer", _INTERRUPTED: "stopped"}
        rows = [(words[one.code], one.name, one.came_out, one.left_out) for one in told]
        heads = ("", "drill", "runs as they must", "recovery left out")
        print("\n" + tabulate(rows, headers=heads, disable_numparse=True))
        print(f"\n{sum(not one.code for one in told)} of {len(told)} drills proven", flush=True)
    codes = {one.code for one in told}
    return next((code for code in (_INTERRUPTED, _NOT_PROVEN, _NO_ANSWER) if code in codes), 0)


def _drills(paths: Sequence[Path]) -> list[Path]:
    """The files, and the drill files of folders in order; InputError for a folder without one."""
    found: list[Path] = []
    for path in paths:
        if not path.is_dir():
            found.append(path)
            continue
        inside = drills_in(path)
        if not inside:
            raise InputError(f"{path}: no drill file (YAML with a key `drill:`) in this folder")
        found += inside
    return list(dict.fromkeys(found))


def _seeded(loaded: spec.Loaded, seed: int | None) -> spec.Loaded:
    return pipeline.with_seed(loaded, seed) if seed is not None else loaded


def _prove(loaded: spec.Loaded, cell: str, runtime: str, reports: Path) -> _Told:
    plan, controls, nothing = proof.plan_of_proof(loaded, runtime)
    name = one_line(f"{plan.drill.drill} [{cell}]" if cell else plan.drill.drill)
    print(f"== proof of {name}: as written, then {len(controls)} controls", flush=True)
    rows: list[list[str]] = []
    good, stopped, red = True, False, False
    unshown: tuple[str, ...] = ()
    spared: dict[Control, str] = {}
    for proven in proof.prove(plan, controls, reports, watch=watch):
        told = proven.verdict
        good = good and told.proven
        red = red or (told.answered and not told.proven)
        stopped = stopped or proven.run.result.exit_code == _INTERRUPTED
        if not rows:
            unshown, spared = proof.unshown(controls, proven.run), proof.futile(controls, proven.run)
        rows.append(
            [
                _label(proven, first=not rows),
                one_line(told.name),
                told.outcome,
                one_line(told.reason, _REASON_MAX),
                one_line(as_typed(proven.run.folder)),
            ]
        )
        print(one_line(f"{rows[-1][0]}: {rows[-1][1]}: {rows[-1][2]}"), flush=True)
    print("\n" + tabulate(rows, headers=("", "run", "outcome", "why", "folder"), disable_numparse=True))
    if nothing is not None:
        print(f"\nno recovery was left out: {nothing}")
    for control, why in spared.items():
        print("\n" + one_line(f"{control.what} was not left out: {why}"))
    for fault in unshown if good else ():
        print(
            "\n"
            + one_line(
                f"not shown to matter: {fault}: it started no customer's clock, and no run was made without its end"
            )
        )
    due = len(controls) - len(spared) + 1
    proved = good and len(rows) == due and not stopped
    count = f"{sum(row[0] == 'ok' for row in rows)} of {due}"
    print(f"\n{name}: {'proven' if proved else 'not proven'}: {count} runs came out as they must", flush=True)
    # A run without an answer disproves nothing, as with any other gate.
    code = _INTERRUPTED if stopped else 0 if proved else _NOT_PROVEN if red or good else _NO_ANSWER
    tried = [control for control in controls if control not in spared]
    if nothing is None and not _recoveries(tried):
        nothing = "; ".join(f"{control.what}: {why}" for control, why in spared.items())
    return _Told(name, code, count, f"nothing: {nothing}" if nothing else _recoveries(tried))


def _label(proven: proof.Proven, first: bool) -> str:
    if proven.verdict.proven:
        return "ok"
    if not proven.verdict.answered:
        return "NO ANSWER"
    if not first:
        return "NOT RED"
    return "NOT SHOWN" if proven.run.result.as_expected else "NOT AS WRITTEN"


def _recoveries(controls: Sequence[Control]) -> str:
    return ", ".join(control.what for control in controls if control.kind != "disarm")
