"""attack.ransomware: somebody in a service's place wrecks whatever its log-ins and links reach, until he is cut off."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from chaoskit.clock import monotonic_ns
from chaoskit.engines.damage import in_words, marked_rows
from chaoskit.engines.grip import members_behind
from chaoskit.engines.session import EngineError
from chaoskit.model.estate import Estate
from chaoskit.model.lease import IntruderUndo, NothingToUndo, Undo
from chaoskit.model.member import Witness
from chaoskit.model.preparation import Preparation
from chaoskit.model.security import security
from chaoskit.model.system import System
from chaoskit.quantity import Duration
from chaoskit.registry import register

_WITHIN_S = 15.0
_LOOK_S = 0.05
_EVERY = Duration.parse("100ms")


@register("faults", "attack.ransomware")
@dataclass(frozen=True)
class AttackRansomware:
    """A program in a service's place makes rows unreadable and destroys the backups it can reach, and does not stop.

    It has what the service has: its environment, and the addresses that its links lead to. With every PostgreSQL
    log-in that it finds there it connects through those links, drops the rules of every table that the log-in
    owns, and overwrites rows, `rows` of one table every `every`. Folders of the run's backup store that a variable
    names are wrecked as well. Cut off, it goes on trying; let in again, it goes on wrecking. What replicates follows.

    Witness: the database behind the victim's links, read directly and as its superuser, has rows that bear the mark,
    and had none before.
    Undo: the program is ended, and dies with the run in any case, also when chaoskit itself is killed. The damage to
    the run's own data is not undone: that is what `restore-backup` is for.
    Fidelity on `local`: a real program with real log-ins over the links' real proxies. Nothing but its own code keeps
    it to the run's addresses and folders: the machine's other processes share its user and its network.
    Fidelity on `docker`: a container of its own, in the victim's network namespace, with its user, its environment and
    its volumes (to be read only, but for a store of backups) and nothing else of the machine. When the victim's
    container ends, so does its network: the program is put into the next one, and knows what it knew. Of several
    replicas the first one's place is taken; the image must have `sh` and `python3` with psycopg.

        timeline:
          - at: 1s
            id: attack
            fault: attack.ransomware
            on: ledger
    """

    rows: Annotated[int, Field(ge=1, le=1000, description="rows that one batch overwrites")] = 25
    every: Annotated[Duration, Field(description="pause between batches, from 20ms")] = _EVERY
    requires: ClassVar[frozenset[str]] = frozenset({"positions", "links"})
    targets: ClassVar[Literal["service", "link"]] = "service"
    destroys_data: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not 20_000_000 <= self.every.ns <= 60_000_000_000:
            raise ValueError(f"every is {self.every}; from 20ms to 60s")

    def prepare(self, target: str, system: System) -> tuple[Preparation, ...]:
        """Nothing; ValueError for a service in whose place nobody could damage a row."""
        if not members_behind(system, target):
            raise ValueError(f"no link of {target} leads to a database: who sits there can damage no row")
        return ()

    async def baseline(self, target: str, estate: Estate) -> dict[str, dict[str, int]]:
        return {
            member: await marked_rows(estate.direct(member), role)
            for member, role in members_behind(estate.plan.system, target)
        }

    async def undo(self, target: str, estate: Estate) -> Undo:
        why = "rows and backups that he has wrecked are the run's own and stay so; restore-backup is for that"
        return Undo(steps=(IntruderUndo(name=_name(target)), NothingToUndo(why=why, dies=False)))

    async def apply(self, target: str, estate: Estate) -> None:
        positions = security(estate).positions
        bounds = positions.bounds(target)
        orders = {
            "hosts": bounds.hosts,
            "stores": bounds.stores,
            "rows": self.rows,
            "every_ms": self.every.ns // 1_000_000,
        }
        await positions.enter(target, _name(target), "chaoskit.intruder", json.dumps(orders).encode())

    async def witness(self, target: str, estate: Estate, baseline: Any) -> Witness:
        before: dict[str, dict[str, int]] = baseline
        members = members_behind(estate.plan.system, target)
        if not members:
            return Witness(False, None, f"no link of {target} leads to a database: nothing can be damaged")
        if marked := {member: rows for member, rows in before.items() if rows}:
            return Witness(
                False, None, f"there was damage before: {', '.join(map(in_words, marked.values()))}"
            )
        deadline = monotonic_ns() + int(_WITHIN_S * 1e9)
        why = "no row bears the mark"
        while monotonic_ns() < deadline:
            for member, role in members:
                try:
                    damage = await marked_rows(estate.direct(member), role)
                except EngineError as error:
                    why = str(error)
                    continue
                if damage:
                    how = f"{member}, read directly, has {in_words(damage)} that cannot be read any more"
                    return Witness(True, monotonic_ns(), how)
            await asyncio.sleep(_LOOK_S)  # nobody tells when a row becomes unreadable
        return Witness(False, None, f"{why} after {_WITHIN_S:g} s; see logs/{_name(target)}.log")


def _name(target: str) -> str:
    return f"attacker-{target}"
