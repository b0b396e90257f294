"""Detection: on schedule whatever the service does, counted in the order of sending."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from chaoskit.conductor.detection import Alert, Detector, probe_for
from chaoskit.conductor.recorder import Recorder
from chaoskit.errors import EnvironmentBroken
from chaoskit.model.history import Event
from chaoskit.model.member import Look
from tests.conductor.staging import down, plan_of, seconds
from tests.conductor.virtual_loop import VirtualLoop, run

Behaviour = Callable[[float], tuple[float, bool]]
"""Time since zero, s → (how long the look takes, whether it is ok)."""


def detect(
    folder: Path, behaviour: Behaviour, error: Exception | None = None, **when: Any
) -> tuple[Alert, list[Event], int]:
    async def work(loop: VirtualLoop) -> tuple[Alert, list[Event], int]:
        zero = loop.clock()
        heard: list[Event] = []
        recorder = Recorder(folder / "events.jsonl", loop.clock, heard.append)

        class Probe:
            async def look(self, service: str, estate: Any, timeout_s: float) -> Look:
                takes, ok = behaviour(loop.now - zero / 1e9)
                await asyncio.sleep(takes)
                if error is not None:
                    raise error
                return Look(ok, f"took {takes}")

        detector = Detector("step", "db", Probe(), down(**when), 20_000_000, None, recorder, loop.clock)  # type: ignore[arg-type]
        alert = await detector.alert(zero)
        recorder.close()
        assert len(asyncio.all_tasks()) == 1
        return alert, heard, zero

    return run(work)


def test_the_alert_comes_with_the_last_of_the_misses(tmp_path: Path) -> None:
    alert, heard, zero = detect(tmp_path, lambda t: (0.001, t < 0.3))
    assert alert.first_miss_ns - zero == pytest.approx(0.32e9, abs=1e6)
    assert alert.at_ns - zero == pytest.approx(0.521e9, abs=1e6)
    assert [event.kind for event in heard] == ["detect.ok", *["detect.miss"] * 3]


def test_a_miss_is_known_when_its_look_has_ended(tmp_path: Path) -> None:
    """One that was under way when the fault came is the fault's."""
    alert, _, _ = detect(tmp_path, lambda t: (0.04, False), timeout=seconds(0.2))
    assert alert.first_known_ns - alert.first_miss_ns == pytest.approx(0.04e9, abs=1e6)


def test_a_frozen_service_is_looked_at_on_schedule(tmp_path: Path) -> None:
    """Each look hangs for ten periods; waiting for one before the next would take ten times as long."""
    alert, heard, zero = detect(tmp_path, lambda t: (99, False), timeout=seconds(1))
    sent = [event.data["sent"] - zero for event in heard]
    assert sent == pytest.approx([0.02e9, 0.12e9, 0.22e9], abs=1e6)
    assert alert.at_ns - zero < 1.6e9
    assert "no answer within 1s" in heard[0].data["detail"]


def test_looks_count_in_the_order_of_sending(tmp_path: Path) -> None:
    """A slow good look that was sent between misses parts them, though it answers last."""

    def behaviour(t: float) -> tuple[float, bool]:
        return (0.24, True) if 0.1 < t < 0.15 else (0.001, False)

    alert, _, zero = detect(tmp_path, behaviour, timeout=seconds(0.3))
    assert alert.first_miss_ns - zero == pytest.approx(0.22e9, abs=1e6)


def test_an_error_of_the_network_is_a_miss(tmp_path: Path) -> None:
    _, heard, _ = detect(tmp_path, lambda t: (0, True), ConnectionRefusedError(111, "Connection refused"))
    assert heard[0].data["detail"] == "ConnectionRefusedError: [Errno 111] Connection refused"


def test_the_most_telling_probe_is_taken() -> None:
    def member(rank: int) -> type:
        return type(f"Probe{rank}", (), {"fits": staticmethod(lambda system, service: rank)})

    known = {"a": member(1), "b": member(3), "c": member(2), "d": member(0)}
    registry: Any = SimpleNamespace(members=lambda kind: known, member=lambda kind, name: known[name])
    assert type(probe_for(registry, plan_of().system, "db")) is known["b"]
    none: Any = SimpleNamespace(members=lambda kind: {"d": member(0)})
    with pytest.raises(EnvironmentBroken, match="no probe can tell whether db is down"):
        probe_for(none, plan_of().system, "db")
