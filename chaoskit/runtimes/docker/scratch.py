"""Removes a run's scratch folder, also what its containers have written there as root while nobody here is root."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from chaoskit.errors import EnvironmentBroken
from chaoskit.runtimes.docker.engine_socket import EngineRefused, EngineSocket

IMAGE = "debian:bookworm-slim"
_TRIES = 20
_PAUSE_S = 0.02


def remove_scratch(engine: EngineSocket, folder: Path, labels: Mapping[str, str]) -> list[str]:
    """Remove it; the run's containers are gone. Returns what would not go, and why. `labels` are the run's."""
    for _ in range(_TRIES):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return []
        time.sleep(_PAUSE_S)
    why = ""
    try:
        _empty(engine, folder, labels)
    except EnvironmentBroken as error:
        why = f" ({error}; remove it as root)"
    with suppress(OSError):
        folder.rmdir()
    return [f"folder {folder}{why}"] if folder.exists() else []


def _empty(engine: EngineSocket, folder: Path, labels: Mapping[str, str]) -> None:
    body = {
        "Image": IMAGE,
        "Entrypoint": ["find", "/scratch", "-mindepth", "1", "-delete"],
        "Labels": dict(labels),
        "HostConfig": {
            "NetworkMode": "none",
            "Mounts": [{"Type": "bind", "Source": str(folder), "Target": "/scratch"}],
        },
    }
    made = engine.call("POST", "/containers/create", body=body)["Id"]
    try:
        engine.call("POST", f"/containers/{made}/start")
        engine.call("POST", f"/containers/{made}/wait")
    finally:
        with suppress(EngineRefused):
            engine.call("DELETE", f"/containers/{made}", {"force": "true", "v": "true"})
