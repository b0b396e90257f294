"""What there is to be seen of a fault's target, read anew each time: two looks at one state are equal."""

from __future__ import annotations

from typing import Any

import psycopg

from chaoskit.engines.dialect import knock
from chaoskit.engines.replication import REPORT
from chaoskit.engines.roll_out import said_version
from chaoskit.engines.session import parameters
from chaoskit.errors import ServiceDown
from chaoskit.model.system import Link
from tests.contracts.besetting import counts
from tests.contracts.every_case import DISK, Case

_MEMBER = {
    "file": "SELECT name || '=' || setting FROM pg_file_settings WHERE sourcefile LIKE '%auto.conf' AND name <> "
    "'primary_conninfo'",
    "in force": "SELECT name || '=' || setting FROM pg_settings WHERE pending_restart OR name IN "
    "('max_connections', 'default_transaction_read_only', 'synchronous_standby_names', 'session_preload_libraries', "
    "'idle_in_transaction_session_timeout')",
    "host rules": "SELECT md5(pg_read_file(current_setting('hba_file')))",
    "reports": f"SELECT count(*)::text FROM pg_stat_activity WHERE application_name = '{REPORT}'",
    "ledger": "SELECT string_agg(amount::text, ',' ORDER BY id) FROM ledger",
    "gone": "SELECT count(*)::text FROM gone",
    "wrecked": "SELECT (count(*) FILTER (WHERE id LIKE 'LOCKED:%') > 0)::text FROM item",
}


async def sql(estate: Any, member: str, *statements: str, times: int = 1) -> list[list[str]]:
    """The first column of each statement's rows, sorted; as the superuser."""
    role = next(one for one in estate.plan.system.roles.values() if member in (one.primary, one.standby))
    keys: Any = parameters(estate.direct(member), role, superuser=True)
    found = []
    async with await psycopg.AsyncConnection.connect(**keys, autocommit=True) as connection:
        for statement in statements * times:
            cursor = await connection.execute(statement.encode())
            found.append(sorted(str(row[0]) for row in await cursor.fetchall()) if cursor.description else [])
    return found


async def state(case: Case, estate: Any) -> dict[str, Any]:
    """Of a link, a service, a pair or a release, whatever the case's target is."""
    system = estate.plan.system
    if "->" in case.target:
        return await _link(case.target, estate)
    if case.target in system.releases:
        release = system.releases[case.target]
        said = {name: await said_version(name, release, estate) for name in release.services}
        return {"says": said, **await _service(release.services[0], estate)}
    pairs = [one for one in system.roles.values() if case.target in (one.primary, one.standby)]
    if not pairs:
        return (
            await _service(case.target, estate) | await _means(case, estate) | await _attacked(case, estate)
        )
    found: dict[str, Any] = {}
    for member in (pairs[0].primary, pairs[0].standby):
        found[member] = dict(zip(_MEMBER, await sql(estate, member, *_MEMBER.values()), strict=True))
        for link in (one.name for one in system.links if one.callee == member):
            found |= await _link(link, estate)
    return found


async def _link(name: str, estate: Any) -> dict[str, Any]:
    told = estate.links._states[name]
    answer = await knock(estate.links.address(name), 1.0)
    return {name: [sorted(told.toxics), told.cut, told.mirror, answer.kind]}


async def _service(name: str, estate: Any) -> dict[str, Any]:
    tree = await estate.processes.tree(name)
    states = sorted({estate.processes.state(one) for one in tree} - {"gone", "dying"})
    try:
        direct = (await knock(estate.direct(name), 1.0)).kind
    except ServiceDown:
        direct = "down"
    found = {"processes": states, "itself": direct}
    for link in estate.plan.system.links:
        if link.callee == name or (link.caller == name and Link(caller=name, callee=link.callee) == link):
            found |= await _link(link.name, estate)
    return found


async def _means(case: Case, estate: Any) -> dict[str, Any]:
    """What only containers have; nothing elsewhere."""
    found: dict[str, Any] = {}
    if "limits" in estate.capabilities:
        for group in estate.processes.groups(case.target):
            for controller, names in {
                "cpu": ("cpu.max", "cpu.cfs_quota_us"),
                "memory": ("memory.max", "memory.limit_in_bytes"),
                "blkio": ("io.max", "blkio.throttle.write_bps_device"),
            }.items():
                try:
                    folder, _ = group.folder(controller)
                except KeyError:
                    continue
                found |= {name: (folder / name).read_text() for name in names if (folder / name).exists()}
    if "path" in case.params and case.params["path"] == DISK:
        found["free"] = estate.disks.free(case.target, DISK) > 2**20
    if case.fault == "clock.skew":
        found["clock"] = round((await estate.clocks.read(case.target))[0] / 10**10)
    return found


async def _attacked(case: Case, estate: Any) -> dict[str, Any]:
    """Whether somebody outside goes on; and rows that somebody inside has wrecked."""
    if case.fault == "attack.ransomware":
        return {"wrecked": await sql(estate, "db", _MEMBER["wrecked"])}
    if not case.fault.startswith("attack."):
        return {}
    return {"goes on": await _asks(case.target, estate)}


async def _asks(service: str, estate: Any) -> bool:
    import asyncio

    first = (await counts(estate, service)).get("asked", 0)
    await asyncio.sleep(0.6)  # of an attack that goes on: two requests at least
    return (await counts(estate, service)).get("asked", 0) > first
