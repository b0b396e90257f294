"""Judging an old run: an hour's history judged again, verified, explained, and given to an auditor as SQL.

The history is a failover with 80 operations a second of the load and 20 probes a second, keys and payload hashes as
the load makes them. Each command is a process of its own, its start included; so are some that do little else. In
the same run the journals are also read line by line with every field checked by itself, as everything was before: the
ratio is of processor time.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from os import getloadavg
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage

from tabulate import tabulate

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from chaoskit.quantity import Duration  # noqa: E402
from tests.histories import builder  # noqa: E402
from tests.histories.builder import END, MS, PERIOD, RunBuilder, S  # noqa: E402

TARGET_S = 2.0
DRILL = "drills/server/ledger-primary-crash.yaml"
READ = """
import sys
from pathlib import Path
from chaoskit.conductor import journal
if sys.argv[2] == "long":
    journal.usual = journal.usual_lines = lambda lines: None
for name in ("load", "prober"):
    reader = journal.JournalReader(Path(sys.argv[1]) / "ops" / f"{name}.jsonl")
    assert reader.operations() and not reader.problems, reader.problems
"""


def write_history(folder: Path, seconds: int) -> int:
    """A run folder with so many seconds of history after its recovery; returns how many operations it has."""
    run = RunBuilder().crash()
    stop = END + seconds * S
    for journey in ("transfer", "balance"):
        run.arrivals("prober", journey, END + 7 * MS, stop, PERIOD)
        run.arrivals("load", journey, END, stop, 25 * MS)
    late = ("collect.snapshot", "run.end")
    run.events = [
        (t + seconds * S if kind in late or data.get("at") == "after" else t, kind, data)
        for t, kind, data in run.events
    ]
    keys: dict[str, str] = {}
    for record in (one for records in run.records.values() for one in records if "key" in one):
        key = keys.setdefault(record["key"], str(uuid.uuid5(uuid.NAMESPACE_OID, record["key"])))
        drawn = json.dumps([record["journey"], record.get("values"), record.get("amount")])
        record |= {"key": key, "payload_hash": hashlib.sha256(drawn.encode()).hexdigest()}
    for posting in run.postings:
        posting.key = keys[posting.key]
    builder.END = stop
    try:
        run.write(folder)
    finally:
        builder.END = END
    return sum(one["r"] != "done" for records in run.records.values() for one in records)


def spent(*command: str) -> tuple[float, float]:
    """Wall and processor seconds of a command, which must end with 0, or as `verify` does without a head."""
    before, begun = getrusage(RUSAGE_CHILDREN), time.monotonic()
    ended = subprocess.run([sys.executable, *command], capture_output=True, text=True, cwd=ROOT)
    wall, after = time.monotonic() - begun, getrusage(RUSAGE_CHILDREN)
    if ended.returncode not in ((0, 3) if "verify" in command else (0,)):
        raise RuntimeError(f"{' '.join(command)}: {ended.stdout}{ended.stderr}")
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--history", default="1h", help="how long the run was (default: 1h)")
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    seconds = Duration.parse(asked.history).ns // S
    with tempfile.TemporaryDirectory() as name:
        folder = str(Path(name) / "run")
        operations = write_history(Path(folder), seconds)
        spent("-m", "chaoskit", "judge", folder)  # the first one also writes the result
        commands = {
            "judge again": ("-m", "chaoskit", "judge", folder),
            "verify": ("-m", "chaoskit", "verify", folder),
            "explain": ("-m", "chaoskit", "explain", folder, "transfer.rta"),
            "journals read": ("-c", READ, folder, "quick"),
            "the same, every field by itself": ("-c", READ, folder, "long"),
            "--version": ("-m", "chaoskit", "--version"),
            "--help": ("-m", "chaoskit", "--help"),
            "validate": ("-m", "chaoskit", "validate", DRILL),
            "plan": ("-m", "chaoskit", "plan", DRILL),
            "compare, side by side": ("-m", "chaoskit", "compare", folder, folder),
        }
        size = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
        found = {what: [spent(*command) for _ in range(asked.rounds)] for what, command in commands.items()}
    rows = [
        [what, *(spread([one[n] for one in runs]) for n in (0, 1)), verdict(what, runs)]
        for what, runs in found.items()
    ]
    print(f"{operations:,} operations in {asked.history}, {size / 1e6:.0f} MB in the run folder")
    print(f"load {getloadavg()[0]:.1f}; median (least – most)")
    print(tabulate(rows, ["", "s", "processor s", f"target {TARGET_S:g} s"], tablefmt="github"))
    quick, long = (
        min(cpu for _, cpu in found[what]) for what in ("journals read", "the same, every field by itself")
    )
    print(f"journals: {long / quick:.1f} times as quick as every field by itself")
    return 0 if all(verdict(what, runs) != "MISSED" for what, runs in found.items()) else 1


def verdict(what: str, runs: list[tuple[float, float]]) -> str:
    if what not in ("judge again", "verify", "explain"):
        return ""
    return "met" if statistics.median(wall for wall, _ in runs) <= TARGET_S else "MISSED"


def spread(values: list[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f} – {max(values):.2f})"


if __name__ == "__main__":
    sys.exit(main())
