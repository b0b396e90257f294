"""Customers by hand: one attempt of a journey, by the drills' own clients, judged as the drills judge it."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from chaoskit.clock import monotonic_ns
from chaoskit.conductor.answer import Answer
from chaoskit.conductor.draw import Drawn
from chaoskit.conductor.measurers import targets
from chaoskit.conductor.outcome import judged
from chaoskit.conductor.request import Identity, Request, RequestMaker
from chaoskit.conductor.targets import Targets
from chaoskit.conductor.task import MeasurerTask
from chaoskit.errors import InputError
from chaoskit.model.journey import Between, Journey
from chaoskit.model.plan import ProbeSchedule
from chaoskit.quantity import Duration, Money
from chaoskit.spec.places import nearest, shown
from chaoskit.testing.live import Live


@dataclass(frozen=True)
class Attempt:
    """One customer's attempt.

    `outcome`: ok it took effect, fail it certainly did not, unknown it may have, accepted it will. `seconds`: from when
    the customer began, connecting included. `good`: ok, not admitted to be old, and within the journey's own limit.
    `values`: what was drawn or given. `key`: its idempotency key. `read`: the fields that the journey's `read:` names;
    by SQL, the first row's.
    """

    journey: str
    outcome: Literal["ok", "fail", "unknown", "accepted"]
    seconds: float
    good: bool
    key: str
    values: Mapping[str, str]
    error: str | None = None
    status: int | None = None
    body: bytes = b""
    read: Mapping[str, Any] = field(default_factory=dict)
    request: Request | None = field(default=None, repr=False)

    @property
    def ok(self) -> bool:
        return self.outcome == "ok"

    def json(self) -> Any:
        """The answer's body as JSON; ValueError for one that is none."""
        return json.loads(self.body)


class Customers:
    """All journeys of one estate; lives on the estate's loop. Each attempt is a new customer's, on a new connection."""

    def __init__(self, live: Live) -> None:
        self._live = live
        self._identity = Identity("test", live.plan.seed, live.estate.run)
        self._numbers = {name: itertools.count() for name in live.plan.system.journeys}
        self._makers: dict[tuple[str, float], RequestMaker] = {}
        self._targets: tuple[Mapping[str, tuple[str, int]], Targets] | None = None

    async def attempt(
        self, name: str, within_s: float, given: Mapping[str, str], again: Request | None = None
    ) -> Attempt:
        """Play the journey once. `again` is sent as it is: the same customer repeats the same request."""
        journey = self._live.plan.system.journeys[name]
        request = again
        if request is None:
            drawn = {key: _drawn(name, journey, key, value) for key, value in given.items()}
            request = self._maker(name, journey, within_s).make(next(self._numbers[name]), drawn)
        answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        target = self._reached().of(name)
        begun = monotonic_ns()
        target.exchange(
            request.message,
            int(within_s * 1e9),
            lambda answer: None if answered.done() else answered.set_result(answer),
        )
        answer = await answered
        found = judged(journey, answer)
        took_ns = answer.done_ns - begun
        return Attempt(
            journey=name,
            outcome=found.outcome,
            seconds=took_ns / 1e9,
            good=found.outcome == "ok"
            and found.read.get("age") in (None, 0)
            and took_ns <= journey.good.within.ns,
            key=request.key,
            values=request.values,
            error=found.error,
            status=answer.status,
            body=answer.body,
            read=found.read or dict(answer.read),
            request=request,
        )

    def close(self) -> None:
        """Cut every connection."""
        if self._targets is not None:
            for name in self._live.plan.system.journeys:
                self._targets[1].of(name).close()

    def _maker(self, name: str, journey: Journey, within_s: float) -> RequestMaker:
        """A class of the user's own is told how long its customer waits; that is the test's to say here."""
        if (name, within_s) not in self._makers:
            patient = journey.good.model_copy(update={"within": Duration.of_ns(int(within_s * 1e9))})
            self._makers[name, within_s] = RequestMaker(
                name,
                journey.model_copy(update={"good": patient}),
                journey.draw,
                self._live.plan.system.population,
                self._identity,
                f"{journey.service}:{self._reached().address(name).port}",
                keep=False,
            )
        return self._makers[name, within_s]

    def _reached(self) -> Targets:
        """Where the customers connect now: a service that was started again may have another address."""
        reach = targets(self._live.plan, self._live.estate)
        if self._targets is None or self._targets[0] != reach:
            self._targets = (reach, Targets(self._task(reach), keep=False, clock=monotonic_ns))
        return self._targets[1]

    def _task(self, reach: Mapping[str, tuple[str, int]]) -> MeasurerTask:
        system = self._live.plan.system
        return MeasurerTask(
            source="prober",
            journeys=system.journeys,
            probes=tuple(
                ProbeSchedule(journey=name, every=one.probe.every, phase_ns=0)
                for name, one in system.journeys.items()
            ),
            population=system.population,
            folder=system.folder,
            seed=self._live.plan.seed,
            targets=dict(reach),
            start_at_ns=0,
            journal=Path("unused"),
        )


def _drawn(name: str, journey: Journey, key: str, value: str) -> Drawn:
    """A value that the test gives instead of one that is drawn."""
    if key not in journey.draw:
        hint = nearest(key, journey.draw, "drawn values")
        raise InputError(f"the journey {name} draws no value called {shown(key)}; {hint}")
    if not isinstance(journey.draw[key], Between):
        return Drawn(str(value))
    try:
        money = Money.parse(str(value))
    except ValueError as error:
        raise InputError(f"{name}: {key}={shown(value)}: {error}") from None
    minor = int(money.amount * 100)
    return Drawn(f"{minor // 100}.{minor % 100:02d}", minor, money.currency)
