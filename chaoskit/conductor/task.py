"""What a measurer (load or prober) is told to do: one JSON document on its standard input."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from chaoskit.model.base import Frozen
from chaoskit.model.journey import Journey
from chaoskit.model.population import Population
from chaoskit.model.probing import ProbeSchedule
from chaoskit.quantity import Duration, Rate


class RetryPolicy(Frozen):
    """How an unknown operation that moves money is sent again, under its key and with its payload.

    Attempt n + 1 follows the end of attempt n after backoff × factor^(n-1), spread by ± 50 % so that an
    outage does not end in a wave of its own making.
    """

    attempts: Annotated[int, Field(ge=1, le=20, description="sendings in all, the first one included")] = 4
    backoff: Duration = Duration.parse("500ms")
    factor: Annotated[float, Field(ge=1, le=10)] = 3.0


class MeasurerTask(Frozen):
    """What one measurer does from `start_at_ns` until it is told to stop (SIGTERM)."""

    source: Literal["load", "prober"]
    journeys: dict[str, Journey]
    rates: Annotated[
        dict[str, Rate], Field(description="load: arrivals per second, per journey, Poisson")
    ] = {}
    probes: Annotated[
        tuple[ProbeSchedule, ...], Field(description="prober: period and phase, per journey")
    ] = ()
    population: Population | None = None
    folder: Annotated[str, Field(description="of system.yaml: where classes of the user's own are found")] = (
        "."
    )
    seed: int
    salt: Annotated[
        str,
        Field(description="mixed into the keys; give the run's id where the books outlive a run"),
    ] = ""
    targets: Annotated[
        dict[str, tuple[str, int]],
        Field(
            description="service, or service:port → (host, port) of the customers' link to it, or of the service itself"
        ),
    ]
    start_at_ns: Annotated[
        int,
        Field(
            description="CLOCK_MONOTONIC; arrivals are counted from here, or from when the measurer is ready"
        ),
    ]
    journal: Annotated[Path, Field(strict=False, description="file to append to; made if it is missing")]
    double_taps: Annotated[
        float, Field(ge=0, le=1, description="share of acknowledged payments that are sent once more")
    ] = 0.01
    misuse_every: Annotated[
        int,
        Field(
            ge=1,
            description="where the journey says `bound-key`, the key of the first acknowledged payment, and of every "
            "so-manieth one after it, is sent once more with another payload",
        ),
    ] = 25
    retry: RetryPolicy = RetryPolicy()
    outstanding_max: Annotated[
        int,
        Field(ge=1, le=50_000, description="requests in flight; an arrival beyond it is recorded as missed"),
    ] = 4000
    late_max: Annotated[
        Duration,
        Field(
            description="load: an arrival that comes up later than this, because the measurer itself was held "
            "up, is recorded as missed, not sent in a burst that no customer made; the prober's is its period"
        ),
    ] = Duration.parse("500ms")
    beat: Annotated[
        Duration, Field(description="period of the `beat` record, which shows that the measurer lives")
    ] = Duration.parse("500ms")
    longest: Annotated[
        Duration, Field(description="the measurer stops by itself after this, whatever became of its parent")
    ] = Duration.parse("6h")
    realtime: Annotated[
        bool,
        Field(description="ask the kernel for real-time scheduling (root or RLIMIT_RTPRIO); refused is fine"),
    ] = True

    @model_validator(mode="after")
    def _complete(self) -> MeasurerTask:
        driven = set(self.rates) if self.source == "load" else {probe.journey for probe in self.probes}
        if not driven:
            raise ValueError(f"the {self.source} has no journey to drive")
        if missing := driven - set(self.journeys):
            raise ValueError(f"no such journey: {', '.join(sorted(missing))}")
        services = {self.journeys[name].service for name in driven}
        if missing := services - set(self.targets):
            raise ValueError(f"no target for: {', '.join(sorted(missing))}")
        return self
