"""What a runtime offers so that an attack can be drilled: a place beside a victim, backups, secrets that change.

Each protocol is a capability of its name; a step that requires one is refused while planning where it is not offered.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Protocol, cast

from chaoskit.model.estate import Estate
from chaoskit.model.system import Backup, System


def isolating(service: str) -> str:
    """In whose name the links of an isolated service are cut: no fault that ends meanwhile connects them, nor does a
    neighbour that is opened again before it."""
    return f"isolate {service}"


@dataclass(frozen=True)
class Bounds:
    """What is the run's own, as seen from a service's place: hosts (patterns as a shell's), folders of backups."""

    hosts: tuple[str, ...]
    stores: tuple[str, ...]


class Positions(Protocol):
    """Capability `positions`: a program in a service's place, with its environment and the links that it sees."""

    async def enter(self, service: str, name: str, module: str, orders: bytes) -> None:
        """Start that Python module with its orders on stdin, once under that name; its output goes to logs/<name>.log.

        It ends with the run at the latest, whatever becomes of the conductor.
        """
        ...

    async def leave(self, name: str) -> None:
        """End it with all its children; harmless when it never began or is gone."""
        ...

    def environment(self, service: str) -> dict[str, str]:
        """What the service was told when it was started last."""
        ...

    def bounds(self, service: str) -> Bounds:
        """Nothing outside may be touched."""
        ...


@dataclass(frozen=True)
class Kept:
    """What lies in the store of a backup. `age_s`: since the log was last added to; `why` says what is unsound."""

    sound: bool
    why: str
    files: int
    bytes: int
    age_s: float
    generation: int

    def facts(self) -> dict[str, Any]:
        """For an event."""
        return {**asdict(self), "age_s": round(self.age_s, 3)}


@dataclass(frozen=True)
class RestorePoint:
    """Up to where a database was sound. `at_ns` is CLOCK_MONOTONIC; `proof` is what the proof's query says of it."""

    lsn: str
    at_ns: int
    at: str
    horizon: Any
    proof: str


class Backups(Protocol):
    """Capability `backups`: what `backups:` of system.yaml names. Raises EnvironmentBroken."""

    async def look(self, name: str) -> Kept:
        """Every file of the base backup against its checksum, and the log for gaps. Touches nothing."""
        ...

    async def lay(self, name: str, lsn: str, at: str) -> None:
        """Replace the data of the role's dead primary by the backup, to be recovered up to `lsn` at its next start,
        and empty its standby; what was there is set aside or gone. `at`: when that was, for `restored`."""
        ...

    def restored(self, name: str) -> str | None:
        """`at` of the point up to which it was restored last."""
        ...

    async def settle(self, name: str) -> None:
        """The recovery has ended: settings are what they were, so that copies of it begin as usual."""
        ...

    async def take(self, name: str) -> Kept:
        """Begin a new generation: log first, then a base backup of the primary as it is now."""
        ...


class Secrets(Protocol):
    """Capability `secrets`: what services are told when they start."""

    def replace(self, old: str, new: str) -> None:
        """From its next start on, every service is told `new` where its environment says `old`."""
        ...


class Security(Estate, Protocol):
    """An estate that offers `positions`, `backups` and `secrets`."""

    @property
    def positions(self) -> Positions: ...

    @property
    def backups(self) -> Backups: ...

    @property
    def secrets(self) -> Secrets: ...


def security(estate: Estate) -> Security:
    """The estate as one that offers them; `requires` has seen to it."""
    return cast(Security, estate)


SAID_BY_BACKUP = "what is looked at, restored or sent again is said by the backup"


def backup_named(wanted: str | None, system: System) -> tuple[str, Backup]:
    """The backup that a step means: the one it names, or the only one. Raises ValueError, first while planning."""
    known = system.backups
    name = wanted if wanted is not None else next(iter(known), "") if len(known) == 1 else ""
    if name not in known:
        raise ValueError(
            f"`backup: {wanted or '…'}` must be one of system.yaml's `backups:`; known: {', '.join(known) or 'none'}"
        )
    return name, known[name]
