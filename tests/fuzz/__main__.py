"""`python -m tests.fuzz [--seconds N] [--seed N] [--only files|folders]`: rubbish in, and no traceback, hang or flood.

Exit 0 when nothing was found, else 1, with the smallest input of each kind; the same seed tries the same inputs.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.fuzz import campaign as campaigns
from tests.fuzz import run_folders, written_files
from tests.fuzz.campaign import Campaign
from tests.fuzz.sandbox import Sandbox

_ROUND = 60
_SHOWN = 1_500


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long, both kinds together")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="default: another one every time")
    parser.add_argument("--only", choices=["files", "folders"], help="one kind alone")
    asked = parser.parse_args()
    until = time.monotonic() + asked.seconds
    campaign = Campaign()
    with tempfile.TemporaryDirectory(prefix="chaoskit-fuzz-") as name:
        folder = Path(name)
        desk = folder / "desk"
        desk.mkdir()
        written_files.desk(desk)
        recorded = run_folders.record(folder / "recorded")
        with Sandbox(folder / "sandbox") as sandbox:
            number = asked.seed
            while time.monotonic() < until:
                if asked.only != "folders":
                    campaigns.of_written_files(campaign, sandbox, desk, number, _ROUND, until)
                if asked.only != "files":
                    campaigns.of_run_folders(
                        campaign, sandbox, folder / "runs", recorded, number, _ROUND, until
                    )
                number += 1
    return _tell(campaign, asked.seed)


def _tell(campaign: Campaign, seed: int) -> int:
    print(f"seed {seed}: {campaign.tried} inputs, at most {campaign.memory_mb:.0f} MB")
    for command, most in sorted(campaign.times.items()):
        ends = ", ".join(
            f"{n} × exit {code}" for (c, code), n in sorted(campaign.codes.items()) if c == command
        )
        print(f"  {command}: {ends}; longest {most:.2f} s")
    for signature, (finding, one) in sorted(campaign.found.items()):
        print(f"\n== {signature}\n{finding.detail[-_SHOWN:]}\n-- input: {ascii(one)[:_SHOWN]}")
    print(f"\n{len(campaign.found)} findings")
    return 1 if campaign.found else 0


if __name__ == "__main__":
    sys.exit(main())
