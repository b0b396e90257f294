"""The recorder: one chain, listeners that cannot hurt, and a disk that is full."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from chaoskit.conductor.recorder import Recorder
from chaoskit.errors import EnvironmentBroken
from chaoskit.evidence.chain import verify
from chaoskit.model.history import Event

_WRITE = os.write


def clock() -> int:
    return 5


def test_events_are_chained_and_heard(tmp_path: Path) -> None:
    heard: list[Event] = []
    recorder = Recorder(tmp_path / "events.jsonl", clock, heard.append)
    with recorder.phase("steady"):
        recorder.record("response.fact", kind="a field may have any name", sync=1)
    asyncio.run(recorder.seal({"plan.json": "00"}))
    recorder.close()
    chain = verify(tmp_path / "events.jsonl")
    assert (chain.problems, chain.sealed) == ((), True)
    assert list(chain.events) == heard
    assert [event.data.get("state") for event in heard] == ["begin", None, "end", None]


def test_a_phase_ends_whatever_happens(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "events.jsonl", clock)
    with pytest.raises(ZeroDivisionError), recorder.phase("steady"):
        raise ZeroDivisionError
    recorder.close()
    assert verify(tmp_path / "events.jsonl").events[-1].data == {"name": "steady", "state": "end"}


def test_a_listener_that_raises_is_on_record_and_hears_nothing_more(tmp_path: Path) -> None:
    calls: list[str] = []

    def bad(event: Event) -> None:
        calls.append(event.kind)
        raise ValueError("no screen")

    recorder = Recorder(tmp_path / "events.jsonl", clock, bad)
    recorder.record("a")
    recorder.record("b")
    recorder.close()
    events = verify(tmp_path / "events.jsonl").events
    assert [event.kind for event in events] == ["a", "listener.failed", "b"]
    assert events[1].data == {"error": "ValueError: no screen"}
    assert calls == ["a"]


def test_a_full_disk_is_told_once_and_nothing_follows_the_torn_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    heard: list[Event] = []
    recorder = Recorder(tmp_path / "events.jsonl", clock, heard.append, told.append)
    recorder.record("a")
    with monkeypatch.context() as patch:

        def full(*_: Any) -> int:
            raise OSError(28, "No space left on device")

        patch.setattr("chaoskit.evidence.chain.os.write", full)
        recorder.record("b")
    recorder.record("c")
    asyncio.run(recorder.seal({}))
    recorder.close()
    assert [event.kind for event in verify(tmp_path / "events.jsonl").events] == ["a"]
    assert [event.kind for event in heard] == ["a", "b", "c", "seal"]
    assert len(told) == 1
    assert isinstance(recorder.failure, EnvironmentBroken)
    assert "No space left" in told[0]


def test_once_there_is_room_it_says_what_is_missing_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = Recorder(tmp_path / "events.jsonl", clock)
    recorder.resume()
    recorder.record("a")
    with monkeypatch.context() as patch:
        patch.setattr("chaoskit.evidence.chain.os.write", lambda file, line: _WRITE(file, line[:9]))
        recorder.record("b")
    recorder.record("c")
    recorder.resume()
    recorder.record("d")
    recorder.close()
    chain = verify(tmp_path / "events.jsonl")
    assert chain.problems == ()
    assert [event.kind for event in chain.events] == ["a", "events.lost", "d"]
    assert chain.events[1].data["count"] == 2
    assert "No space left" in chain.events[1].data["why"]
    assert recorder.failure is None


def test_the_chain_is_not_written_twice(tmp_path: Path) -> None:
    Recorder(tmp_path / "events.jsonl", clock).close()
    with pytest.raises(EnvironmentBroken):
        Recorder(tmp_path / "events.jsonl", clock)
