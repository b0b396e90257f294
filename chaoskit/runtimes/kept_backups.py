"""Capability `backups`, as far as every runtime has it alike: generations, what a store must hold, where recovery ends.

store/<name>/<generation>/wal      every byte of log that pg_receivewal gets, from before the base backup on
                         /base     what pg_basebackup copies, with a manifest of SHA-256 sums
"""

from __future__ import annotations

import asyncio
import json
import re
import struct
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field

from psycopg.conninfo import make_conninfo

from chaoskit.engines.session import parameters
from chaoskit.errors import EnvironmentBroken
from chaoskit.model.estate import Address
from chaoskit.model.plan import Plan
from chaoskit.model.security import Kept
from chaoskit.model.system import Backup, DatabaseRole
from chaoskit.runtimes.readiness import Check, until

JOB = "backup"
SEGMENT = re.compile(r"[0-9A-F]{24}(\.partial)?")
LONG_HEADER = struct.Struct("<HHIQI4xQII")  # XLogLongPageHeaderData: the system identifier is its sixth field
FIRST_S = 10.0
"""How long the store may take until the log reaches its base backup."""


@dataclass(frozen=True)
class Stored:
    """What lies in a generation. `newest`: when the log was last added to, seconds since the epoch, 0.0 without a log.

    `manifest` is the base backup's, empty if there is none; `log` the first bytes of each piece, by its name.
    """

    files: int = 0
    size: int = 0
    newest: float = 0.0
    manifest: bytes = b""
    log: Mapping[str, bytes] = field(default_factory=dict)


class KeptBackups(ABC):
    """What was taken and restored is known to this process alone: when it ends, the estate does."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._generations: dict[str, int] = {}
        self._restored: dict[str, str] = {}

    async def begin(self) -> None:
        """The first generation of every backup that the system names."""
        for name in self._plan.system.backups:
            await self.take(name)

    async def take(self, name: str) -> Kept:
        """As the protocol says."""
        await self._stop(name)
        generation = self._generations.get(name, 0) + 1
        await self._receive(name, generation)
        self._generations[name] = generation

        async def reached() -> bool:
            return not log_gap(await self._stored(name))

        await self._until(name, reached, "the log did not reach the base backup")
        return await self.look(name)

    async def look(self, name: str) -> Kept:
        """As the protocol says."""
        stored = await self._stored(name)
        why = log_gap(stored) or await self._unverified(name)
        age_s = max(0.0, time.time() - stored.newest)
        return Kept(not why, why, stored.files, stored.size, age_s, self._generations.get(name, 0))

    def restored(self, name: str) -> str | None:
        """As the protocol says."""
        return self._restored.get(name)

    @abstractmethod
    async def _stop(self, name: str) -> None:
        """Receive no more log; harmless when none is received."""

    @abstractmethod
    async def _receive(self, name: str, generation: int) -> None:
        """Begin to receive the log, and when some of it is there, make the base backup."""

    @abstractmethod
    async def _stored(self, name: str) -> Stored:
        """What lies in the present generation; something may be added or renamed meanwhile."""

    @abstractmethod
    async def _unverified(self, name: str) -> str:
        """What pg_verifybackup has against the base backup, empty if nothing."""

    # -- for those who do it --------------------------------------------------------------------------

    def _backup(self, name: str) -> Backup:
        found = self._plan.system.backups.get(name)
        if found is None:
            known = ", ".join(self._plan.system.backups) or "none"
            raise EnvironmentBroken(f"system.yaml names no backup {name!r}; known: {known}")
        return found

    def _role(self, name: str) -> DatabaseRole:
        return self._plan.system.roles[self._backup(name).of]

    def _login(self, name: str, primary: Address) -> str:
        keys = parameters(primary, self._role(name), superuser=True)
        keys = {key: value for key, value in keys.items() if key not in ("dbname", "client_encoding")}
        return make_conninfo("", **{**keys, "application_name": f"chaoskit-{JOB}"})

    async def _until(self, name: str, there: Check, otherwise: str) -> None:
        """Other programs write the store, and tell nobody."""
        try:
            await until(there, asyncio.Event(), FIRST_S)
        except TimeoutError:
            raise EnvironmentBroken(
                f"backup {name}: {otherwise} within {FIRST_S:g} s; see logs/{JOB}-{name}.log"
            ) from None


def slot(generation: int) -> str:
    """The replication slot of a generation: no checkpoint removes what was not received yet."""
    return f"chaoskit_{JOB}_{generation}"


def recovery_settings(restore_command: str, lsn: str) -> str:
    """Lines of postgresql.auto.conf with which a base backup recovers up to `lsn` and becomes a primary."""
    lines = (
        f"restore_command = '{restore_command.replace(chr(39), chr(39) * 2)}'",
        f"recovery_target_lsn = '{lsn}'",
        "recovery_target_timeline = 'current'",
        "recovery_target_action = 'promote'",
    )
    return "\n".join(lines) + "\n"


def log_gap(stored: Stored) -> str:
    """What is wrong with the log, empty if nothing: it must begin no later than the backup, each piece follow the one
    before, and be a log of the same server."""
    if not stored.manifest:
        return "the base backup has no manifest"
    try:
        manifest = json.loads(stored.manifest)
        begins = manifest["WAL-Ranges"][0]
        identifier = int(manifest["System-Identifier"])
    except (ValueError, KeyError, IndexError, TypeError) as error:
        return f"the base backup's manifest cannot be read: {type(error).__name__}: {error}"
    pieces = sorted(name for name in stored.log if SEGMENT.fullmatch(name))
    # pg_receivewal makes the next piece, all zeros, when it has finished one, and not when it has something for it.
    if pieces and pieces[-1].endswith(".partial") and not any(stored.log[pieces[-1]][: LONG_HEADER.size]):
        pieces.pop()
    if not pieces:
        return "there is no log beside the base backup"
    size = 0
    numbers = []
    for name in pieces:
        head = stored.log[name][: LONG_HEADER.size]
        if len(head) < LONG_HEADER.size:
            return f"{name} is cut short"
        _, _, _, _, _, said, size, _ = LONG_HEADER.unpack(head)
        if said != identifier or not size:
            return f"{name} is no log of this server"
        numbers.append(int(name[8:16], 16) * (2**32 // size) + int(name[16:24], 16))
    high, low = (int(part, 16) for part in begins["Start-LSN"].split("/"))
    first = ((high << 32) + low) // size
    if numbers[-1] < first:
        return f"the log ends with {pieces[-1]}, before the base backup's {begins['Start-LSN']}"
    if numbers[0] > first:
        return f"the log begins with {pieces[0]}, after the base backup's {begins['Start-LSN']}"
    if numbers != list(range(numbers[0], numbers[0] + len(numbers))):
        return f"a piece of the log is missing between {pieces[0]} and {pieces[-1]}"
    return ""
