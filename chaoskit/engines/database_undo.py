"""Undoes, by SQL, what a fault has left on a member of a database role; safe to run zero, one or many times."""

from __future__ import annotations

from chaoskit.engines import member_settings, standby_limit
from chaoskit.engines.replication import end_reports
from chaoskit.engines.session import EngineError
from chaoskit.errors import EnvironmentBroken
from chaoskit.model.estate import Estate
from chaoskit.model.lease import DatabaseUndo, HostRulesUndo, RaisedLimitUndo, ReportUndo, SettingUndo
from chaoskit.model.system import DatabaseRole


async def undo_database(step: DatabaseUndo, estate: Estate) -> None:
    """Ask the member to undo the step. Raises EnvironmentBroken if it does not do so.

    A session ends with its server, so there is nothing to do where no process of the service is left; its files stay
    as they are, so that a server that is down keeps what was changed in them, and that is told.
    """
    role = _role(step.service, estate)
    if not await estate.processes.tree(step.service):
        if isinstance(step, ReportUndo):
            return
        raise EnvironmentBroken(f"{step.service} is down and its files keep what was changed in them")
    try:
        match step:
            case ReportUndo():
                await end_reports(step.service, role, estate)
            case HostRulesUndo():
                await member_settings.write_host_rules(step.service, role, estate, step.text)
            case SettingUndo():
                await member_settings.restore(step.service, role, estate, step.name, step.value)
            case RaisedLimitUndo():
                await standby_limit.lower(step, role, estate)
    except EngineError as error:
        raise EnvironmentBroken(f"{step.service} did not undo {step.op}: {error}") from error


def _role(service: str, estate: Estate) -> DatabaseRole:
    name = estate.plan.system.role_of(service)
    if name is None:
        raise EnvironmentBroken(f"{service} is no member of a database role")
    return estate.plan.system.roles[name]
