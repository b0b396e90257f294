"""Which versions run: every database member is asked, past every proxy, so that no comparison takes two for one."""

from __future__ import annotations

import asyncio

from chaoskit.conductor.recorder import Recorder
from chaoskit.engines.postgresql import PostgreSQL
from chaoskit.engines.session import EngineError
from chaoskit.errors import EnvironmentBroken
from chaoskit.model.estate import Estate

ANSWER_WITHIN_S = 5.0


async def record_versions(estate: Estate, recorder: Recorder) -> None:
    """Append `service.version` for each member of each role; one that does not say is recorded with its reason."""
    members = [
        (member, role)
        for role in estate.plan.system.roles.values()
        for member in (role.primary, role.standby)
        if member is not None
    ]

    async def ask(member: str, server: PostgreSQL) -> None:
        try:
            recorder.record("service.version", service=member, version=await server.version(ANSWER_WITHIN_S))
        except (EngineError, OSError) as error:
            recorder.record("service.version", service=member, version=None, error=str(error))

    try:
        servers = [(member, PostgreSQL(estate.direct(member), role)) for member, role in members]
    except EnvironmentBroken as error:
        recorder.record("service.version", service=None, version=None, error=str(error))
        return
    await asyncio.gather(*(ask(member, server) for member, server in servers))
