"""leave-as-is: a step of the plan that this system's people do not carry out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from chaoskit.model.member import ResponseContext
from chaoskit.registry import register


@register("responses", "leave-as-is")
@dataclass(frozen=True)
class LeaveAsIs:
    """Does nothing, and records that nothing was done: the report nobody read, the runbook nobody followed.

    For the bad day of a pair: the drill's timeline has a step that the system's runbooks fill in, `{database: leave}`
    on the bad day and `{database: mend}` after the lesson, so that both days are one drill file.

    Fidelity on `local`: (and `docker`) nothing is what happens.

        timeline:
          - when: {done: morning-check}
            respond: leave-as-is
            on: ledger-db-standby
    """

    requires: ClassVar[frozenset[str]] = frozenset()
    recovers: ClassVar[bool] = False

    async def run(self, on: Sequence[str], context: ResponseContext) -> None:
        context.record("left-as-it-is", services=list(on))
