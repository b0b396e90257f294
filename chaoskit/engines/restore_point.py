"""Up to where a database was sound, as it is noted before something is changed: position in the log, and a proof.

horizon ─ proof of what was settled before it ─ at ─ lsn        whatever was confirmed before `at` lies before `lsn`
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from chaoskit.clock import monotonic_ns
from chaoskit.engines.postgresql import PostgreSQL
from chaoskit.engines.session import EngineError
from chaoskit.errors import ServiceDown
from chaoskit.model.estate import Estate
from chaoskit.model.security import RestorePoint
from chaoskit.model.system import Backup

_HORIZON = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text"
_LSN = "SELECT pg_current_wal_lsn()::text"
_WITHIN_S = 10.0


async def proof_of(backup: Backup, estate: Estate, horizon: Any, within_s: float = 30.0) -> str:
    """What the backup's `proof:` query says of the primary now. Raises EngineError, ServiceDown or OSError."""
    role = estate.plan.system.roles[backup.of]
    path = Path(estate.plan.system.folder) / str(backup.proof)
    query = await asyncio.to_thread(path.read_text, encoding="utf-8")
    server = PostgreSQL(estate.direct(role.primary), role)
    return await server.value(query, {"horizon": horizon}, within_s)


async def note(estate: Estate) -> tuple[dict[str, RestorePoint], str]:
    """(point by backup, why one could not be noted) of every backup that has a proof, as it is now."""
    points: dict[str, RestorePoint] = {}
    for name, backup in estate.plan.system.backups.items():
        if backup.proof is None:
            continue
        try:
            points[name] = await _now(backup, estate)
        except (EngineError, ServiceDown, OSError, UnicodeDecodeError) as error:
            return points, f"{name}: {error}"
    return points, ""


async def _now(backup: Backup, estate: Estate) -> RestorePoint:
    role = estate.plan.system.roles[backup.of]
    server = PostgreSQL(estate.direct(role.primary), role)
    horizon = await server.value(_HORIZON, {}, _WITHIN_S)
    proof = await proof_of(backup, estate, horizon, _WITHIN_S)
    at, at_ns = datetime.now(UTC), monotonic_ns()
    lsn = await server.value(_LSN, {}, _WITHIN_S)
    await server.committed_write(_WITHIN_S)  # recovery cannot end at a position behind which there is no log
    return RestorePoint(lsn=lsn, at_ns=at_ns, at=at.isoformat(), horizon=horizon, proof=proof)
