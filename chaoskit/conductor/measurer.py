"""Plays customers on schedule and records what they saw: the engine that load and prober share.

arrivals ──┐
           ├─► alarm ─► intent ──► request ──► answer ─► done
again ─────┘              │                                │
(retries, double taps) ◄──┼────────────────────────────────┘
                          ▼
                       journal
"""

from __future__ import annotations

import asyncio
import gc
import heapq
import signal
import time
from array import array
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import replace

from chaoskit.clock import Clock
from chaoskit.conductor.answer import Answer, Target
from chaoskit.conductor.attempt import Attempt, done
from chaoskit.conductor.journal import MISSED_LATE, MISSED_OUTSTANDING, JournalWriter
from chaoskit.conductor.outcome import FIELDS_MAX, Judged, judged
from chaoskit.conductor.percentiles import percentiles_ms
from chaoskit.conductor.precision import Alarm
from chaoskit.conductor.request import RequestMaker
from chaoskit.conductor.schedule import Arrival
from chaoskit.conductor.task import MeasurerTask
from chaoskit.model.journey import Journey
from chaoskit.processor import scheduling, yield_processor

BURST = 16
"""Overdue requests sent before answers are looked at again."""
DRAIN_RETRIES_NS = 500_000_000
"""When told to stop, every pending retry is sent a last time, spread over this."""
TAP_DELAY_NS = (100_000_000, 2_000_000_000)
"""A customer taps a second time this long after the acknowledgement, uniformly."""
FULL_COLLECTION_BEATS = 20


@dataclass(frozen=True, slots=True)
class Lane:
    """How one journey is driven. `late_max_ns`: an arrival later than this is recorded as missed. `again`:
    its unknown operations are retried and some acknowledged ones tapped twice. `fields` are those that answers without
    the age that was looked for had, each with when it was first seen, ns."""

    journey: Journey
    maker: RequestMaker
    target: Target
    late_max_ns: int
    again: bool
    fields: dict[str, int] = field(default_factory=dict)

    @property
    def limit_ns(self) -> int:
        """A customer gives up `within` after sending; the operation is then unknown."""
        return self.journey.good.within.ns


