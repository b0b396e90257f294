"""Compares a standby with its primary, before it is needed: configuration, access and lag; names every difference."""

from __future__ import annotations

import asyncio
from typing import Any

from chaoskit.clock import monotonic_ns
from chaoskit.engines import member_settings as settings
from chaoskit.engines import replication, standby_drift
from chaoskit.engines.replication import Pair
from chaoskit.engines.session import Connection
from chaoskit.engines.standby_drift import Drift
from chaoskit.model.estate import Estate

_OWN_CATEGORIES = (
    "Preset Options",
    "File Locations",
    "Replication / Standby Servers",
    "Replication / Primary Server",
    "Write-Ahead Log / Archive Recovery",
    "Write-Ahead Log / Recovery Target",
)
_OWN = (
    "listen_addresses",
    "port",
    "unix_socket_directories",
    "cluster_name",
    "application_name",
    "transaction_read_only",
    "default_transaction_read_only",
    "ssl_cert_file",
    "ssl_key_file",
)
"""What two members may well have each for itself, or `standby_drift` tells of by itself."""
LIMITS = (
    "max_connections",
    "max_worker_processes",
    "max_wal_senders",
    "max_prepared_transactions",
    "max_locks_per_transaction",
)
"""A standby with less of one than its primary stops its replay, and ends when it is promoted."""
_STILL_S = 0.1


async def compare(pair: Pair, estate: Estate, lag_s: float) -> tuple[Drift, ...]:
    """Every difference that matters when the standby takes over; none means that it is ready.

    `lag_s`: by when a record of the primary must have been received and replayed. Raises EngineError when a member does
    not answer, for then nothing is known.
    """
    return (
        *await standby_drift.found(pair, estate),
        *await _configuration(pair, estate),
        *await _rules(pair, estate),
        *await _lag(pair, estate, lag_s),
    )


async def _configuration(pair: Pair, estate: Estate) -> list[Drift]:
    theirs, own = await asyncio.gather(
        *(
            settings.as_superuser(member, pair.role, estate, _settings)
            for member in (pair.primary, pair.standby)
        )
    )
    drifts = []
    for name in sorted(theirs.keys() | own.keys()):
        there, here = theirs.get(name, "nothing"), own.get(name, "nothing")
        if there == here:
            continue
        what = f"{name} is {here!r} on {pair.standby} and {there!r} on {pair.primary}"
        if name in LIMITS and int(here) < int(there):
            drifts.append(Drift("limit", f"{what}: the replay stops at a limit below its primary's"))
        elif name not in LIMITS:
            drifts.append(Drift("setting", what))
    return drifts


async def _settings(connection: Connection) -> dict[str, str]:
    query = """SELECT name, reset_val FROM pg_settings
               WHERE category <> ALL (%s) AND name <> ALL (%s) AND reset_val IS NOT NULL"""
    values = (list(_OWN_CATEGORIES), list(_OWN))
    return {str(n): str(value) for n, value in await (await connection.execute(query, values)).fetchall()}


async def _rules(pair: Pair, estate: Estate) -> list[Drift]:
    """Host rules that one member has and the other has not, but for those that refuse, which are told of already."""
    theirs, own = await asyncio.gather(
        *(
            settings.as_superuser(member, pair.role, estate, _host_rules)
            for member in (pair.primary, pair.standby)
        )
    )
    refusing = set(await settings.rules_that_refuse(pair.standby, pair.role, estate))
    extra = [
        text for number, text in own if number not in refusing and text not in [one for _, one in theirs]
    ]
    missing = [text for _, text in theirs if text not in [one for _, one in own]]
    drifts = [Drift("host-rules", f"only {pair.standby} has the host rule '{text}'") for text in extra]
    return drifts + [
        Drift("host-rules", f"{pair.standby} lacks its primary's host rule '{text}'") for text in missing
    ]


async def _host_rules(connection: Connection) -> list[tuple[int, str]]:
    query = """SELECT line_number, concat_ws(' ', type, array_to_string(database, ','),
                   array_to_string(user_name, ','), address, netmask, auth_method,
                   array_to_string(options, ' '), error)
               FROM pg_hba_file_rules ORDER BY line_number"""
    return [(int(n), str(text)) for n, text in await (await connection.execute(query.encode())).fetchall()]


async def _lag(pair: Pair, estate: Estate, lag_s: float) -> list[Drift]:
    conflict = await replication.in_conflict(pair, estate)
    paused = await settings.as_superuser(pair.standby, pair.role, estate, _pause)
    mark = await replication.mark(pair, estate)
    deadline = mark.asked_ns + int(lag_s * 1e9)
    while True:
        asked_ns = monotonic_ns()
        lag = await replication.lag(pair, estate)
        if lag.replayed_bytes >= mark.at or asked_ns > deadline:
            break
        await asyncio.sleep(_STILL_S / 5)  # the log arrives without an event for those outside
    drifts = []
    if lag.received_bytes < mark.at:
        told = "" if lag.streaming else ", and receives none now"
        drifts.append(
            Drift(
                "receive-lag",
                f"{pair.standby} has not received a record {lag_s:g} s old{told}: it would be lost",
            )
        )
    elif lag.replayed_bytes < mark.at:
        behind = lag.received_bytes - lag.replayed_bytes
        waits = f" ({conflict})" if conflict else ""
        what = f"{pair.standby} has received {behind} bytes that it does not replay{waits}: a promotion would wait"
        drifts.append(Drift("replay-lag", what))
    if paused:
        drifts.append(Drift("replay-lag", f"the replay of {pair.standby} is {paused}"))
    return drifts


async def _pause(connection: Connection) -> str:
    row: Any = await (
        await connection.execute(
            "SELECT CASE WHEN pg_is_in_recovery() THEN pg_get_wal_replay_pause_state() ELSE 'not paused' END"
        )
    ).fetchone()
    return "" if row[0] == "not paused" else str(row[0])
