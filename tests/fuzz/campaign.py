"""Feeds generated rubbish to the commands until time or number is used up; keeps the smallest of each finding."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.fuzz import run_folders, written_files
from tests.fuzz.run_folders import Recorded
from tests.fuzz.sandbox import Ended, Finding, Sandbox, findings
from tests.fuzz.written_files import Written

One = TypeVar("One")


@dataclass
class Campaign:
    """What was tried, and by signature the finding with the smallest input."""

    tried: int = 0
    found: dict[str, tuple[Finding, Any]] = field(default_factory=dict)
    times: dict[str, float] = field(default_factory=dict)
    memory_mb: float = 0.0
    codes: dict[tuple[str, int], int] = field(default_factory=dict)

    def take(self, one: Any, ended: Ended, new: Iterable[Finding]) -> None:
        """Count one input."""
        self.tried += 1
        command = ended.argv[0]
        self.times[command] = max(self.times.get(command, 0.0), ended.busy_s)
        self.memory_mb = max(self.memory_mb, ended.memory_mb)
        self.codes[command, ended.code] = self.codes.get((command, ended.code), 0) + 1
        for finding in new:
            known = self.found.get(finding.signature)
            if known is None or len(repr(one)) < len(repr(known[1])):
                self.found[finding.signature] = (finding, one)


def generate(strategy: st.SearchStrategy[One], seeded: int, number: int, use: Callable[[One], None]) -> None:
    """Hand `number` generated inputs to `use`; the same seed gives the same ones."""

    @seed(seeded)
    @settings(
        max_examples=number,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def each(one: One) -> None:
        use(one)

    each()


def of_written_files(
    campaign: Campaign, sandbox: Sandbox, desk: Path, seeded: int, number: int, until: float = float("inf")
) -> None:
    """Drill, system and Compose files."""

    def use(one: Written) -> None:
        if time.monotonic() < until:
            ended = written_files.run(sandbox, desk, one)
            campaign.take(one, ended, findings(ended, written_files.allowed(one)))

    generate(written_files.written(), seeded, number, use)


def of_run_folders(
    campaign: Campaign,
    sandbox: Sandbox,
    desk: Path,
    recorded: Recorded,
    seeded: int,
    number: int,
    until: float = float("inf"),
) -> None:
    """Run folders."""

    def use(one: run_folders.Damaged) -> None:
        if time.monotonic() < until:
            ended, unnoticed = run_folders.run(sandbox, desk, recorded, one)
            campaign.take(one, ended, [*findings(ended, run_folders.ALLOWED[one.command[0]]), *unnoticed])

    generate(run_folders.damaged(recorded), seeded, number, use)
