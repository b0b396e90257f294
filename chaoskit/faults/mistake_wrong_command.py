"""mistake.wrong-command: an operator empties a table, or pushes a bad setting, in the wrong database."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from chaoskit.clock import monotonic_ns
from chaoskit.engines import member_settings, tampering, wrong_setting
from chaoskit.engines.session import EngineError
from chaoskit.model.estate import Estate
from chaoskit.model.lease import NothingToUndo, SettingUndo, Undo
from chaoskit.model.member import Witness
from chaoskit.model.preparation import Preparation
from chaoskit.model.system import DatabaseRole, System
from chaoskit.registry import register

_WITHIN_S = 3.0
_LOOK_S = 0.05
_FORMS = "`truncate: TABLE`, or `setting: NAME` and `value: VALUE`"


@register("faults", "mistake.wrong-command")
@dataclass(frozen=True)
class MistakeWrongCommand:
    """An operator with the administrator's log-in does to the bank's database what was meant for another one.

    `truncate:` he empties a table, with triggers and foreign keys switched off as in a script that loads test data. The
    application goes on, on what is left. A standby follows at once; only a backup has the rows.
    `setting:` and `value:` he pushes a setting (`ALTER SYSTEM`, then a reload), and it hurts whoever is logged in and
    whoever logs in from then on: `default_transaction_read_only: on` refuses every payment, `statement_timeout: 1ms`
    cuts short what takes longer. Any setting that a reload sets, or every new session; one that takes a restart is
    refused by the server's own word before anything is changed, and so is one that the application is not told, or
    that its role, its database or the server's command line gives. A standby does not get it: it is no part of the log.

    Exactly one of the two. The target is the primary of a database role, which is PostgreSQL.

    Witness: the table, read in another session, has fewer rows than it had before; or a new session of the
    application's own role is told another value than before, and the server's file has the one that was pushed.
    Undo: none for the rows, which are the run's own data; `restore-backup` brings them back. The setting as
    postgresql.auto.conf had it, or out of it, and a reload, whatever the value does to sessions, and after a restart as
    well. A server that is down keeps it, and so does one that was fenced because another was promoted: the first is
    told, the second is never undone. `reset-setting` is how the bank takes it back by itself.
    Fidelity on `local`: (and `docker`) a real superuser's commands; a TRUNCATE waits for its lock like anybody.

        timeline:
          - at: 1s
            fault: mistake.wrong-command
            on: ledger-db
            setting: default_transaction_read_only
            value: on
    """

    truncate: Annotated[str | None, Field(description="table, or schema.table, that is emptied")] = None
    setting: Annotated[
        str | None, Field(description="setting that is pushed with `value`; one that a reload sets")
    ] = None
    value: Annotated[
        str | int | float | bool | None, Field(description="what it is set to, as in postgresql.conf")
    ] = None
    requires: ClassVar[frozenset[str]] = frozenset({"processes"})
    destroys_data: ClassVar[frozenset[str]] = frozenset({"truncate"})
    targets: ClassVar[Literal["service", "link"]] = "service"
    undo_reach: ClassVar[str] = "setting"

    def __post_init__(self) -> None:
        given = [self.truncate is not None, self.setting is not None, self.value is not None]
        if given not in ([True, False, False], [False, True, True]):
            raise ValueError(f"an operator's mistake is {_FORMS}: one of them, and all of it")
        if self.truncate is not None:
            tampering.identifier(self.truncate)
        if self.setting is not None:
            wrong_setting.checked_name(self.setting)

    def prepare(self, target: str, system: System) -> tuple[Preparation, ...]:
        """Nothing; refuses, while planning, a target that is no primary."""
        try:
            tampering.role_of_primary(target, system)
        except ValueError as error:
            raise ValueError(f"{error}; no other database than PostgreSQL is known") from error
        return ()

    async def baseline(self, target: str, estate: Estate) -> int | str:
        role = tampering.role_of_primary(target, estate.plan.system)
        if self.setting is None:
            return await self._rows(target, estate)
        return (await wrong_setting.pushable(target, role, estate, self.setting))[1]

    async def undo(self, target: str, estate: Estate) -> Undo:
        if self.setting is None:
            why = f"the rows of {self.truncate} are gone; a backup has them"
            return Undo(steps=(NothingToUndo(why=why, dies=False),))
        role = tampering.role_of_primary(target, estate.plan.system)
        name = await wrong_setting.known(target, role, estate, self.setting)
        kept = await member_settings.kept(target, role, estate, name)
        return Undo(steps=(SettingUndo(service=target, name=name, value=kept),))

    async def apply(self, target: str, estate: Estate) -> None:
        role = tampering.role_of_primary(target, estate.plan.system)
        if self.setting is None:
            await tampering.truncate(estate.direct(target), role, self.truncate or "")
            return
        name = await wrong_setting.known(target, role, estate, self.setting)
        await member_settings.restore(target, role, estate, name, self._pushed)

    async def witness(self, target: str, estate: Estate, baseline: Any) -> Witness:
        if self.setting is None:
            return await self._fewer(target, estate, baseline)
        role = tampering.role_of_primary(target, estate.plan.system)
        deadline = monotonic_ns() + int(_WITHIN_S * 1e9)
        while True:
            try:
                seen = await self._told(target, role, estate, baseline)
            except EngineError as error:  # it may be the setting itself that cuts the session short
                seen = Witness(False, None, f"{target} was asked in vain for {self.setting}: {error}")
            if seen.seen or monotonic_ns() > deadline:
                return seen
            await asyncio.sleep(_LOOK_S)  # a reload is a signal, heeded without an event for those outside

    @property
    def _pushed(self) -> str:
        return wrong_setting.as_written(self.value) or ""

    async def _told(self, target: str, role: DatabaseRole, estate: Estate, before: str) -> Witness:
        name = await wrong_setting.known(target, role, estate, self.setting or "")
        now = await wrong_setting.told(target, role, estate, name)
        what = f"a new session of {role.user} is told {name} = {now!r}"
        if now == before:
            return Witness(False, None, f"{what}, as before")
        seen_ns = monotonic_ns()
        kept = await member_settings.kept(target, role, estate, name)
        if kept is None or member_settings.parts(name, kept) != member_settings.parts(name, self._pushed):
            return Witness(False, None, f"{what}, before {before!r}, and {target} keeps {kept!r} in its file")
        return Witness(True, seen_ns, f"{what}, before {before!r}")

    async def _fewer(self, target: str, estate: Estate, before: int) -> Witness:
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
        return await tampering.count(estate.direct(target), role, self.truncate or "")
