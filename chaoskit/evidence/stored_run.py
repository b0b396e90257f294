"""A judged run as it lies on disk: what was planned, measured and judged, without its operations."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from chaoskit.errors import InputError
from chaoskit.model.measurement import Measurements
from chaoskit.model.plan import Plan
from chaoskit.model.verdict import Result
from chaoskit.regular_file import open_regular, read_regular

_Model = TypeVar("_Model", bound=BaseModel)
_FIRST_LINE_MAX = 1 << 20


@dataclass(frozen=True)
class StoredRun:
    """One run. `machine` is what the run said of its machine; `began` its wall time, None if it was not recorded."""

    folder: Path
    plan: Plan
    result: Result
    measurements: Measurements
    machine: dict[str, Any]
    began: datetime | None

    @property
    def machine_class(self) -> str | None:
        """What must be alike for recovery times to be compared: how many processors, how much of them a control group
        leaves, and which; not the kernel's build.

        None if the run does not say how many and which: it is then like no other, not even like one that is as silent.
        """
        cpus, processor = self.machine.get("cpus"), self.machine.get("processor")
        if not isinstance(cpus, int) or not isinstance(processor, str) or not processor:
            return None
        quota, model = self.machine.get("cpu_quota"), self.machine.get("model")
        share = f"{quota:g} of " if isinstance(quota, int | float) and quota < cpus else ""
        return f"{share}{cpus} × {processor}" + (f" ({model})" if model and isinstance(model, str) else "")

    @property
    def fidelity(self) -> tuple[tuple[str, str, str], ...]:
        """(service, kind, what, the running server's own version among it), in order."""
        said = {one.get("service"): one.get("version") for one in self.result.fidelity}
        return tuple(
            sorted(
                (one.service, one.kind, ", ".join(filter(None, (said.get(one.service), one.what))))
                for one in self.plan.fidelity
            )
        )

    @property
    def control(self) -> tuple[str, ...]:
        """What a proof has left out of this run; empty for a run of the drill as written."""
        return tuple(note for note in self.plan.notes if note.startswith("CONTROL: "))

    @property
    def plan_digest(self) -> str:
        """SHA-256 of the plan without its seed, what the seed alone decides, and where the files lie."""
        data = self.plan.model_dump(mode="json", by_alias=False)
        for key in ("seed", "drill_path", "fidelity", "notes", "series"):
            data.pop(key, None)
        data["drill"].pop("seed", None)
        for probe in data["probes"]:
            probe.pop("phase_ns", None)
        for step in data["steps"]:
            step.pop("place", None)
        text = json.dumps(data, sort_keys=True).replace(self.plan.system.folder, "")
        return hashlib.sha256(text.encode()).hexdigest()


def load_stored_run(folder: Path) -> StoredRun:
    """The run of a folder. InputError says which file is missing or damaged, and what to do."""
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; give the folder of a run, like reports/<run>")
    began, machine = _first_event(folder)
    return StoredRun(
        folder=folder,
        plan=_read(folder / "plan.json", Plan),
        result=_read(folder / "result.json", Result),
        measurements=_read(folder / "measurements.json", Measurements),
        machine=machine,
        began=began,
    )


def _read(path: Path, kind: type[_Model]) -> _Model:
    try:
        return kind.model_validate_json(read_regular(path))
    except FileNotFoundError:
        hint = f"`chaoskit judge {path.parent}` judges a recorded run"
        raise InputError(f"{path}: no such file; {hint}") from None
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise InputError(f"{path}: {where + ': ' if where else ''}{first['msg']}") from error


def _first_event(folder: Path) -> tuple[datetime | None, dict[str, Any]]:
    try:
        with open_regular(folder / "events.jsonl") as file:
            event = json.loads(file.readline(_FIRST_LINE_MAX))
        data = event["data"]
        machine = data.get("machine")
        wall = data.get("wall")
        began = datetime.fromisoformat(wall) if isinstance(wall, str) else None
        return began, machine if isinstance(machine, dict) else {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None, {}
