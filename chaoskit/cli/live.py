"""What a person sees while a drill runs: the timeline as it happens, and each journey as its customers see it now."""

from __future__ import annotations

import contextlib
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from chaoskit.cli.timeline_text import Narrator
from chaoskit.model.history import Event, Operation
from chaoskit.model.plan import Plan
from chaoskit.reporters.scorecard import harmless

NOW_NS = 1_000_000_000
"""The customers' view is over the operations of the last second."""
PLAIN_EVERY_NS = 5_000_000_000


class _Seen(NamedTuple):
    done: int
    good: bool
    ok: bool
    latency_ns: int


class JourneysNow:
    """The last second of each journey, from the operations as the journals tell of them."""

    def __init__(self, plan: Plan) -> None:
        self._within = {name: plan.system.journeys[name].good.within.ns for name in plan.load}
        self._seen: dict[str, deque[_Seen]] = {name: deque() for name in plan.load}
        self.latest_ns = 0

    def see(self, operations: Sequence[Operation]) -> None:
        """Take finished operations in."""
        for operation in operations:
            if operation.journey not in self._seen or operation.attempt > 1 or operation.tap:
                continue
            done = operation.done or operation.intended
            latency = done - operation.intended
            ok = operation.outcome == "ok"
            good = ok and latency <= self._within[operation.journey]
            self._seen[operation.journey].append(_Seen(done, good, ok, latency))
            self.latest_ns = max(self.latest_ns, done)

    def rows(self) -> list[tuple[str, str, str]]:
        """(journey, success, median latency) over the last second; `–` where nothing was seen."""
        rows = []
        for name, seen in self._seen.items():
            while seen and seen[0].done < self.latest_ns - NOW_NS:
                seen.popleft()
            latencies = sorted(one.latency_ns for one in seen if one.ok)
            success = f"{100 * sum(one.good for one in seen) / len(seen):.0f} %" if seen else "–"
            median = f"{latencies[len(latencies) // 2] / 1e6:.0f} ms" if latencies else "–"
            rows.append((name, success, median))
        return rows


class Screen:
    """Listens to events and operations; `console` decides colour (NO_COLOR) and whether there is a terminal."""

    def __init__(self, console: Console, plan: Plan) -> None:
        self._console = console
        self._narrator = Narrator()
        self._journeys = JourneysNow(plan)
        self._plain_ns = 0
        self._live: Live | None = None

    def hear(self, event: Event) -> None:
        """Print the event's line above the view."""
        line = self._narrator.line(event)
        if line is not None:
            self._print(line)

    def see(self, operations: Sequence[Operation]) -> None:
        """Update the customers' view; without a terminal, a line of it every five seconds."""
        self._journeys.see(operations)
        now = self._journeys.latest_ns
        if self._live is None and now - self._plain_ns >= PLAIN_EVERY_NS:
            self._plain_ns = now
            view = ", ".join(f"{name} {success} {median}" for name, success, median in self._journeys.rows())
            self._print(f"{'':11}customers now: {view}")

    @contextlib.contextmanager
    def showing(self) -> Iterator[None]:
        """Show the live view while the block runs; nothing more than lines where there is no terminal."""
        if not self._console.is_terminal:
            yield
            return
        with Live(
            get_renderable=self._view, console=self._console, refresh_per_second=4, transient=True
        ) as live:
            self._live = live
            try:
                yield
            finally:
                self._live = None

    def _view(self) -> Table:
        table = Table(title=f"customers now · {self._narrator.phase}", title_justify="left")
        table.add_column("journey")
        table.add_column("good", justify="right")
        table.add_column("median", justify="right")
        for name, success, median in self._journeys.rows():
            bad = success not in ("–", "100 %")
            table.add_row(name, Text(success, style="bold red" if bad else "green"), median)
        return table

    def _print(self, line: str) -> None:
        loud = any(
            word in line for word in ("FAULT", "ALERT", "ABORT", "INTERRUPTED", "NO STEADY", "UNASKED")
        )
        self._console.print(Text(harmless(line), style="bold" if loud else ""), soft_wrap=True)


@contextlib.contextmanager
def watch(folder: Path, plan: Plan) -> Iterator[Screen]:
    """Show a run on standard output while the block runs."""
    console = Console(file=sys.stdout, highlight=False)
    console.print(f"{plan.drill.drill}: {plan.drill.title}", markup=False, style="bold")
    console.print(f"run folder {folder}", markup=False, soft_wrap=True)
    screen = Screen(console, plan)
    with screen.showing():
        yield screen
