"""When operations are to start: fixed before the run by seed, whatever the system does (open loop)."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from random import Random
from typing import NamedTuple


class Arrival(NamedTuple):
    """The n-th operation of a journey is to start at `intended_ns` (CLOCK_MONOTONIC)."""

    intended_ns: int
    journey: str
    number: int


def poisson(journey: str, per_second: float, start_ns: int, seed: str) -> Iterator[Arrival]:
    """Arrivals of customers who know nothing of each other: independent exponential gaps, for ever."""
    random = Random(seed)
    number, offset = 0, 0.0
    while True:
        offset += random.expovariate(per_second) * 1e9
        yield Arrival(start_ns + int(offset), journey, number)
        number += 1


def periodic(journey: str, every_ns: int, phase_ns: int, start_ns: int) -> Iterator[Arrival]:
    """Arrivals every period from `start_ns + phase_ns`, without drift, for ever."""
    number = 0
    while True:
        yield Arrival(start_ns + phase_ns + number * every_ns, journey, number)
        number += 1


def merged(arrivals: Iterable[Iterator[Arrival]]) -> Iterator[Arrival]:
    """All arrivals in order of time."""
    return heapq.merge(*arrivals)
