"""Undoes, by SQL, what a fault has left on a member of a database role; safe to run zero, one or many times."""

from __future__ import annotations

from chaoskit.engines.replication import end_reports
from chaoskit.engines.session import EngineError
from chaoskit.errors import EnvironmentBroken
from chaoskit.model.estate import Estate
from chaoskit.model.lease import DatabaseUndo
from chaoskit.model.system import DatabaseRole


async def undo_database(step: DatabaseUndo, estate: Estate) -> None:
    """Ask the member to undo the step. Raises EnvironmentBroken if it lives and does not do so.

    A session ends with its server, so there is nothing to do where no process of the service is left.
    """
    role = _role(step.service, estate)
    if not await estate.processes.tree(step.service):
        return
    try:
        await end_reports(step.service, role, estate)
    except EngineError as error:
        raise EnvironmentBroken(f"{step.service} did not undo {step.op}: {error}") from error


def _role(service: str, estate: Estate) -> DatabaseRole:
    name = estate.plan.system.role_of(service)
    if name is None:
        raise EnvironmentBroken(f"{service} is no member of a database role")
    return estate.plan.system.roles[name]
