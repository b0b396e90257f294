"""A service's health check as its Compose file or image says it, run by chaoskit from the start on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from chaoskit.errors import EnvironmentBroken
from chaoskit.model import compose as compose_model
from chaoskit.quantity import Duration
from chaoskit.runtimes.docker.engine import Engine
from chaoskit.runtimes.docker.engine_socket import EngineRefused

LEAST_S = 20.0
_PAUSE_S = 0.1
_PAUSE_MAX_S = 0.4
_BEFORE_S = 1.0
_WORDS = 400


@dataclass(frozen=True)
class HealthCheck:
    """`test` is the command in the container, already with its shell; times in seconds, as Compose means them."""

    test: tuple[str, ...]
    interval_s: float = 30.0
    timeout_s: float = 30.0
    retries: int = 3
    start_period_s: float = 0.0

    @property
    def within_s(self) -> float:
        """How long the engine itself would let a check fail before it called the service unhealthy.

        At least `LEAST_S`: retries counted in milliseconds would make a busy machine a sick service.
        """
        return max(LEAST_S, self.start_period_s + self.retries * self.interval_s)


def merged(image: Mapping[str, Any] | None, compose: compose_model.HealthCheck | None) -> HealthCheck | None:
    """The Compose file's check over the image's HEALTHCHECK (in the engine's form: times in ns, 0 for the default).

    None when neither has one, or the file switches it off.
    """
    given = image or {}
    told = compose or compose_model.HealthCheck()
    test = told.test or tuple(given.get("Test") or ())
    if told.disable or not test or test[0] == "NONE":
        return None
    command = test[1:] if test[0] == "CMD" else ("/bin/sh", "-c", *test[1:])

    def seconds(duration: Duration | None, key: str, otherwise: float) -> float:
        return duration.s if duration is not None else (given.get(key) or otherwise * 1e9) / 1e9

    return HealthCheck(
        command,
        seconds(told.interval, "Interval", 30.0),
        seconds(told.timeout, "Timeout", 30.0),
        told.retries or given.get("Retries") or 3,
        seconds(told.start_period, "StartPeriod", 0.0),
    )


async def until_healthy(
    engine: Engine, service: str, container: str, check: HealthCheck, listening: asyncio.Event
) -> None:
    """Run the check from the start on, again and again until it passes: waiting an interval would only take longer.

    A check costs the starting service processor time, so it is run as soon as the service listens, and before
    that once a second. Raises EnvironmentBroken with the check's own words when one fails after `check.within_s`
    seconds. Whoever calls this cancels it when the container ends.
    """
    deadline = time.monotonic() + check.within_s
    pause_s = _PAUSE_S
    while True:
        with suppress(TimeoutError):
            await asyncio.wait_for(listening.wait(), min(_BEFORE_S, check.interval_s))
        passed, said = await _run(engine, service, container, check)
        if passed:
            return
        if time.monotonic() > deadline:
            raise EnvironmentBroken(
                f"{service} is unhealthy: its health check `{' '.join(check.test)}` did not pass within "
                f"{check.within_s:g} s; the last one said: {said}"
            )
        await asyncio.sleep(min(pause_s, check.interval_s))
        pause_s = min(pause_s * 1.5, _PAUSE_MAX_S)


async def _run(engine: Engine, service: str, container: str, check: HealthCheck) -> tuple[bool, str]:
    api = engine.client.api

    def run() -> tuple[int | None, bytes]:
        made = api.exec_create(container, list(check.test))["Id"]
        output: bytes = api.exec_start(made)
        return api.exec_inspect(made)["ExitCode"], output

    try:
        async with asyncio.timeout(check.timeout_s):
            code, output = await engine.do(f"run the health check of {service}", run)
    except TimeoutError:
        return False, f"no answer within {check.timeout_s:g} s"
    except EngineRefused as error:  # it restarts just now, or has no such program
        return False, str(error)
    text = output.decode(errors="replace").strip()[-_WORDS:]
    return code == 0, f"exit status {code}: {text or 'no word'}"
