"""When a server carried nothing is found by asking it, and by what the kernel says while it owes an answer."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from itertools import pairwise

import pytest

from chaoskit.clock import monotonic_ns
from chaoskit.runtimes.docker import proxy_pulse
from chaoskit.runtimes.docker.proxy_pulse import LEAST_NS, ServerPulse, standing

MS = 1_000_000
#: Answers as Toxiproxy does; the `late`-th answer comes after a sleep.
SERVER = """
import http.server, sys, time
late, asked = int(sys.argv[1]), 0
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        global asked
        asked += 1
        if asked == late: time.sleep(0.2)
        self.send_response(200); self.send_header("Content-Length", "2"); self.end_headers(); self.wfile.write(b"{}")
        if asked >= 6: print("six", flush=True)
    def log_message(self, *_): pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
"""
Noted = list[tuple[int, int, str]]


def followed(late: int, then: Callable[[int], Awaitable[None]], until: Callable[[Noted], bool]) -> Noted:
    """What is noted of a server: six answers, `then` something is done to its pid, and it goes on `until`."""
    noted: Noted = []

    async def main() -> None:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", SERVER, str(late), stdout=asyncio.subprocess.PIPE
        )
        assert process.stdout is not None
        port = int(await process.stdout.readline())
        pulse = ServerPulse(lambda: ("127.0.0.1", port, process.pid), lambda *one: noted.append(one))
        following = asyncio.create_task(pulse.follow())
        try:
            assert await process.stdout.readline() == b"six\n"
            await then(process.pid)
            async with asyncio.timeout(20):
                while not until(noted):
                    await process.stdout.readline()
        finally:
            following.cancel()
            process.kill()
            await process.wait()

    asyncio.run(main())
    return noted


async def nothing(_: int) -> None:
    return


def test_a_stop_is_noted_with_its_span() -> None:
    spans: list[int] = []

    async def stop(pid: int) -> None:
        spans.append(monotonic_ns())
        os.kill(pid, signal.SIGSTOP)
        await asyncio.sleep(0.3)  # the disturbance itself
        spans.append(monotonic_ns())
        os.kill(pid, signal.SIGCONT)

    # An answer that was in the socket when the stop came ends a span of its own.
    noted = followed(0, stop, lambda noted: bool(noted) and noted[-1][1] >= spans[-1] and len(spans) == 2)
    held = [(lo, hi) for lo, hi, why in noted if "stopped" in why and hi >= spans[0]]
    assert held[0][0] <= spans[0] + 100 * MS
    assert held[-1][1] >= spans[1]
    assert all(right[0] - left[1] <= 2 * proxy_pulse.EVERY_NS for left, right in pairwise(held))


def test_one_that_is_late_and_had_a_processor_is_not_said_to_have_been_held_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Late alone says nothing: whoever asks may have been late itself."""
    monkeypatch.setattr(proxy_pulse, "waited_ns", lambda _: 0)
    assert followed(3, nothing, lambda _: True) == []


def test_one_that_is_late_and_waited_for_a_processor_was_starved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxy_pulse, "waited_ns", lambda _: monotonic_ns())
    noted = followed(3, nothing, lambda _: True)
    assert noted
    assert {why for *_, why in noted} == {"it had no processor"}
    assert max(hi - lo for lo, hi, _ in noted) >= 200 * MS > LEAST_NS


def test_a_process_that_is_gone_stands_for_no_reason() -> None:
    assert standing(2**22 + 1) is None
