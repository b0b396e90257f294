"""What a janitor knows of its run, on disk from before the first object exists: the sweep takes over from it."""

from __future__ import annotations

import json
import shutil
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from chaoskit.runtimes.docker.engine_socket import EngineSocket
from chaoskit.runtimes.docker.ownership import Owner
from chaoskit.runtimes.docker.scratch import remove_scratch
from chaoskit.runtimes.record import read_record, settle_leases, write_durably

_FOLDER = "docker"


@dataclass(frozen=True)
class JanitorRecord:
    """`<state directory>/docker/<run>.json`.

    `engine` is its URL; `folder` is the run folder; `scratch` a folder of this machine that goes when the containers
    are gone, or an empty text.
    """

    owner: Owner
    engine: str
    folder: str
    scratch: str = ""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> JanitorRecord:
        """Raises KeyError or TypeError when it is no record."""
        return cls(Owner(**data["owner"]), data["engine"], data["folder"], data["scratch"])

    @property
    def path(self) -> Path:
        """Beside the runs' folders: one of those goes away with the run's host processes, which may be earlier."""
        return Path(self.owner.state).parent.parent / _FOLDER / f"{self.owner.run}.json"

    def write(self) -> None:
        """Durable when it returns."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_durably(self.path, json.dumps(self.as_json(), indent=1))

    def forget(self) -> None:
        """Remove the record, if it is still this run's."""
        if read(self.path) == self:
            self.path.unlink(missing_ok=True)

    def remove_scratch(self) -> list[str]:
        """Remove the scratch folder; the run's containers are gone. Returns what would not go."""
        if not self.scratch:
            return []
        return remove_scratch(EngineSocket(self.engine), Path(self.scratch), self.owner.labels)

    def settle(self) -> None:
        """Settle the leases of a dead conductor and remove its state folder.

        Only when no supervisor of host processes has left a record there: it, or whoever stands in for it, does that.
        """
        state = Path(self.owner.state)
        if read_record(state) is None and state.is_dir():
            settle_leases(state, Path(self.folder))
            shutil.rmtree(state, ignore_errors=True)


def read(path: Path) -> JanitorRecord | None:
    """The record in a file; None if there is none, or it is no record."""
    try:
        return JanitorRecord.from_json(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def records(state_dir: Path | None = None) -> list[JanitorRecord]:
    """Every record of a state directory."""
    from chaoskit.run_folder import state_directory  # not at the top: it loads what a janitor has no use for

    found: list[JanitorRecord] = []
    with suppress(OSError):
        paths = sorted(((state_dir or state_directory()) / _FOLDER).glob("*.json"))
        found = [record for path in paths if (record := read(path)) is not None]
    return found
