"""A run folder from history to verdict: measure, judge, and check what was judged before; nothing needs to run."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from pathlib import Path

from chaoskit import evidence, metrics, registry, run_folder
from chaoskit.evidence import manifest, room
from chaoskit.judge import judge
from chaoskit.model.drill import Drill
from chaoskit.model.history import History
from chaoskit.model.measurement import Measurements
from chaoskit.model.verdict import Result
from chaoskit.regular_file import read_regular


@dataclass(frozen=True)
class Run:
    """A finished run: where it lies, what was recorded, measured and judged.

    `written` is the result's file, if it is new; `head` vouches for every file of the folder (`evidence.manifest`);
    `series` is what the runs of its `repeat:` came to, in words.
    """

    folder: Path
    history: History
    measurements: Measurements
    result: Result
    written: Path | None = None
    head: str | None = None
    series: str | None = None


def judge_folder(folder: Path, drill: Drill | None = None) -> Run:
    """MEASURE and JUDGE a run folder with nothing running; a first judgement writes result.json, later ones beside it.

    With `drill`, its objectives are used instead of the plan's, and the result names both.
    """
    read: dict[str, str] = {}
    history = evidence.load_history(folder, read)
    with contextlib.suppress(OSError):  # a killed run has it still
        room.give_back(folder)
    measurements = metrics.measure(history)
    result = judge(history, measurements, registry, drill)
    target = folder / "result.json"
    if drill is not None:
        target = run_folder.unused_name(target)
    elif not target.exists():
        run_folder.write_json(folder / "measurements.json", measurements)
    new = drill is not None or not target.exists()
    if new:
        run_folder.write_json(target, result)
    if drill is None and new:
        manifest.write_manifest(folder, read)
    # Of a folder that was changed since, the head would vouch for what is no longer there.
    head = manifest.head_of(folder) if drill is None and new else manifest.vouched_head(folder, read)
    return Run(folder, history, measurements, result, target if new else None, head)


def verify_folder(folder: Path, head: str | None = None) -> manifest.Verification:
    """Check a run folder against its manifest and the head that was kept elsewhere, and its result against its history.

    The history is judged again: a result that this chaoskit would not give is a problem too.
    """
    found = manifest.check(folder, head)
    if found.problems:
        return found
    history = evidence.load_history(folder)
    again = judge(history, metrics.measure(history), registry, None)
    try:
        told = Result.model_validate_json(read_regular(folder / "result.json"))
    except (OSError, ValueError) as error:
        why = str(error).splitlines()[0]
    else:
        if told == Result.model_validate_json(again.model_dump_json()):
            return found
        why = f"says {told.outcome}, and its history, judged again by this version, {again.outcome}"
        if told.outcome == again.outcome:
            why = "differs from what its history gives when it is judged again by this version"
    return replace(found, standing="altered", problems=(f"result.json: {why}",))
