"""`prove`: a drill and its controls, printed as they come out."""

from __future__ import annotations

from pathlib import Path

from tabulate import tabulate

from chaoskit import pipeline, proof, registry, spec
from chaoskit.cli.live import watch
from chaoskit.cli.running import as_typed
from chaoskit.model.plain_text import one_line

_REASON_MAX = 160


def prove_drill(path: Path, runtime: str, reports: Path, seed: int | None) -> int:
    """Prove every cell of a drill; 0 only if each came out as written and all of its controls turned red."""
    codes = []
    for cell, loaded in spec.cells(spec.load(path, registry)):
        drill = pipeline.with_seed(loaded, seed) if seed is not None else loaded
        codes.append(_prove(drill, cell, runtime, reports))
        if codes[-1] == 130:
            break
    return next((code for code in (130, 1, 3) if code in codes), 0)


def _prove(loaded: spec.Loaded, cell: str, runtime: str, reports: Path) -> int:
    plan, controls, nothing = proof.plan_of_proof(loaded, runtime)
    name = one_line(f"{plan.drill.drill} [{cell}]" if cell else plan.drill.drill)
    print(f"== proof of {name}: as written, then {len(controls)} controls", flush=True)
    rows: list[list[str]] = []
    good, stopped = True, False
    for proven in proof.prove(plan, controls, reports, watch=watch):
        told = proven.verdict
        good = good and told.proven
        stopped = stopped or proven.run.result.exit_code == 130
        rows.append(
            [
                "ok" if told.proven else "NOT RED" if rows else "NOT AS WRITTEN",
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
    made = len(rows) == len(controls) + 1
    proved = good and made and not stopped
    count = f"{sum(row[0] == 'ok' for row in rows)} of {len(controls) + 1} runs came out as they must"
    print(f"\n{name}: {'proven' if proved else 'not proven'}: {count}")
    return 130 if stopped else 0 if proved else 1
