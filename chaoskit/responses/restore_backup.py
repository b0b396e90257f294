"""restore-backup: a wrecked database is restored into empty directories, up to where it is known to be sound."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, ClassVar

from pydantic import Field

from chaoskit.clock import elapsed_ms, monotonic_ns
from chaoskit.engines import redundancy, roll_out, tree
from chaoskit.engines.damage import in_words, marked_rows
from chaoskit.engines.http_exchange import NoAnswer, ask_json
from chaoskit.engines.postgresql import PostgreSQL
from chaoskit.engines.restore_point import proof_of
from chaoskit.engines.session import EngineError
from chaoskit.errors import EnvironmentBroken, ServiceDown
from chaoskit.model.estate import Estate
from chaoskit.model.member import ResponseContext, ResponseFailed, refuse_services
from chaoskit.model.plan import PlannedStep
from chaoskit.model.security import SAID_BY_BACKUP, RestorePoint, backup_named, security
from chaoskit.model.system import Backup, DatabaseRole, System
from chaoskit.quantity import Duration
from chaoskit.registry import register

_LSN = re.compile(r"[0-9A-F]{1,8}/[0-9A-F]{1,8}")
_DEAD_S = 10.0
_WITHIN = Duration.parse("60s")


@register("responses", "restore-backup")
@dataclass(frozen=True)
class RestoreBackup:
    """The database of a backup of system.yaml is restored up to the last point at which it was sound.

    1. Verify, before anything is touched: every file of the base backup against its checksum, the log for gaps. A
       backup that is not sound is not used, and the database stays as it is.
    2. Find the point in time: the system's own evidence (`restore-point:` of the backup), never chaoskit's records.
       With `before: RELEASE` it is what the latest roll-out of that release noted before its first change: for one that
       writes what the old version cannot read, which no evidence of damage tells of. Take the code back first.
    3. Empty environment. Both members are ended, their data put away, the primary's directory made from the base
       backup; it recovers from the log up to that point and becomes the primary.
    4. Prove. The backup's `proof:` query must give what the system saw then, and no row may bear an attacker's mark.
    5. Make the standby anew, as a copy of what was restored.

    Nobody is let in: that is `reopen`. How long each part took is recorded; `restored-from-backup` judges it.
    Fidelity on `local`: PostgreSQL's own tools; the store is a folder of the run's, on the same disk.
    Fidelity on `docker`: the same in containers; the store is a volume of the run's. The data in the stopped
    containers' volumes is replaced: what was there is gone, as to copy it elsewhere would take the customers' time.

        timeline:
          - when: {done: isolate}
            respond: restore-backup
            backup: books
    """

    before: Annotated[
        str | None,
        Field(description="a release of system.yaml: restored to the instant before its roll-out"),
    ] = None
    backup: Annotated[
        str | None, Field(description="which of `backups:` in system.yaml; not needed where there is one")
    ] = None
    within: Annotated[Duration, Field(description="deadline of laying the backup, and of the recovery")] = (
        _WITHIN
    )
    requires: ClassVar[frozenset[str]] = frozenset({"backups", "lifecycle", "processes", "links", "releases"})
    destroys_data: ClassVar[bool] = True  # what was booked since its point
    mends_books: ClassVar[bool] = True

    def check(self, on: Sequence[str], system: System) -> None:
        """Raises ValueError, while planning, for a backup that is not there, or of which nothing says up to where."""
        refuse_services(on, SAID_BY_BACKUP)
        name, backup = backup_named(self.backup, system)
        if self.before is not None and self.before not in system.releases:
            known = ", ".join(system.releases) or "none"
            raise ValueError(
                f"`before: {self.before}` must be one of system.yaml's `releases:`; known: {known}"
            )
        if backup.restore_point is None:
            raise ValueError(
                f"the backup {name} names no `restore-point:`: nothing says up to where it was sound"
            )

    def check_order(self, earlier: Sequence[PlannedStep]) -> None:
        """Raises ValueError, while planning, where the release to go back before was not rolled out."""
        rolled = roll_out.planned(earlier)
        if self.before is not None and self.before not in rolled:
            known = ", ".join(sorted(rolled)) or "none"
            raise ValueError(
                f"`before: {self.before}`: no roll-out of it comes before this; rolled out by then: {known}"
            )

    async def run(self, on: Sequence[str], context: ResponseContext) -> None:
        name, backup = backup_named(self.backup, context.estate.plan.system)
        estate, begun = context.estate, monotonic_ns()
        role = estate.plan.system.roles[backup.of]
        kept = await security(estate).backups.look(name)
        context.record("verified", backup=name, **kept.facts(), after_ms=elapsed_ms(begun))
        if not kept.sound:
            raise ResponseFailed(f"the backup {name} cannot be used, and nothing was touched: {kept.why}")
        point = await _point(backup, estate) if self.before is None else _noted(self.before, name, estate)
        goal = {"lsn": point.lsn, "at_ns": point.at_ns, "before": self.before}
        context.record("point", at=point.at, after_ms=elapsed_ms(begun), **goal)
        # Recovery cannot end at a point with no log behind it; a wrecked database may refuse, but was written to.
        with suppress(EngineError, ServiceDown):  # or is dead, and then its log ends where it ended
            await PostgreSQL(estate.direct(role.primary), role).committed_write()
        try:
            await self._restore(name, role, point, context, begun)
            found = await _prove(backup, role, point, estate)
        except (EngineError, EnvironmentBroken) as error:
            raise ResponseFailed(f"{role.primary} could not be restored: {error}") from error
        if role.standby is not None:
            await estate.lifecycle.start(role.standby)
            if await redundancy.until_follows(role, estate, 0, self.within.s) is None:
                raise ResponseFailed(
                    f"{role.primary} is restored, and {role.standby} was started and did not stream from it within "
                    f"{self.within}"
                )
        context.record(
            "restored",
            backup=name,
            service=role.primary,
            proof=found,
            expected=point.proof,
            redundant=role.standby is not None,
            after_ms=elapsed_ms(begun),
            **goal,
        )

    async def _restore(
        self, name: str, role: DatabaseRole, point: RestorePoint, context: ResponseContext, begun: int
    ) -> None:
        estate, backups = context.estate, security(context.estate).backups
        for member in (role.primary, role.standby):
            if member is not None:
                # What is wrecked is ended, not shut down: nothing of it is wanted any more.
                killed = await estate.processes.kill(member, revive=False)
                if await tree.until(estate.processes, killed, frozenset({"gone"}), _DEAD_S) is None:
                    raise ResponseFailed(f"{member} was killed and is still there after {_DEAD_S:g} s")
                await estate.links.mirror(member, "refused")
        try:
            async with asyncio.timeout(self.within.s):
                await backups.lay(name, point.lsn, point.at)
        except TimeoutError:
            raise ResponseFailed(
                f"the backup {name} was not laid within {self.within}, and was given up; raise `within`"
            ) from None
        context.record("laid", service=role.primary, after_ms=elapsed_ms(begun))
        await estate.lifecycle.start(role.primary)
        await self._until_open(PostgreSQL(estate.direct(role.primary), role))
        await backups.settle(name)
        context.record("recovered", service=role.primary, lsn=point.lsn, after_ms=elapsed_ms(begun))

    async def _until_open(self, server: PostgreSQL) -> None:
        deadline = monotonic_ns() + self.within.ns
        while await server.in_recovery(self.within.s):
            if monotonic_ns() > deadline:
                raise ResponseFailed(f"the database was still in recovery after {self.within}")
            await asyncio.sleep(0.02)  # another process ends recovery, and there is no event to wait for


def _noted(release: str, backup: str, estate: Estate) -> RestorePoint:
    """Where the log stood before the latest roll-out of a release, by that roll-out's own note."""
    found = [one for one in roll_out.begun(estate) if one.name == release]
    if not found:
        raise ResponseFailed(f"{release} was not rolled out in this run: there is no point before it")
    if backup not in found[-1].noted:
        why = found[-1].unnoted or "it has not begun yet"
        raise ResponseFailed(f"the roll-out of {release} noted no point before it: {why}")
    return found[-1].noted[backup]


