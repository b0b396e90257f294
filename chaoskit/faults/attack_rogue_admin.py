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
Totals = tuple[int, ...]  # of the columns, in their order


@register("faults", "attack.rogue-admin")
@dataclass(frozen=True)
class AttackRogueAdmin:
    """An administrator of a database adds `by` to a column of its first `rows` rows, with every trigger switched off.

    Nothing fails and no customer notices: whether anybody does is what the drill asks (`books-balance`, or an alarm of
    the system's own, `tampering-noticed`). With `also`, he covers his tracks: other columns of the same rows get the
    same, so that rows which are compared with one another still agree. The target is the primary of a database role.

    Witness: the column's total (and that of each of `also`), read in another session, differs from what it was by
    exactly what was added. It must have been the same in two looks before: of a column whose total moves by itself
    nothing is witnessed. Balances that only transfers move keep theirs.
    Undo: none. It is the run's own data, and goes with the run.
    Fidelity on `local`: (and `docker`) a real superuser's session.

        timeline:
          - at: 1s
            fault: attack.rogue-admin
            on: ledger-db
            table: ledger.accounts
            column: balance
            also: [opening]
            by: 100000
    """

    table: Annotated[str, Field(description="table, or schema.table")]
    column: Annotated[str, Field(description="column of whole numbers")]
    by: Annotated[int, Field(description="what is added, negative to take away; not 0")]
    rows: Annotated[int, Field(ge=1, le=1000, description="how many rows")] = 1
    also: Annotated[
        tuple[str, ...], Field(max_length=8, description="more columns of the rows that get the same")
    ] = ()
    requires: ClassVar[frozenset[str]] = frozenset({"processes"})
    targets: ClassVar[Literal["service", "link"]] = "service"

    def __post_init__(self) -> None:
        tampering.identifier(self.table)
        for column in self._columns:
            tampering.identifier(column)
        if len(set(self._columns)) < len(self._columns):
            raise ValueError("also names a column twice")
        if not self.by:
            raise ValueError("by is 0: nothing would change")

    def prepare(self, target: str, system: System) -> tuple[Preparation, ...]:
        """Nothing; refuses, while planning, a target that is no primary."""
        tampering.role_of_primary(target, system)
        return ()

    @property
    def _columns(self) -> tuple[str, ...]:
        return (self.column, *self.also)

    async def baseline(self, target: str, estate: Estate) -> tuple[Totals, Totals]:
        first = await self._totals(target, estate)
        await asyncio.sleep(_APART_S)  # long enough for a total that moves by itself to show it
        return first, await self._totals(target, estate)

    async def undo(self, target: str, estate: Estate) -> Undo:
        why = f"the changed rows of {self.table} are the run's own"
        return Undo(steps=(NothingToUndo(why=why, dies=False),))

    async def apply(self, target: str, estate: Estate) -> None:
        role = tampering.role_of_primary(target, estate.plan.system)
        await tampering.add(estate.direct(target), role, self.table, self._columns, self.by, self.rows)

    async def witness(self, target: str, estate: Estate, baseline: Any) -> Witness:
        first, before = baseline
        try:
            now = await self._totals(target, estate)
        except EngineError as error:
            return Witness(False, None, f"the totals of {self.table} could not be read: {error}")
        said = []
        for column, earlier, was, is_ in zip(self._columns, first, before, now, strict=True):
            what = f"the total of {self.table}.{column}"
            if earlier != was:
                why = f"{what} moves by itself: {earlier}, then {was}, before anything was done"
                return Witness(False, None, why)
            if is_ - was != self.by * self.rows:
                return Witness(False, None, f"{what} was {was} and is {is_}, not {self.by * self.rows} more")
            said.append(f"{what}, read in another session, went from {was} to {is_}")
        return Witness(True, monotonic_ns(), "; ".join(said))

    async def _totals(self, target: str, estate: Estate) -> Totals:
        role = tampering.role_of_primary(target, estate.plan.system)
        address = estate.direct(target)
        return tuple([await tampering.total(address, role, self.table, column) for column in self._columns])
