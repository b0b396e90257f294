"""Reconciliation of large books with planted violations: time, processor time and memory, against plain Python.

For each size a process of its own reconciles, with the parties of the journey declared as the bank's are; what it
finds must be exactly what was planted. `--keep FOLDER` keeps the books there for the next time: a hundred million take
5 GB. The oracle that the tests use (plain Python, rows as dictionaries) does the same work on fewer operations in the
same run: the ratio is of operations a second.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import duckdb
from tabulate import tabulate

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.metrics import books_oracle  # noqa: E402
from tests.metrics.planted import plant  # noqa: E402

TARGET = {5_000_000: (4.0, 1.2), 20_000_000: (15.0, None), 100_000_000: (None, 8.0)}
PYTHON_OPERATIONS = 200_000
CHILD = """
import json, resource, sys, time
from pathlib import Path
from chaoskit.metrics.book_counts import counts
from chaoskit.metrics.reconciliation import ledger, sql, violations
folder = Path(sys.argv[1])
began = time.monotonic()
parties = {"transfer": ("payer", "payee")} if sys.argv[2] == "declared" else {}
with ledger(folder / "operations.parquet", folder / "books", parties=parties) as base:
    found = {v.rule: v.count for v in violations(base)}
    told = counts(base)
    lost = len(base.execute(sql("lost")).fetchall())
    doubt = len(base.execute(sql("in_doubt")).fetchall())
usage = resource.getrusage(resource.RUSAGE_SELF)
# Not ru_maxrss: it counts what the parent held when it forked.
peak_kb = next(int(line.split()[1]) for line in Path("/proc/self/status").open() if line.startswith("VmHWM"))
print(json.dumps({"found": found, "lost": lost, "doubt": doubt, "wall": time.monotonic() - began,
                  "cpu": usage.ru_utime + usage.ru_stime, "gb": peak_kb / 1e6}))
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--operations", type=int, nargs="+", default=[1_000_000, 5_000_000])
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--keep", type=Path, help="folder for the planted books")
    parser.add_argument("--parties", choices=["declared", "undeclared"], default="declared")
    arguments = parser.parse_args()
    python_rate = plain_python()
    rows, right = [], True
    for count in arguments.operations:
        with tempfile.TemporaryDirectory() as name:
            folder = (arguments.keep or Path(name)) / str(count)
            planted = planted_once(folder, count)
            runs = [reconcile(folder, arguments.parties) for _ in range(arguments.times)]
        exact = all(run["found"] == planted and run["lost"] == 7 for run in runs)
        right = right and exact
        walls = sorted(run["wall"] for run in runs)
        wall, limits = walls[len(walls) // 2], TARGET.get(count, (None, None))
        rows.append(
            [
                f"{count:,}",
                "exactly" if exact else f"NOT: {runs[0]['found']} for {planted}",
                f"{walls[0]:.1f} | {wall:.1f} | {walls[-1]:.1f}",
                "-" if limits[0] is None else f"{limits[0]:g}",
                f"{min(run['cpu'] for run in runs):.1f}",
                f"{max(run['gb'] for run in runs):.2f}",
                "-" if limits[1] is None else f"{limits[1]:g}",
                f"{count / wall / python_rate:.1f}",
            ]
        )
    heads = [
        "operations",
        "planted are found",
        "s (min | median | max)",
        "target s",
        "cpu s",
        "GB",
        "target GB",
        "times plain Python",
    ]
    print(tabulate(rows, heads, tablefmt="github", disable_numparse=True))
    return 0 if right else 1


def planted_once(folder: Path, count: int) -> dict[str, int]:
    """Rule → how many were planted in the books of that folder, which are made unless they are there."""
    told = folder / "planted.json"
    if not told.exists():
        folder.mkdir(parents=True)
        told.write_text(json.dumps(plant(folder, count)), encoding="utf-8")
    found: dict[str, int] = json.loads(told.read_text(encoding="utf-8"))
    return found


def reconcile(folder: Path, parties: str) -> dict[str, object]:
    """One reconciliation in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(folder), parties],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    found: dict[str, object] = json.loads(done.stdout)
    return found


def plain_python() -> float:
    """Operations a second of the oracle, its rows already in memory."""
    with tempfile.TemporaryDirectory() as name, duckdb.connect() as base:
        folder = Path(name)
        plant(folder, PYTHON_OPERATIONS)
        tables = []
        for path in (folder / "operations", *(folder / "books" / t for t in books_oracle.TABLES)):
            cursor = base.execute(f"FROM read_parquet('{path}.parquet')")
            names = [column[0] for column in cursor.description or ()]
            tables.append([dict(zip(names, row, strict=True)) for row in cursor.fetchall()])
        for row in tables[0]:
            row["values"] = json.loads(row["values"])
        began = time.monotonic()
        books_oracle.judge(*tables)
        return PYTHON_OPERATIONS / (time.monotonic() - began)


if __name__ == "__main__":
    raise SystemExit(main())
