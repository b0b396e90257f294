"""Journeys by SQL, books that are a list of keys: a drill of a bare database, with no service of its own."""

from __future__ import annotations

from pathlib import Path

from tests.end_to_end.conftest import Workplace

COMPOSE = """\
services:
  db:
    image: postgres:18
    expose: ["5432"]
    environment: {POSTGRES_DB: orders, POSTGRES_PASSWORD: drill-only}
"""
SYSTEM = """\
system: orders
compose: compose.yaml
roles:
  database: {engine: postgresql, primary: db, database: orders, user: postgres, password: drill-only}
links: [customers -> db]
population:
  pools: {item: {count: 9, format: "item-{n}"}}
  load: {on: database, script: orders.sql}
journeys:
  order:
    sql:
      on: database
      statement: >-
        INSERT INTO orders (key, item, cents) VALUES ({key}, {item}, {amount.minor}) ON CONFLICT DO NOTHING
    draw: {item: item, amount: {between: ["1 CNY", "9 CNY"]}}
    books: orders
    good: {within: 1s}
    refused: {sqlstate: ["23"]}
  look:
    sql: {on: database, statement: "SELECT count(*) AS n FROM orders WHERE item = {item}"}
    draw: {item: item}
    read: {value: n}
    good: {within: 1s}
books:
  orders: {on: database, keys: keys.sql}
local:
  db: {postgresql: primary}
"""
DRILL = """\
drill: bare
title: Customers cannot reach the database
system: system.yaml
seed: 3
load: {order: 30/s, look: 10/s}
steady: {for: 1s, success: 95%, p99: 500ms, within: 30s}
timeline:
  - {at: 0s, fault: link.timeout, on: customers -> db, direction: answers, for: 1s}
objectives:
  order: {rto: 1m, lost: 0}
  look: {rto: 1m}
settle: {hold: 2s, gap: 500ms}
checks: [nothing-lost, nothing-doubled, nothing-in-doubt]
"""
ORDERS = "CREATE TABLE orders (key uuid PRIMARY KEY, item text, cents bigint CHECK (cents > 0))"


def write(folder: Path, keys: str, checks: str = "nothing-in-doubt]") -> Path:
    drill = DRILL.replace("nothing-in-doubt]", checks)
    for name, text in (
        ("compose.yaml", COMPOSE),
        ("system.yaml", SYSTEM),
        ("orders.sql", ORDERS),
        ("keys.sql", keys),
        ("drill.yaml", drill),
    ):
        (folder / name).write_text(text)
    return folder / "drill.yaml"


def test_orders_are_counted_by_their_keys(workplace: Workplace) -> None:
    keys = "SELECT key, cents AS amount, 'CNY' AS currency FROM orders"
    done = workplace.run(write(workplace.folder, keys))
    assert done.code == 0, done.both
    result = workplace.result()
    verdicts = {one["name"]: one["outcome"] for one in result["verdicts"]}
    assert set(verdicts.values()) == {"pass"}
    assert {"order.lost", "nothing-lost", "nothing-doubled"} <= set(verdicts)


def test_a_list_of_keys_shows_losses_and_never_says_that_books_balance(workplace: Workplace) -> None:
    keys = "SELECT key FROM orders WHERE item <> 'item-1'"  # as if all of one item had been lost
    done = workplace.run(write(workplace.folder, keys, "books-balance]"))
    assert done.code == 1, done.both
    result = workplace.result()
    verdicts = {one["name"]: one for one in result["verdicts"]}
    assert verdicts["order.lost"]["outcome"] == "fail"
    assert verdicts["books-balance"]["outcome"] == "unknown"
    assert verdicts["books-balance"]["exercised"] is False
