"""Reads books by a class of the user's own, in a process of its own, so that nothing it does stalls the conductor.

stdin   {"class", "folder", "with", "estate": {service: [host, port]}, "target", "within_s"}
out     <target>/<table>.parquet of each table, then <target>/taken.json: {"digest", "rows"} or {"error"}
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic_core import to_json

from chaoskit.errors import ChaoskitError, InputError
from chaoskit.model.estate import Address
from chaoskit.model.own import TABLES, OwnBooks
from chaoskit.model.own_class import load_class

TAKEN = "taken.json"


def main() -> int:
    """Exit status 0 when taken.json was written, whatever it says."""
    task = json.loads(sys.stdin.buffer.read())
    target = Path(task["target"])
    target.mkdir(parents=True, exist_ok=True)
    try:
        found: dict[str, Any] = asyncio.run(_take(task, target))
    except ChaoskitError as error:
        found = {"error": str(error)}
    except TimeoutError:
        found = {"error": f"{task['class']}: not read within {task['within_s']:g} s"}
    except Exception as error:  # noqa: BLE001 - whatever it is, nobody knows what the books hold
        found = {"error": f"{task['class']}: {type(error).__name__}: {error}"}
    (target / TAKEN).write_text(json.dumps(found), encoding="utf-8")
    return 0


async def _take(task: Mapping[str, Any], target: Path) -> dict[str, Any]:
    own = load_class(task["class"], Path(task["folder"]), "chaoskit.books")
    books: OwnBooks = own(**task["with"])
    estate = {name: Address(host, port) for name, (host, port) in task["estate"].items()}
    async with asyncio.timeout(task["within_s"]):
        tables = await books.read(estate)
    return await asyncio.to_thread(keep, tables, target)


def keep(tables: Mapping[str, Iterable[Mapping[str, Any]]], target: Path) -> dict[str, Any]:
    """Write each table as Parquet; digest of all rows in one order, and how many there are. Raises InputError."""
    if not isinstance(tables, Mapping) or (
        "keys" not in tables and not {"entries", "balances"} <= set(tables)
    ):
        raise InputError(
            'read() must return {"keys": rows}, or {"entries": rows, "balances": rows} and what else a ledger has'
        )
    if unknown := set(tables) - set(TABLES) or ("keys" in tables and set(tables) - {"keys", "holds"}):
        raise InputError(
            f"read() returned {', '.join(sorted(unknown))}; known: {', '.join(TABLES)}, `keys` alone"
        )
    digest, counts = hashlib.sha256(), {}
    for name in sorted(tables):
        lines = sorted(_line(name, row) for row in tables[name])
        digest.update(repr(name).encode() + b"".join(lines))
        counts[name] = len(lines)
        _parquet(name, lines, target)
    return {"digest": digest.hexdigest(), "rows": counts}


def _line(table: str, row: Mapping[str, Any]) -> bytes:
    if not isinstance(row, Mapping):
        raise InputError(f"{table}: {row!r} is no row; each is a mapping from column to value")
    if unknown := set(row) - set(TABLES[table]):
        raise InputError(
            f"{table}: no column is called {', '.join(sorted(map(str, unknown)))}; "
            f"known: {', '.join(TABLES[table])}"
        )
    return to_json({column: row.get(column) for column in TABLES[table]}) + b"\n"


def _parquet(table: str, lines: list[bytes], target: Path) -> None:
    import duckdb  # the conductor, which imports this module for a constant, has no use for it

    source = target / f".{table}.jsonl"
    source.write_bytes(b"".join(lines))
    partial = target / f".{table}.parquet.partial"
    try:
        with duckdb.connect(":memory:") as engine:
            engine.execute("SET enable_progress_bar = false")
            columns = dict(TABLES[table])
            rows = engine.read_json(str(source), columns=columns, format="newline_delimited")
            rows.write_parquet(str(partial))
    except duckdb.Error as error:
        raise InputError(f"{table}: a value has the wrong type: {str(error).splitlines()[0]}") from error
    finally:
        source.unlink(missing_ok=True)
    partial.replace(target / f"{table}.parquet")


if __name__ == "__main__":
    sys.exit(main())
