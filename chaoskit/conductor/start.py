"""Starts a measurer's process: task from standard input, claim on the processor, loop, exit status.

Exit status: 0 told to stop and drained (the journal has its `end`) · 2 the task is wrong · 3 the journal
cannot be written.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, Literal

import uvloop
from pydantic import ValidationError

from chaoskit.clock import Clock, monotonic_ns
from chaoskit.conductor.journal import JournalWriter
from chaoskit.conductor.measurer import Lane, Measurer
from chaoskit.conductor.precision import claim_descriptors, claim_session
from chaoskit.conductor.schedule import Arrival
from chaoskit.conductor.task import MeasurerTask
from chaoskit.errors import ChaoskitError, InputError
from chaoskit.processor import MEASURER, claim_processor, scheduling, still_garbage

Build = Callable[[MeasurerTask, Clock], tuple[dict[str, Lane], Iterator[Arrival]]]
RESERVED_DESCRIPTORS = 64
READY_NS = 30_000_000
"""To the first arrival, from reading the task and again from claiming the processor: for journeys and the loop."""


def main(source: Literal["load", "prober"], build: Build) -> int:
    """Run one measurer to its end; problems go to standard error."""
    claim_session()
    try:
        task = _read_task(source)
        build(task, monotonic_ns)  # a journey that cannot be filled in is refused before there is a journal
        with JournalWriter(task.journal) as journal:
            _run(task, build, journal)
    except ChaoskitError as error:
        return _failed(f"{source}: {error}", error.exit_code)
    except OSError as error:
        return _failed(f"{source}: {error.filename or ''}: {error.strerror}", 3)
    return 0


def _failed(why: str, status: int) -> int:
    with suppress(OSError):  # where the journal has no room, what it says may have none either
        print(why, file=sys.stderr, flush=True)
    return status


def _read_task(source: str) -> MeasurerTask:
    try:
        task = MeasurerTask.model_validate_json(sys.stdin.buffer.read())
    except ValidationError as error:
        raise InputError(f"the task on standard input is wrong: {error}") from None
    if task.source != source:
        raise InputError(f"the task is one for the {task.source}")
    free = claim_descriptors() - RESERVED_DESCRIPTORS
    # By now the interpreter is up. Had it taken longer than whoever starts us thought, the first arrivals would be
    # late or missed through no fault of the system.
    start_ns = max(task.start_at_ns, monotonic_ns() + READY_NS)
    return task.model_copy(
        update={"outstanding_max": max(1, min(free, task.outstanding_max)), "start_at_ns": start_ns}
    )


def _run(task: MeasurerTask, build: Build, journal: JournalWriter) -> None:
    still_garbage()
    # Arrivals before this process was ready would all come late, in one burst.
    start_ns = max(task.start_at_ns, monotonic_ns() + READY_NS)
    task = task.model_copy(update={"start_at_ns": start_ns})
    lanes, arrivals = build(task, monotonic_ns)
    # Last: what takes long must not hold the machine.
    granted = claim_processor(MEASURER) if task.realtime else scheduling()
    about: dict[str, Any] = {
        "source": task.source,
        "version": "1",
        "pid": os.getpid(),
        "seed": task.seed,
        "start_at": task.start_at_ns,
        "rates": {name: str(rate) for name, rate in task.rates.items()},
        "probes": [probe.model_dump(mode="json") for probe in task.probes],
        "beat_ns": task.beat.ns,
        "outstanding_max": task.outstanding_max,
        "limits_ns": {name: lane.limit_ns for name, lane in lanes.items()},
        "scheduling": granted,
    }

    async def run() -> None:
        await Measurer(task, lanes, arrivals, journal, monotonic_ns).run(about)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())
