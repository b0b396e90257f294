"""What a person sees while a drill runs: the timeline as it happens, and each journey as its customers see it now."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console, ConsoleRenderable
from rich.live import Live
from rich.table import Table
from rich.text import Text

from chaoskit.cli import asking
from chaoskit.cli.journeys_now import JourneysNow
from chaoskit.cli.timeline_text import CUSTOMERS_ARE_SERVED, LOUD, Narrator
from chaoskit.clock import Clock, monotonic_ns
from chaoskit.model.history import Event, Operation
from chaoskit.model.people import Answer, Question
from chaoskit.model.plain_text import one_line
from chaoskit.model.plan import Plan

PLAIN_EVERY_NS = 5_000_000_000
_INDENT = " " * 11


class Screen:
    """Listens to events and operations; `console` decides colour (NO_COLOR) and whether there is a terminal."""

    def __init__(self, console: Console, plan: Plan, clock: Clock = monotonic_ns) -> None:
        self._console = console
        self._narrator = Narrator(plan)
        self._journeys = JourneysNow(plan)
        self._clock = clock
        self._plain_ns = 0
        self._live: Live | None = None
        self._asking = asyncio.Lock()
        self._held: list[tuple[str, bool]] = []

    def hear(self, event: Event) -> None:
        """Print the event's line above the view."""
        line = self._narrator.line(event)
        if line is not None:
            self._print(line, loud=event.kind in LOUD)

    def see(self, operations: Sequence[Operation]) -> None:
        """Update the customers' view; without a terminal, a line of it every five seconds."""
        self._journeys.see(operations)
        now = self._clock()
        self._plain_ns = self._plain_ns or now
        if (
            self._live is None
            and now - self._plain_ns >= PLAIN_EVERY_NS
            and self._narrator.phase in CUSTOMERS_ARE_SERVED
        ):
            self._plain_ns = now
            rows = self._journeys.rows(now)
            view = "; ".join(f"{one.journey} {one.good} good, {one.median}" for one in rows)
            self._print(f"{_INDENT}customers now: {view}")

    @contextlib.contextmanager
    def showing(self) -> Iterator[None]:
        """Show the live view while the block runs; nothing more than lines where there is no real terminal.

        FORCE_COLOR makes a console believe in one: colours then, but nothing that moves a cursor.
        """
        if not self._console.file.isatty() or self._console.is_dumb_terminal:
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

    async def ask(self, question: Question) -> Answer:
        """Ask a person; the view makes room, and what happens meanwhile is told after the answer. One at a time."""
        async with self._asking:
            live = self._live
            if live is not None:
                live.stop()
            try:
                return await asking.ask(question, self._say, sys.stdin.fileno())
            finally:
                held, self._held = self._held, []
                for line, loud in held:
                    self._say(line, loud)
                if live is not None and self._live is live:
                    live.start()

    def _view(self) -> ConsoleRenderable:
        if self._narrator.phase not in CUSTOMERS_ARE_SERVED:
            return Text("")
        table = Table(title="customers now", title_justify="left", box=None, padding=(0, 2, 0, 0))
        for name, right in (("journey", False), ("good", True), ("median", True), ("trouble", False)):
            table.add_column(name, justify="right" if right else "left")
        for row in self._journeys.rows(self._clock()):
            style = "bold red" if row.bad else "green"
            table.add_row(Text(row.journey), Text(row.good, style=style), row.median, Text(row.trouble))
        return table

    def _print(self, line: str, loud: bool = False) -> None:
        if self._asking.locked():  # nothing comes between a person and what it types
            self._held.append((line, loud))
        else:
            self._say(line, loud)

    def _say(self, line: str, loud: bool = True) -> None:
        self._console.print(Text(one_line(line), style="bold" if loud else ""), soft_wrap=True)


@contextlib.contextmanager
def watch(folder: Path, plan: Plan) -> Iterator[Screen]:
    """Show a run on standard output while the block runs."""
    console = Console(file=sys.stdout, highlight=False)
    console.print(Text(one_line(f"{plan.drill.drill}: {plan.drill.title}"), style="bold"), soft_wrap=True)
    console.print(Text(one_line(f"run folder {folder}")), soft_wrap=True)
    screen = Screen(console, plan)
    with screen.showing():
        yield screen