async def _point(backup: Backup, estate: Estate) -> RestorePoint:
    assert backup.restore_point is not None  # `check`
    service, _, path = backup.restore_point.partition("/")
    try:
        told = await ask_json(estate.direct(service), path)
    except NoAnswer as error:
        raise ResponseFailed(f"nobody says up to where the data was sound: {error}") from error
    try:
        moment = datetime.fromisoformat(told["at"]).astimezone(UTC)
        point = RestorePoint(
            str(told["lsn"]),
            monotonic_ns() - (time.time_ns() - int(moment.timestamp() * 1e9)),
            moment.isoformat(),
            told["horizon"],
            str(told["proof"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ResponseFailed(
            f"{backup.restore_point} answers without lsn, at, horizon or proof: {error!r}"
        ) from error
    if told["proof"] in (None, ""):
        raise ResponseFailed(f"{backup.restore_point} answers without a proof: nothing says what was sound")
    if not _LSN.fullmatch(point.lsn):
        raise ResponseFailed(f"{backup.restore_point} answers {point.lsn!r}, which is no position in the log")
    return point


async def _prove(backup: Backup, role: DatabaseRole, point: RestorePoint, estate: Estate) -> str:
    """What the proof says of the restored database. Raises ResponseFailed where it is not what was seen."""
    found = await proof_of(backup, estate, point.horizon)
    if found != point.proof:
        raise ResponseFailed(
            f"restored to {point.lsn}, and it is not what was there: {found}, not {point.proof}"
        )
    damage = await marked_rows(estate.direct(role.primary), role)
    if damage:
        raise ResponseFailed(f"restored to {point.lsn}, and the damage is in it: {in_words(damage)}")
    return found
