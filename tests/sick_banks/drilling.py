"""Runs a bank, sick or healthy, through a drill by the real command, and says whether it was caught as it must be."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from chaoskit.scratch import scratch
from tests.sick_banks.loading import Caught, SickBank, make

WITHIN_S = 420
"""One run, waiting for other measurements on this machine included."""
_KEY = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_WORDS = {
    "lost": "lost: ",
    "one-legged": "giving and",
    "unasked": "which nobody sent",
    "doubled": " transactions",
    "refused-but-posted": " was refused, and posted",
    "amount-differs": ": asked for ",
    "parties-differ": ": posted from ",
    "payload-differs": "another payload was posted",
    "dangling-hold": " is still reserved",
    "stale-read": " is as of entry ",
    "wrong-read": " was shown as ",
    "another-payload": "acknowledged again for another payload",
    "second-writer": " is in the books of ",
    "over-limit": "over the limit: ",
    "no-alert": ": no alert",
    "not-blocked": ": no block",
    "let-in": " log-ins from its addresses worked",
    "money-moved": ": money moved: ",
}
"""How each kind of case reads in a verdict's details."""
_OF_ATTACKERS = frozenset({"no-alert", "not-blocked", "let-in", "money-moved"})
"""Kinds of cases about somebody who is no customer, so that no key of a customer stands in them."""

Answer = Literal["caught", "missed", "unknown"]


@dataclass(frozen=True)
class Ran:
    """One run: how it came out as a whole, what failed or was unknown, and of a sick bank whether it was caught.

    `cases` and `key`: how many cases of the named kind the named check listed, and the first one's key, which is one
    that a customer of this run sent.
    """

    outcome: str
    failed: tuple[str, ...]
    unknown: tuple[str, ...]
    reason: str
    answer: Answer | None = None
    cases: int = 0
    key: str = ""
    says: Mapping[str, str] = field(default_factory=dict)
    """Each verdict's reason."""

    @property
    def healthy(self) -> bool:
        return self.outcome == "pass" and not self.failed and not self.unknown


def run(
    bank: SickBank | None,
    drill: str,
    seed: int,
    keep: Path | None = None,
    cure: tuple[str, str] | None = None,
) -> Ran:
    """Make the bank, drill it once, and read what the run folder says; raises CalledProcessError without a result."""
    with scratch("sick") as folder:  # found again by `chaoskit clean` when this is killed
        drills = make(bank, folder, cure)
        reports = keep or folder / "reports"
        argv = [sys.executable, "-m", "chaoskit", "run", str(drills / drill)]
        argv += ["--seed", str(seed), "--reports", str(reports)]
        before = set(reports.glob("*/result.json"))
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=WITHIN_S)
        new = set(reports.glob("*/result.json")) - before
        if len(new) != 1:
            print(done.stdout[-4000:], done.stderr[-4000:], file=sys.stderr)
            raise subprocess.CalledProcessError(done.returncode or 1, argv)
        return read(new.pop(), bank.caught if bank else None)


def read(path: Path, caught: Caught | None) -> Ran:
    """What a run's result says; of a sick bank's, whether it was caught by its named check with a key of this run.

    Only a run that failed as a whole counts: unknown is no answer, also when the named check did see something.
    """
    result: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    verdicts = {one["name"]: one for one in result["verdicts"]}
    ran = Ran(
        result["outcome"],
        tuple(name for name, one in verdicts.items() if one["outcome"] == "fail"),
        tuple(name for name, one in verdicts.items() if one["outcome"] == "unknown"),
        result["reason"],
        says={name: one.get("reason", "") for name, one in verdicts.items()},
    )
    if caught is None:
        return ran
    named = verdicts.get(caught.check, {"outcome": "unknown", "details": ()})
    words = _WORDS[caught.by]
    cases = [case for case in named["details"] if words in case] if named["outcome"] == "fail" else []
    keys = [found[0] for case in cases if (found := _KEY.search(case))]
    sent = _sent(path.parent)
    known = [key for key in keys if key in sent]
    if caught.by in _OF_ATTACKERS:
        known = ["an attacker's" for _ in cases]
    answer: Answer = "caught" if known and ran.outcome == "fail" else "missed"
    if answer == "missed" and ran.outcome not in ("pass", "fail"):
        answer = "unknown"
    return replace(ran, answer=answer, cases=len(cases), key=known[0] if known else "")


def _sent(folder: Path) -> set[str]:
    """Every key that a customer of the run sent, from the measurers' own journals."""
    keys = set()
    for journal in folder.glob("ops/*.jsonl"):
        for line in journal.read_text(encoding="utf-8").splitlines():
            record = json.loads(line)
            if record["r"] == "intent":
                keys.add(str(record["key"]))
    return keys
