"""The wall clock that a service sees: libfaketime from this machine's package, told by a file what time it is.

The service's programs load the library from the start, on a clock that shows the real time; moving it is writing a
file of the run that they read at least once a second. Monotonic clocks are not touched, nor is any clock outside.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from docker.types import Mount

from chaoskit.errors import EnvironmentBroken
from chaoskit.model.preparation import ClockPreparation
from chaoskit.runtimes.docker.engine import Engine
from chaoskit.runtimes.docker.hand import Hand
from chaoskit.runtimes.docker.processes import DockerProcesses

_LIBRARIES = ("/usr/lib/*/faketime/libfaketimeMT.so.1", "/usr/lib*/faketime/libfaketimeMT.so.1")
_INSIDE = "/chaoskit-clock"
_LIBRARY = f"{_INSIDE}/libfaketime.so.1"
_INITS = frozenset({"docker-init", "tini", "dumb-init", "catatonit"})
_NOW = "now"
_REAL = "+0"


def library() -> Path:
    """Where this machine has libfaketime. Raises EnvironmentBroken with the remedy."""
    for pattern in _LIBRARIES:
        for found in sorted(Path("/").glob(pattern.lstrip("/"))):
            return found.resolve()
    raise EnvironmentBroken("clock.skew needs libfaketime on this machine: apt-get install libfaketime")


def prepare_clock(wanted: ClockPreparation, folder: Path) -> Path:
    """Make the file that tells the service the time: the real one, until it is moved. Returns its folder."""
    place = folder / "clocks" / wanted.service
    place.mkdir(parents=True, exist_ok=True)
    place.chmod(0o755)
    _tell(place, _REAL)
    return place


def clock_mounts(place: Path) -> list[Any]:
    """Both read-only: the library, and the folder of the file, whose content is replaced and not rewritten."""
    return [
        Mount(_LIBRARY, str(library()), type="bind", read_only=True),
        Mount(f"{_INSIDE}/told", str(place.resolve()), type="bind", read_only=True),
    ]


def clock_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The service's own, with the library before whatever it preloads already."""
    return {
        **environment,
        "LD_PRELOAD": ":".join(filter(None, (_LIBRARY, environment.get("LD_PRELOAD")))),
        "FAKETIME_TIMESTAMP_FILE": f"{_INSIDE}/told/{_NOW}",
        "FAKETIME_CACHE_DURATION": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_DONT_RESET": "1",
    }


class DockerClocks:
    """Capability `clocks`: of the services whose clock the run has prepared."""

    def __init__(
        self, engine: Engine, hand: Hand, processes: DockerProcesses, places: Mapping[str, Path]
    ) -> None:
        self._engine = engine
        self._hand = hand
        self._processes = processes
        self._places = dict(places)

    async def skew(self, service: str, offset_ns: int) -> None:
        """From now on, at the latest in a second, the service's clock is so far ahead (behind if negative)."""
        _tell(self._place(service), f"{offset_ns / 1e9:+.3f}")

    def restore(self, service: str) -> None:
        """The machine's time again."""
        _tell(self._place(service), _REAL)

    async def read(self, service: str) -> tuple[int, str]:
        """By `date`, run in the container with the service's own environment; it speaks for programs that have loaded
        the library as it has, and for no other."""
        container = next((one for one in self._processes.containers(service) if one.pid), None)
        if container is None:
            raise EnvironmentBroken(f"{service} has no container that runs, so it has no clock")
        if unmoved := await self._without_library(service):
            raise EnvironmentBroken(
                f"{', '.join(unmoved)} runs without the library (linked statically, or started without LD_PRELOAD), so "
                "that `date` beside it would not show its clock"
            )
        began = time.time_ns()
        out = await self._engine.do(f"run `date` in {service}", _date(self._engine, container.id))
        ended = time.time_ns()
        words = out.decode(errors="replace").strip()
        try:
            seconds, nanoseconds = words.splitlines()[-1].split(".")
            told = int(seconds) * 10**9 + int(nanoseconds)
        except (ValueError, IndexError):
            raise EnvironmentBroken(f"`date` does not tell the time in {service}: {words[:200]}") from None
        return told - (began + ended) // 2, "`date` in its container"

    async def _without_library(self, service: str) -> list[str]:
        """Programs of the service that are on the machine's own clock; an init that only minds others is none."""
        tree = await self._processes.tree(service)
        maps = {f"/proc/{one.pid}/maps": one for one in tree}
        if not maps:
            return []
        # The map of a process that is just ending is empty: that it is still there is asked after.
        done = await self._hand.run(["grep", "-Ls", Path(_LIBRARY).name, *maps])
        found = [maps[line] for line in done.stdout.decode().splitlines() if line in maps]
        return [
            f"{name} (pid {one.pid})"
            for one in found
            if self._processes.state(one) != "gone" and (name := _name(one.pid)) not in _INITS
        ]

    def _place(self, service: str) -> Path:
        place = self._places.get(service)
        if place is None:
            raise EnvironmentBroken(
                f"the clock of {service} was not prepared at the start: it cannot be moved"
            )
        return place


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return "?"


def _date(engine: Engine, container: str) -> Callable[[], bytes]:
    def run() -> bytes:
        api = engine.client.api
        made = api.exec_create(container, ["date", "+%s.%N"])
        out: bytes = api.exec_start(made["Id"])
        return out

    return run


def _tell(place: Path, offset: str) -> None:
    partial = place / f".{_NOW}"
    partial.write_text(offset + "\n", encoding="ascii")
    partial.chmod(0o644)
    partial.replace(place / _NOW)
