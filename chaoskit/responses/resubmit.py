"""resubmit: what the system accepted after the point that its database was restored to is sent again, by key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import Field

from chaoskit.clock import elapsed_ms, monotonic_ns
from chaoskit.engines.http_exchange import NoAnswer, ask_json, key_lists
from chaoskit.model.member import ResponseContext, ResponseFailed, refuse_services
from chaoskit.model.plan import PlannedStep
from chaoskit.model.security import SAID_BY_BACKUP, backup_named, security
from chaoskit.model.system import System
from chaoskit.quantity import Duration
from chaoskit.registry import register

_WITHIN = Duration.parse("60s")
_LISTS = ("resubmitted", "replayed", "refused", "unknown")


@register("responses", "resubmit")
@dataclass(frozen=True)
class Resubmit:
    """The system sends again, under their keys, the operations it has accepted since the restore point.

    It does so from a journal of its own, kept outside the database that was lost (`resubmit:` of the
    backup). What the restored database had not is carried out, what it had is left as it is: none twice. The keys are
    recorded; chaoskit's own records only judge the outcome (`restored-from-backup`, `nothing-lost`, `nothing-doubled`).

    Fidelity on `local` and `docker`: the system's own journal and its own code.

        timeline:
          - when: {done: reopen}
            respond: resubmit
            backup: books
    """

    backup: Annotated[
        str | None, Field(description="which of `backups:` in system.yaml; not needed where there is one")
    ] = None
    within: Annotated[Duration, Field(description="deadline")] = _WITHIN
    requires: ClassVar[frozenset[str]] = frozenset({"backups"})
    mends_books: ClassVar[bool] = True

    def check(self, on: Sequence[str], system: System) -> None:
        """Raises ValueError, while planning, for a backup that is not there, or one without a journal behind it."""
        refuse_services(on, SAID_BY_BACKUP)
        name, backup = backup_named(self.backup, system)
        if backup.resubmit is None:
            raise ValueError(f"the backup {name} names no `resubmit:`, so nobody can send anything again")

    def check_order(self, earlier: Sequence[PlannedStep]) -> None:
        """Raises ValueError, while planning, where nothing was restored before."""
        if not any(step.name == "restore-backup" for step in earlier):
            raise ValueError(
                "`resubmit` sends again what a restore has cost, and no `restore-backup` comes before it"
            )

    async def run(self, on: Sequence[str], context: ResponseContext) -> None:
        estate, begun = context.estate, monotonic_ns()
        name, backup = backup_named(self.backup, estate.plan.system)
        assert backup.resubmit is not None  # `check`
        since = security(estate).backups.restored(name)
        if since is None:
            raise ResponseFailed(f"{name} was not restored: there is nothing to send again")
        try:
            service, _, path = backup.resubmit.partition("/")
            told = await ask_json(estate.direct(service), path, {"since": since}, self.within.s)
            lists = key_lists(told, _LISTS)
        except NoAnswer as error:
            raise ResponseFailed(f"nothing is known to have been sent again: {error}") from error
        context.record("resubmitted", since=since, after_ms=elapsed_ms(begun), **lists)
        if lists["unknown"]:
            raise ResponseFailed(
                f"{len(lists['unknown'])} operations are in doubt again: send them once more"
            )
