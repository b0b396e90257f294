"""attack.rogue-admin: somebody who may do anything changes numbers behind the application's back."""

from __future__ import annotations

import asyncio
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

_APART_S = 0.1


@register("faults", "attack.rogue-admin")
@dataclass(frozen=True)
class AttackRogueAdmin:
    """An administrator of a database adds `by` to a column of its first `rows` rows, with every trigger switched off.

    Nothing fails and no customer notices: whether anybody does is what the drill asks (`books-balance`, or an alarm of
    the system's own). The target is the primary of a database role.

    Witness: the column's total, read in another session, differs from what it was by exactly what was added. It must
    have been the same in two looks before: of a column whose total moves by itself nothing is witnessed. Balances that
    only transfers move keep theirs.
    Undo: none. It is the run's own data, and goes with the run.
    Fidelity on `local`: (and `docker`) a real superuser's session.

        timeline:
          - at: 1s
            fault: attack.rogue-admin
            on: ledger-db
            table: ledger.accounts
            column: balance
            by: 100000
    """

    table: Annotated[str, Field(description="table, or schema.table")]
    column: Annotated[str, Field(description="column of whole numbers")]
    by: Annotated[int, Field(description="what is added, negative to take away; not 0")]
    rows: Annotated[int, Field(ge=1, le=1000, description="how many rows")] = 1
    requires: ClassVar[frozenset[str]] = frozenset({"processes"})
    targets: ClassVar[Literal["service", "link"]] = "service"

    def __post_init__(self) -> None:
        tampering.identifier(self.table)
        tampering.identifier(self.column)
        if not self.by:
            raise ValueError("by is 0: nothing would change")

    def prepare(self, target: str, system: System) -> tuple[Preparation, ...]:
        """Nothing; refuses, while planning, a target that is no primary."""
        tampering.role_of_primary(target, system)
        return ()

    async def baseline(self, target: str, estate: Estate) -> tuple[int, int]:
        first = await self._total(target, estate)
        await asyncio.sleep(_APART_S)  # long enough for a total that moves by itself to show it
        return first, await self._total(target, estate)

    async def undo(self, target: str, estate: Estate) -> Undo:
        return Undo(steps=(NothingToUndo(why=f"the changed rows of {self.table} are the run's own"),))

    async def apply(self, target: str, estate: Estate) -> None:
        role = tampering.role_of_primary(target, estate.plan.system)
        await tampering.add(estate.direct(target), role, self.table, self.column, self.by, self.rows)

    async def witness(self, target: str, estate: Estate, baseline: Any) -> Witness:
        first, before = baseline
        what = f"the total of {self.table}.{self.column}"
        if first != before:
            return Witness(
                False, None, f"{what} moves by itself: {first}, then {before}, before anything was done"
            )
        try:
            now = await self._total(target, estate)
        except EngineError as error:
            return Witness(False, None, f"{what} could not be read: {error}")
        if now - before != self.by * self.rows:
            return Witness(False, None, f"{what} was {before} and is {now}, not {self.by * self.rows} more")
        return Witness(True, monotonic_ns(), f"{what}, read in another session, went from {before} to {now}")

    async def _total(self, target: str, estate: Estate) -> int:
        role = tampering.role_of_primary(target, estate.plan.system)
        return await tampering.total(estate.direct(target), role, self.table, self.column)
