"""mistake.wrong-command: an operator empties a table, in the wrong database."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from chaoskit.clock import monotonic_ns
from chaoskit.engines import tampering
from chaoskit.engines.session import EngineError
from chaoskit.model.estate import Estate
from chaoskit.model.lease import NothingToUndo, Undo
from chaoskit.model.member import Witness
from chaoskit.model.preparation import Preparation
from chaoskit.model.system import System
from chaoskit.registry import register


@register("faults", "mistake.wrong-command")
@dataclass(frozen=True)
class MistakeWrongCommand:
    """An operator truncates a table, with triggers and foreign keys switched off as in a script that loads test data.

    The application goes on, on what is left. A standby follows at once; only a backup has the rows. The target is
    the primary of a database role.

    Witness: the table, read in another session, has fewer rows than it had before.
    Undo: none. It is the run's own data; `restore-backup` brings it back.
    Fidelity on `local`: (and `docker`) a real superuser's TRUNCATE, which waits for its lock like anybody.

        timeline:
          - at: 1s
            fault: mistake.wrong-command
            on: ledger-db
            truncate: ledger.entries
    """

    truncate: Annotated[str, Field(description="table, or schema.table, that is emptied")]
    requires: ClassVar[frozenset[str]] = frozenset({"processes"})
    targets: ClassVar[Literal["service", "link"]] = "service"

    def __post_init__(self) -> None:
        tampering.identifier(self.truncate)

    def prepare(self, target: str, system: System) -> tuple[Preparation, ...]:
        """Nothing; refuses, while planning, a target that is no primary."""
        tampering.role_of_primary(target, system)
        return ()

    async def baseline(self, target: str, estate: Estate) -> int:
        return await self._rows(target, estate)

    async def undo(self, target: str, estate: Estate) -> Undo:
        why = f"the rows of {self.truncate} are gone; a backup has them"
        return Undo(steps=(NothingToUndo(why=why, dies=False),))

    async def apply(self, target: str, estate: Estate) -> None:
        role = tampering.role_of_primary(target, estate.plan.system)
        await tampering.truncate(estate.direct(target), role, self.truncate)

    async def witness(self, target: str, estate: Estate, baseline: Any) -> Witness:
        before: int = baseline
        try:
            now = await self._rows(target, estate)
        except EngineError as error:
            return Witness(False, None, f"{self.truncate} could not be read: {error}")
        if now >= before:
            return Witness(False, None, f"{self.truncate} had {before} rows and has {now}")
        return Witness(
            True, monotonic_ns(), f"{self.truncate}, read in another session, has {now} of {before} rows"
        )

    async def _rows(self, target: str, estate: Estate) -> int:
        role = tampering.role_of_primary(target, estate.plan.system)
        return await tampering.count(estate.direct(target), role, self.truncate)
