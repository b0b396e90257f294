"""Restores the bank with a million entries, many of them only in archived log, and prints where the time goes.

Real schema, real rows: each transfer has its payment, its transaction and two legs, and every balance is what they say.
The first part is in the base backup, the rest only in the log behind it; nothing of the ledger runs meanwhile.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
from tabulate import tabulate

from chaoskit import pipeline, registry, spec
from chaoskit.engines.session import parameters
from chaoskit.model.member import ResponseContext
from chaoskit.responses import restore_backup
from chaoskit.runtimes.local.estate import LocalEstate
from chaoskit.runtimes.local.runtime import LocalRuntime

ROOT = Path(__file__).parents[1]
DRILL = ROOT / "drills" / "attack" / "operator-truncates.yaml"
TARGET_S = 20.0
_FILL = """
SET session_replication_role = replica;
SET synchronous_commit = off;
CREATE TEMPORARY TABLE plan AS
SELECT n, format('bench-%%s', n) AS key, 1 + n %% 9000 AS amount,
       'ACC-' || lpad((1 + n %% 400)::text, 5, '0') AS payer,
       'ACC-' || lpad((1 + (n + 7) %% 400)::text, 5, '0') AS payee
  FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS n;
INSERT INTO ledger.payments (key, payload_hash, source, from_account, to_account, amount, state)
SELECT key, md5(key), 'batch', payer, payee, amount, 'posted' FROM plan;
INSERT INTO ledger.transactions (transaction_id, key, source, from_account, to_account, amount, currency, payload_hash)
OVERRIDING SYSTEM VALUE SELECT n, key, 'batch', payer, payee, amount, 'CNY', md5(key) FROM plan;
INSERT INTO ledger.entries (transaction_id, account, amount, currency)
SELECT n, payer, -amount, 'CNY' FROM plan UNION ALL SELECT n, payee, amount, 'CNY' FROM plan;
UPDATE ledger.accounts AS a SET balance = opening + moved
  FROM (SELECT account, sum(amount) AS moved FROM ledger.entries GROUP BY account) AS e WHERE e.account = a.account;
DROP TABLE plan;
"""
_EVIDENCE = """
SELECT pg_snapshot_xmin(pg_current_snapshot())::text, pg_current_wal_insert_lsn()::text,
       (SELECT count(*) FROM ledger.entries)
"""
_BEHIND = """
SELECT count(*) FROM pg_stat_replication WHERE application_name = 'chaoskit-backup' AND write_lsn < %(lsn)s::pg_lsn
"""
_UNSOUND = """
SELECT count(*) FROM ledger.accounts AS a
  LEFT JOIN (SELECT account, sum(amount) AS moved FROM ledger.entries GROUP BY account) AS e USING (account)
 WHERE balance <> opening + coalesce(moved, 0)
"""


class Facts:
    """A ResponseContext that notes when each fact was recorded."""

    def __init__(self, estate: LocalEstate) -> None:
        self.estate = estate
        self.step = "restore"
        self.facts: dict[str, dict[str, Any]] = {}

    def record(self, kind: str, **facts: Any) -> None:
        """Keep it."""
        self.facts[kind] = facts

    def change(self) -> None:
        """Nobody waits for a recovery to hold."""

    async def supersede(self, service: str) -> None:
        """Nothing is fenced here."""

    async def readmit(self, service: str) -> None:
        """Nothing was fenced here."""


def connect(estate: LocalEstate) -> psycopg.Connection[Any]:
    """The primary's superuser, past every proxy; parameters are put into the text, which has many statements."""
    role = estate.plan.system.roles["database"]
    keys = parameters(estate.direct(role.primary), role, superuser=True)
    return psycopg.connect(**keys, autocommit=True, cursor_factory=psycopg.ClientCursor)  # type: ignore[arg-type]


async def measure(entries: int, archived: int, folder: Path) -> tuple[dict[str, dict[str, Any]], int]:
    """Fill, back up, fill on, restore; the facts of the restore, and how many entries it has brought back."""
    plan = pipeline.make_plan(spec.load(DRILL, registry), "local")
    estate = await LocalRuntime().provision(plan, f"restore-{os.getpid()}", folder / "run")
    try:
        for service in ("auditor", "gateway", "ledger"):
            await estate.lifecycle.stop(service)
        base = (entries - archived) // 2
        with connect(estate) as connection:
            connection.execute(_FILL, {"first": 1, "last": base})
            await estate.backups.take("books")
            connection.execute(_FILL, {"first": base + 1, "last": entries // 2})
            proof = (Path(plan.system.folder) / "audit" / "proof.sql").read_text(encoding="utf-8")
            horizon, lsn, _ = connection.execute(_EVIDENCE).fetchone() or ("", "", 0)
            value = connection.execute(proof, {"horizon": horizon}).fetchone() or ("",)
            at = datetime.now(UTC).isoformat()
            connection.execute("TRUNCATE ledger.entries")
            await until_stored(connection, lsn)
        point = {"lsn": lsn, "at": at, "horizon": horizon, "proof": value[0]}

        async def told(*_: Any) -> dict[str, Any]:
            return point  # in a drill the auditor says it; it does not run here

        restore_backup.ask_json = told  # type: ignore[assignment]
        context = Facts(estate)
        await restore_backup.RestoreBackup(backup="books").run((), _as_context(context))
        with connect(estate) as connection:
            wrong = connection.execute(_UNSOUND).fetchone()
            back = connection.execute("SELECT count(*) FROM ledger.entries").fetchone()
        if wrong != (0,) or back is None:
            raise SystemExit(f"restored, and {wrong} balances are not what the entries say")
        return context.facts, int(back[0])
    finally:
        await estate.close()


async def until_stored(connection: psycopg.Connection[Any], lsn: str) -> None:
    """Until the store has the log up to that point."""
    while True:  # nobody tells
        row = connection.execute(_BEHIND, {"lsn": lsn}).fetchone()
        if row == (0,):
            return
        await asyncio.sleep(0.02)


def _as_context(facts: Facts) -> ResponseContext:
    return facts


def main() -> int:
    """Exit 1 when it took longer than it may."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--archived", type=int, default=200_000, help="of them only in archived log")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="restore-") as folder:
        begun = time.monotonic()
        facts, back = asyncio.run(measure(asked.entries, asked.archived, Path(folder)))
        whole = time.monotonic() - begun
    ends = {name: facts[name]["after_ms"] / 1000 for name in ("verified", "laid", "recovered", "restored")}
    rows, last = [], 0.0
    for name, what in (
        ("verified", "every checksum and the log"),
        ("laid", "both ended, base backup copied"),
        ("recovered", "log replayed, opened"),
        ("restored", "proof, marks, standby copied anew"),
    ):
        rows.append((what, f"{ends[name] - last:.1f} s"))
        last = ends[name]
    size = facts["verified"]["bytes"] / 1e6
    print(f"{back} entries, {asked.archived} of them only in archived log; the store has {size:.0f} MB")
    print(tabulate([*rows, ("together", f"{last:.1f} s, at most {TARGET_S:.0f} s")]))
    print(f"the whole benchmark {whole:.0f} s")
    return int(last > TARGET_S or back != asked.entries)


if __name__ == "__main__":
    sys.exit(main())
