"""The embedded server notes when it was held up itself: stopped, or without a processor."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from chaoskit.clock import monotonic_ns
from chaoskit.errors import EnvironmentBroken
from chaoskit.runtimes.local.proxy_pulse import SILENT_NS, ProxyPulse
from chaoskit.runtimes.process_table import look
from chaoskit.runtimes.record import Identity
from chaoskit.toxiproxy.server import pulse as server_pulse
from chaoskit.toxiproxy.server.pulse import BEAT_NS, EVERY_NS, LEAST_NS, Pulse

MS = 1_000_000


def records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def eventually(holds: Callable[[], bool], within_s: float = 20.0) -> None:
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[int, Path]]:
    """A real server's pid, and the file of its pulse; it has begun to beat."""
    path = tmp_path / "pulse.jsonl"
    command = [sys.executable, "-m", "chaoskit.toxiproxy", "--port", "0", "--pulse", str(path)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            eventually(lambda: any(one["r"] == "beat" for one in records(path)))
            yield process.pid, path
        finally:
            process.send_signal(signal.SIGCONT)
            process.terminate()


def test_a_stop_is_noted_with_its_span(server: tuple[int, Path]) -> None:
    pid, path = server
    begun = monotonic_ns()
    os.kill(pid, signal.SIGSTOP)
    time.sleep(0.5)  # the disturbance itself
    ended = monotonic_ns()
    os.kill(pid, signal.SIGCONT)
    pulse = ProxyPulse(path)
    eventually(lambda: any(hi is not None and hi >= ended for _, hi, _ in pulse.read(monotonic_ns())))
    lo, hi, why = next(one for one in pulse.read(monotonic_ns()) if one[1] is not None and one[1] >= ended)
    assert hi is not None
    assert lo <= begun + EVERY_NS + LEAST_NS
    assert hi - lo > 400 * MS
    assert "stopped" in why


def test_one_that_stays_stopped_is_noticed_by_its_silence(server: tuple[int, Path]) -> None:
    pid, path = server
    pulse = ProxyPulse(path)
    entry = look(pid)
    assert entry is not None
    pulse.process = Identity(pid, entry.start)
    os.kill(pid, signal.SIGSTOP)
    eventually(lambda: entry.state != "T" and getattr(look(pid), "state", "") == "T")
    known = len(pulse.read(monotonic_ns()))
    later = monotonic_ns() + SILENT_NS + BEAT_NS
    found = pulse.read(later)[known:]
    assert [(hi, why) for _, hi, why in found] == [(None, "its process is stopped")]
    assert pulse.read(later + MS)[known:] == found
    stopped = monotonic_ns()  # whoever goes on at once was not late enough to say so
    eventually(lambda: monotonic_ns() - stopped > 2 * (EVERY_NS + LEAST_NS))
    os.kill(pid, signal.SIGCONT)
    eventually(lambda: pulse.read(monotonic_ns())[-1][1] is not None)


@pytest.fixture
def ordinary(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without real time, which would leave this worker bounded for good."""
    monkeypatch.setattr(server_pulse, "claim_processor", lambda priority: "nice 0")
    monkeypatch.setattr(server_pulse, "reclaim_processor", lambda priority: None)


@pytest.mark.usefixtures("ordinary")
def test_an_end_is_no_silence(tmp_path: Path) -> None:
    path = tmp_path / "pulse.jsonl"

    async def main() -> None:
        pulse = Pulse(path)
        pulse.start()
        await asyncio.sleep(3 * EVERY_NS / 1e9)
        time.sleep(0.1)  # noqa: ASYNC251 - whatever holds up the loop holds up the links
        await asyncio.sleep(2 * EVERY_NS / 1e9)
        pulse.stop()

    asyncio.run(main())
    told = records(path)
    assert (told[0]["r"], told[-1]["r"]) == ("begin", "end")
    assert max(one["hi"] - one["lo"] for one in told if one["r"] == "held") > 70 * MS
    read = ProxyPulse(path).read(monotonic_ns() + 10 * SILENT_NS)
    assert all(hi is not None for _, hi, _ in read)


@pytest.mark.usefixtures("ordinary")
def test_a_full_disk_silences_it_and_ends_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        pulse = Pulse(Path("/dev/full"))
        pulse.start()
        await asyncio.sleep(3 * EVERY_NS / 1e9)
        pulse.stop()

    asyncio.run(main())


def test_one_that_never_said_anything_is_silent_since_the_first_look(tmp_path: Path) -> None:
    pulse = ProxyPulse(tmp_path / "pulse.jsonl")
    assert pulse.read(7) == ()
    assert pulse.read(7 + SILENT_NS) == ()
    assert pulse.read(8 + SILENT_NS) == ((7, None, "it has not been heard of since"),)


def test_a_torn_line_may_have_told_of_a_stop_and_is_not_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "pulse.jsonl"
    path.write_text('{"r":"begin","t":1,"every_ns":2}\n{"r":"he{"r":"beat","t":5,"late_max_ns":0}\n')
    with pytest.raises(EnvironmentBroken, match="was held up is not known"):
        ProxyPulse(path).read(10)


def test_a_file_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "chaoskit.toxiproxy", "--port", "0", "--pulse", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "cannot write" in done.stderr
