"""The toxics' stages alone, on a clock that the test moves."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as check
from hypothesis import strategies as st

from chaoskit.toxiproxy.toxics import KINDS
from chaoskit.toxiproxy.toxics.slicer import Slicer, slices
from chaoskit.toxiproxy.toxics.stage import Stage


@dataclass
class Call:
    at: float
    call: Callable[[], None]
    cancelled: bool = False

    def cancel(self) -> None:
        self.cancelled = True


@dataclass
class FakePort:
    """Records what a stage does, with the time it does it."""

    rng: random.Random = field(default_factory=lambda: random.Random(1))
    time: float = 0.0
    calls: list[Call] = field(default_factory=list)
    out: list[tuple[float, Any]] = field(default_factory=list)

    def now(self) -> float:
        return self.time

    def emit(self, data: bytes, at: float) -> None:
        self.out.append((round(self.time, 6), data))

    def emit_end(self) -> None:
        self.out.append((round(self.time, 6), "end"))

    def finish(self) -> None:
        self.out.append((round(self.time, 6), "finish"))

    def reset(self) -> None:
        self.out.append((round(self.time, 6), "reset"))

    def wake(self, at: float, call: Callable[[], None]) -> Call:
        made = Call(max(at, self.time), call)
        self.calls.append(made)
        return made

    def run_until(self, end: float) -> None:
        while due := [call for call in self.calls if not call.cancelled and call.at <= end]:
            first = min(due, key=lambda call: call.at)
            self.calls.remove(first)
            self.time = max(self.time, first.at)
            first.call()
        self.time = end


def stage(type: str, **attributes: int) -> tuple[Stage[Any], FakePort]:
    port = FakePort()
    kind = KINDS[type]
    made = kind.stage(kind.settings.checked(attributes), port)
    made.start()
    return made, port


def change(made: Stage[Any], **attributes: int) -> None:
    made.update(type(made.settings).checked(attributes))


def test_latency_counts_from_the_time_of_reading() -> None:
    made, port = stage("latency", latency=100)
    made.feed(b"a", 0.0)
    port.run_until(0.05)
    made.feed(b"b", 0.05)
    made.end()
    port.run_until(1)
    assert port.out == [(0.1, b"a"), (0.15, b"b"), (0.15, "end")]
    assert made.held_bytes == 0


def test_the_end_alone_is_not_delayed_by_latency() -> None:
    made, port = stage("latency", latency=100)
    made.end()
    assert port.out == [(0.0, "end")]


def test_latency_update_moves_what_is_held() -> None:
    made, port = stage("latency", latency=60_000)
    made.feed(b"a", 0.0)
    change(made, latency=200)
    port.run_until(1)
    assert port.out == [(0.2, b"a")]


def test_bandwidth_trickles_in_tenths_of_a_second() -> None:
    made, port = stage("bandwidth", rate=1)
    made.feed(bytes(250), 0.0)
    made.end()
    port.run_until(1)
    assert [(at, len(data) if data != "end" else data) for at, data in port.out] == [
        (0.1, 100),
        (0.2, 100),
        (0.25, 50),
        (0.25, "end"),
    ]


def test_bandwidth_does_not_save_up_while_idle() -> None:
    made, port = stage("bandwidth", rate=1)
    port.run_until(10)
    made.feed(bytes(100), 10.0)
    port.run_until(11)
    assert port.out == [(10.1, bytes(100))]


def test_slicer_pauses_after_each_slice() -> None:
    made, port = stage("slicer", average_size=10, delay=1000)
    made.feed(bytes(40), 0.0)
    port.run_until(1)
    assert [at for at, _ in port.out] == [0.0, 0.001, 0.002, 0.003]


def test_timeout_restarts_on_every_chunk() -> None:
    made, port = stage("timeout", timeout=100)
    port.run_until(0.08)
    made.feed(b"dropped", 0.08)
    port.run_until(0.15)
    assert port.out == []
    port.run_until(1)
    assert port.out == [(0.18, "finish")]


def test_reset_peer_does_not_wait_for_bytes() -> None:
    made, port = stage("reset_peer", timeout=100)
    made.feed(b"dropped", 0.0)
    made.end()
    port.run_until(1)
    assert port.out == [(0.1, "reset")]


def test_slow_close_is_shortened_by_an_update() -> None:
    made, port = stage("slow_close", delay=60_000)
    made.feed(b"a", 0.0)
    made.end()
    port.run_until(1)
    change(made, delay=2000)
    port.run_until(5)
    assert port.out == [(0.0, b"a"), (2.0, "end")]


def test_limit_data_counts_over_updates() -> None:
    made, port = stage("limit_data", bytes=5)
    made.feed(b"123", 0.0)
    change(made, bytes=4)
    made.feed(b"45", 0.0)
    assert port.out == [(0.0, b"123"), (0.0, b"4"), (0.0, "finish")]


@pytest.mark.parametrize(
    ("type", "attributes"),
    [
        ("latency", {"latency": 1000}),
        ("bandwidth", {"rate": 1}),
        ("slicer", {"average_size": 2, "delay": 10_000}),
        ("slow_close", {"delay": 1000}),
        ("noop", {}),
    ],
)
def test_removal_passes_on_all_that_is_held_in_order(type: str, attributes: dict[str, int]) -> None:
    made, port = stage(type, **attributes)
    made.feed(b"abcdef", 0.0)
    made.feed(b"gh", 0.0)
    made.end()
    made.release()
    assert b"".join(data for _, data in port.out if data != "end") == b"abcdefgh"
    assert port.out[-1][1] == "end"
    port.run_until(100)
    assert [data for _, data in port.out].count("end") == 1
    assert made.held_bytes == 0


@pytest.mark.parametrize("type", ["timeout", "reset_peer"])
def test_removal_closes_where_bytes_may_be_missing(type: str) -> None:
    made, port = stage(type, timeout=60_000)
    made.release()
    assert port.out == [(0.0, "finish")]


@check(deadline=None)
@given(
    chunks=st.lists(st.binary(min_size=1, max_size=300), max_size=10),
    gaps=st.lists(st.floats(0, 0.2), min_size=10, max_size=10),
    seed=st.integers(0, 1000),
    member=st.sampled_from(
        [
            ("latency", {"latency": 50, "jitter": 50}),
            ("bandwidth", {"rate": 1}),
            ("slicer", {"average_size": 7, "size_variation": 3, "delay": 500}),
        ]
    ),
)
def test_no_toxic_that_only_delays_loses_or_reorders_a_byte(
    chunks: list[bytes], gaps: list[float], seed: int, member: tuple[str, dict[str, int]]
) -> None:
    made, port = stage(member[0], **member[1])
    port.rng.seed(seed)
    for chunk, gap in zip(chunks, gaps, strict=False):
        made.feed(chunk, port.time)
        port.run_until(port.time + gap)
    made.end()
    port.run_until(port.time + 100)
    assert b"".join(data for _, data in port.out if data != "end") == b"".join(chunks)
    assert port.out[-1][1] == "end"


@check(deadline=None)
@given(
    length=st.integers(1, 5000),
    average=st.integers(1, 500),
    variation=st.integers(0, 499),
    seed=st.integers(0, 1000),
)
def test_slices_cover_everything_once(length: int, average: int, variation: int, seed: int) -> None:
    settings = Slicer(average_size=average, size_variation=min(variation, average - 1))
    found = list(slices(length, settings, random.Random(seed)))
    assert found[0][0] == 0
    assert found[-1][1] == length
    assert all(before[1] == after[0] for before, after in itertools.pairwise(found))
    assert all(end - begin <= average + settings.size_variation for begin, end in found)
