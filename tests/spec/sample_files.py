"""A small bank's files, written into a folder; tests change one line of them and look at what is said."""

from __future__ import annotations

from pathlib import Path

DRILL = """\
drill: db-crash
title: The database dies
system: system.yaml
seed: 7
load: {transfer: 40/s, balance: 20/s}
steady: {for: 5s, success: 99.5%, p99: 250ms}
timeline:
  - at: 0s
    fault: process.kill
    on: db
  - when: {down: db, every: 100ms, misses: 3}
    respond: promote-standby
    decision: {role: duty-manager, takes: 2m}
objectives:
  transfer: {rto: 5m, lost: 0}
  balance: {rto: 3m}
settle: {hold: 5s, gap: 1s}
checks: [books-balance]
"""

SYSTEM = """\
system: small-bank
compose: compose.yaml
variants: {fast: {compose: fast.yaml}}
sites: {north: [db, app]}
roles:
  database: {engine: postgresql, primary: db, standby: db2, database: bank, user: app}
links:
  - customers -> app
  - app -> db
  - app -> db2
  - db2 -> db
population:
  pools: {account: {count: 10, format: "A{n:03d}"}}
journeys:
  transfer:
    post: app/transfers
    json: {id: "{key}", from: "{payer}", to: "{payee}", amount: "{amount}"}
    draw:
      payer: account
      payee: {from: account, except: payer}
      amount: {between: ["1 CNY", "2 CNY"]}
    books: ledger
    good: {status: 201, within: 1s}
  balance:
    get: app/accounts/{account}
    draw: {account: account}
    good: {status: [200, 203], within: 1s}
books:
  ledger: {on: database, entries: entries.sql, balances: entries.sql}
local:
  db: {postgresql: primary}
  db2: {postgresql: standby}
  app: {run: python -m app, environment: {LISTEN_HOST: "{address}"}}
"""

COMPOSE = """\
services:
  db:
    image: postgres:18
    expose: [5432]
    environment: {POSTGRES_DB: app}
  db2:
    image: postgres:18
    expose: ["5432"]
  app:
    image: app:1
    ports: ["127.0.0.1:8080:8080"]
    environment:
      DATABASE_URL: postgresql://app:db@db:5432,db2:5432/db
    depends_on: [db]
"""

FAST = """\
services:
  app:
    environment: [SPEED=fast]
    ports: ["9090:9090"]
"""


def write(folder: Path, **files: str) -> Path:
    """Write the bank's files, some replaced; returns the drill file's path."""
    texts = {"drill": DRILL, "system": SYSTEM, "compose": COMPOSE, "fast": FAST, **files}
    for name, text in texts.items():
        (folder / f"{name}.yaml").write_text(text, "utf-8")
    (folder / "entries.sql").write_text("SELECT 1\n", "utf-8")
    return folder / "drill.yaml"
