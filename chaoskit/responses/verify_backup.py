"""verify-backup: somebody looks at the backup before it is needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import Field

from chaoskit.clock import elapsed_ms, monotonic_ns
from chaoskit.model.member import ResponseContext, ResponseFailed, refuse_services
from chaoskit.model.security import SAID_BY_BACKUP, backup_named, security
from chaoskit.model.system import System
from chaoskit.quantity import Duration
from chaoskit.registry import register

_MAX_AGE = Duration.parse("30s")


@register("responses", "verify-backup")
@dataclass(frozen=True)
class VerifyBackup:
    """Every file of a backup is checked against its checksum, its log for gaps, and how old the log is.

    What was seen is recorded, so that a restore later in the run can be told from what was known before. Fails where
    the backup is not sound, or where the log was last added to longer ago than `max-age`. Nothing comes back by it.

    Fidelity on `local` and `docker`: PostgreSQL's own `pg_verifybackup`; the log by its names, order and headers. On
    `docker` the age is known to a second.

        timeline:
          - at: 0s
            respond: verify-backup
            max-age: 10s
    """

    backup: Annotated[
        str | None, Field(description="which of `backups:` in system.yaml; not needed where there is one")
    ] = None
    max_age: Annotated[Duration, Field(description="how long ago the log may have been added to")] = _MAX_AGE
    requires: ClassVar[frozenset[str]] = frozenset({"backups"})
    recovers: ClassVar[bool] = False

    def check(self, on: Sequence[str], system: System) -> None:
        """Raises ValueError, while planning, for a backup that the system does not have."""
        refuse_services(on, SAID_BY_BACKUP)
        backup_named(self.backup, system)

    async def run(self, on: Sequence[str], context: ResponseContext) -> None:
        begun = monotonic_ns()
        name, _ = backup_named(self.backup, context.estate.plan.system)
        kept = await security(context.estate).backups.look(name)
        context.record("backup-verified", backup=name, **kept.facts(), after_ms=elapsed_ms(begun))
        if not kept.sound:
            raise ResponseFailed(f"the backup {name} could not be restored from: {kept.why}")
        if kept.age_s > self.max_age.s:
            raise ResponseFailed(
                f"the log of the backup {name} was added to {kept.age_s:.1f} s ago, not within {self.max_age}: what "
                "came since is in no backup"
            )
