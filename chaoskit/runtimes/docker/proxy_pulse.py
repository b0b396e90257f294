"""When a network's Toxiproxy carried nothing for a while: its process was stopped, its container paused, or starved.

    ask ─ 25 ms ─ ask ─ 25 ms ─ ask ← no answer, and the kernel says why → answered
                                lo                                           hi

One that stays so is replaced after 0.6 s. This finds what ends before: then nobody else would know that it was not
the system. What is asked is the server's version, over one connection: the same process carries the links.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable

from chaoskit.clock import monotonic_ns
from chaoskit.runtimes.control_groups import of_process
from chaoskit.runtimes.process_table import look, waited_ns

EVERY_NS = 25_000_000
LEAST_NS = 25_000_000
"""An answer that took longer is looked into."""
_STARVED = 0.5
"""Share of the wait in which its threads wanted a processor; with less, whoever asked was late, or the network."""
_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)\r\n")
_AGAIN_S = 0.2

Noted = Callable[[int, int, str], None]


class ServerPulse:
    """Asks for ever; `server` gives host, port and pid of the one that serves now (0: none)."""

    def __init__(self, server: Callable[[], tuple[str, int, int]], noted: Noted) -> None:
        """`noted` hears from when to when (CLOCK_MONOTONIC ns), and why."""
        self._server = server
        self._noted = noted

    async def follow(self) -> None:
        """Until cancelled, over every server that replaces another."""
        while True:
            host, port, pid = self._server()
            if pid:
                try:
                    await self._listen(host, port, pid)
                except (OSError, EOFError, ValueError):
                    pass  # it is replaced, which says itself from when to when
            await asyncio.sleep(_AGAIN_S)

    async def _listen(self, host: str, port: int, pid: int) -> None:
        reader, writer = await asyncio.open_connection(host, port)
        due = monotonic_ns()
        try:
            while True:
                # Had this process been late to ask, nobody knows how it was since.
                lo, waited = min(due, monotonic_ns()), waited_ns(pid)
                writer.write(f"GET /version HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
                why = await self._answered(reader, pid)
                hi = monotonic_ns()
                if hi - lo > LEAST_NS:
                    if waited_ns(pid) - waited > _STARVED * (hi - lo):
                        why = why or "it had no processor"
                    if why is not None:
                        self._noted(lo, hi, why)
                due = hi + EVERY_NS
                await asyncio.sleep(EVERY_NS / 1e9)
        finally:
            writer.transport.abort()

    async def _answered(self, reader: asyncio.StreamReader, pid: int) -> str | None:
        """Wait for the answer; meanwhile, what the kernel says of a process that owes one."""
        answer = asyncio.ensure_future(_read(reader))
        why = None
        try:
            while not (await asyncio.wait({answer}, timeout=LEAST_NS / 1e9))[0]:
                why = why or standing(pid)
            answer.result()
        finally:
            answer.cancel()
        return why


async def _read(reader: asyncio.StreamReader) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    length = _LENGTH.search(head)
    if length is None:
        raise ValueError("an answer without its length")
    await reader.readexactly(int(length[1]))


def standing(pid: int) -> str | None:
    """Why a process does not run, if it cannot: stopped by a signal, or by its control group."""
    entry = look(pid)
    if entry is None:
        return None
    if entry.state in "Tt":
        return "its process was stopped"
    return "its container was paused" if frozen(pid) else None


def frozen(pid: int) -> bool:
    """Whether the freezer holds it, by either version of control groups."""
    if (group := of_process(pid)) is None:
        return False
    try:
        folder, version = group.folder("freezer")
        name, frozen = (
            ("freezer.state", ("FROZEN", "FREEZING")) if version == 1 else ("cgroup.freeze", ("1",))
        )
        return (folder / name).read_text(encoding="ascii").strip() in frozen
    except (OSError, KeyError):
        return False