class Measurer:
    """Runs lanes from their arrivals until told to stop, then drains; one journal, one thread, one loop."""

    def __init__(
        self,
        task: MeasurerTask,
        lanes: dict[str, Lane],
        arrivals: Iterator[Arrival],
        journal: JournalWriter,
        clock: Clock,
    ) -> None:
        self._task, self._lanes, self._arrivals = task, lanes, arrivals
        self._journal, self._clock = journal, clock
        self._again: list[tuple[int, int, Attempt]] = []
        self._stopping: asyncio.Event = asyncio.Event()
        self._drained: asyncio.Event = asyncio.Event()
        self._failure: Exception | None = None
        self._late_ns = array("q")
        self._late_of_beat = 0
        self._bound: Counter[str] = Counter()
        self._id = self._planned = self._scheduled = self._sent = self._outstanding = self._beats = 0
        self._beat_timer: asyncio.TimerHandle | None = None

    async def run(self, about: dict[str, Any]) -> None:
        """Returns when drained; raises EnvironmentBroken when nothing can be recorded any more."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        loop.set_exception_handler(self._broke)
        task = self._task
        started_cpu_ns = time.process_time_ns()
        self._journal.write({"r": "begin", "t": self._clock(), **about})
        self._alarm = Alarm(loop, self._ring)
        loop.call_later(max(0.0, (task.start_at_ns - self._clock()) / 1e9) + task.longest.s, self.stop)
        self._next = self._prepare()
        self._set_alarm()
        self._beat()
        try:
            await self._stopping.wait()
            await self._drained.wait()
        finally:
            self._close()
        if self._failure is not None:
            raise self._failure
        held = scheduling()  # real time is lost by a measurer that ran too long without a pause
        yield_processor()
        late = percentiles_ms(list(self._late_ns))
        cpu_ns = time.process_time_ns() - started_cpu_ns
        end = {
            "r": "end",
            "t": self._clock(),
            **self._counts(),
            "late_ms": late,
            "cpu_ns": cpu_ns,
            "scheduling": held,
            "fields": {name: lane.fields for name, lane in self._lanes.items() if lane.fields},
        }
        self._journal.write(end)

    def stop(self) -> None:
        """Schedule nothing more, send pending retries once more, wait for every answer or its limit."""
        if self._stopping.is_set():
            return
        self._stopping.set()
        now = self._clock()
        retries = [attempt for _, _, attempt in self._again if not attempt.tap]
        self._again.clear()
        for attempt in retries:
            self._plan_again(attempt, now + int(attempt.chance("drain") * DRAIN_RETRIES_NS))
        self._set_alarm()
        self._look_drained()

    # -- sending

    def _prepare(self) -> Attempt:
        arrival = next(self._arrivals)
        request = self._lanes[arrival.journey].maker.make(arrival.number)
        return Attempt(request, 1, False, arrival.intended_ns)

    def _ring(self) -> None:
        try:
            for _ in range(BURST):
                now = self._clock()
                if self._again and self._again[0][0] <= now:
                    self._send(heapq.heappop(self._again)[2])
                elif not self._stopping.is_set() and self._next.intended_ns <= now:
                    self._send(self._next)
                    self._next = self._prepare()
                else:
                    break
        except Exception as error:  # noqa: BLE001 - asyncio would only log it; it must end the run
            self._fail(error)
            return
        self._set_alarm()
        self._look_drained()

    def _set_alarm(self) -> None:
        due = [self._next.intended_ns] if not self._stopping.is_set() else []
        if self._again:
            due.append(self._again[0][0])
        if due:
            self._alarm.set(min(due))

    def _send(self, attempt: Attempt) -> None:
        lane = self._lanes[attempt.request.journey]
        woke = self._clock()
        late = woke - attempt.intended_ns
        self._id += 1
        if attempt.scheduled:
            self._scheduled += 1
            self._late_ns.append(late)
            self._late_of_beat = max(self._late_of_beat, late)
        if late > lane.late_max_ns and attempt.scheduled:
            self._miss(attempt, MISSED_LATE)
        elif self._outstanding >= self._task.outstanding_max:
            self._miss(attempt, MISSED_OUTSTANDING)
        else:
            self._sent += attempt.scheduled
            self._outstanding += 1
            self._journal.write(attempt.intent(self._id, woke))
            identity = self._id
            lane.target.exchange(
                attempt.request.message,
                lane.limit_ns,
                lambda answer: self._answered(identity, woke, attempt, answer),
            )

    def _miss(self, attempt: Attempt, error: str) -> None:
        self._journal.write(attempt.missed(self._id, error))

    # -- answers

    def _answered(self, identity: int, woke_ns: int, attempt: Attempt, answer: Answer) -> None:
        self._outstanding -= 1
        lane = self._lanes[attempt.request.journey]
        result = judged(lane.journey, answer)
        for name in result.fields:
            if name not in lane.fields and len(lane.fields) < FIELDS_MAX:
                lane.fields[name] = answer.done_ns
        try:
            self._journal.write(done(identity, woke_ns, answer, result))
            if lane.again:
                self._consider_again(attempt, answer, result)
        except Exception as error:  # noqa: BLE001 - as in _ring
            self._fail(error)
        self._look_drained()

    def _consider_again(self, attempt: Attempt, answer: Answer, result: Judged) -> None:
        if self._stopping.is_set() or attempt.tap:
            return
        retry = self._task.retry
        # What a first connect error refuses was never in doubt; after an unknown attempt it leaves the doubt standing.
        doubtful = result.outcome == "unknown" or (attempt.number > 1 and answer.ending == "connect")
        if doubtful and attempt.number < retry.attempts:
            pause = retry.backoff.ns * retry.factor ** (attempt.number - 1) * (0.5 + attempt.chance("pause"))
            self._plan_again(attempt.repeated(tap=False), answer.done_ns + int(pause))
        elif result.outcome == "ok":
            self._consider_tap(attempt, answer)

    def _consider_tap(self, attempt: Attempt, answer: Answer) -> None:
        lane = self._lanes[attempt.request.journey]
        shortest, longest = TAP_DELAY_NS
        due = answer.done_ns + shortest + int(attempt.chance("delay") * (longest - shortest))
        if attempt.chance("tap") < self._task.double_taps:
            self._plan_again(attempt.repeated(tap=True), due)
        elif lane.journey.bound_key and self._misuses(attempt):
            other = lane.maker.other(attempt.request)
            if other is not None:
                self._plan_again(attempt.misused(other), due)

    def _misuses(self, attempt: Attempt) -> bool:
        """Counted, not drawn: in a short run chance may pick none, and then nothing was judged."""
        number = self._bound[attempt.request.journey]
        self._bound[attempt.request.journey] += 1
        return number % self._task.misuse_every == 0

    def _plan_again(self, attempt: Attempt, due_ns: int) -> None:
        planned = replace(attempt, intended_ns=due_ns)
        self._planned += 1
        heapq.heappush(self._again, (due_ns, self._planned, planned))
        if self._again[0][2] is planned:
            self._set_alarm()

    # -- life

    def _look_drained(self) -> None:
        if self._stopping.is_set() and not self._again and not self._outstanding:
            self._drained.set()

    def _beat(self) -> None:
        try:
            late = round(self._late_of_beat / 1e6, 3)
            beat = {"r": "beat", "t": self._clock(), **self._counts(), "late_max_ms": late}
            self._journal.write(beat | {"outstanding": self._outstanding})
        except Exception as error:  # noqa: BLE001 - as in _ring
            self._fail(error)
            return
        self._late_of_beat = 0
        self._beats += 1
        gc.collect(2 if self._beats % FULL_COLLECTION_BEATS == 0 else 1)
        self._beat_timer = asyncio.get_running_loop().call_later(self._task.beat.s, self._beat)

    def _broke(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """A mistake of the measurer must end it: otherwise it would look like an outage of the system."""
        error = context.get("exception")
        self._fail(error if isinstance(error, Exception) else RuntimeError(context["message"]))

    def _fail(self, error: Exception) -> None:
        self._failure = self._failure or error
        self._stopping.set()
        self._drained.set()

    def _close(self) -> None:
        self._alarm.close()
        if self._beat_timer is not None:
            self._beat_timer.cancel()
        for lane in self._lanes.values():
            lane.target.close()

    def _counts(self) -> dict[str, int]:
        return {
            "scheduled": self._scheduled,
            "sent": self._sent,
            "missed": self._scheduled - self._sent,
        }
