"""The prober: one operation per journey and period, apart from the load, to time outages.

`python -m chaoskit.conductor.prober` takes a MeasurerTask on standard input. Each probe is a new customer
with a connection of its own, so a connection stuck on a dead path never spoils a later probe, and the end of
an outage shows at the next probe (resets of connections that customers keep open show in the load). Probes
overlap: one that hangs delays no other. An unknown probe is not repeated; its key is resolved from the books
like any other. A probe whose turn comes later than its period is recorded as missed, not sent.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

from chaoskit.clock import Clock
from chaoskit.conductor.measurer import Lane
from chaoskit.conductor.request import Identity, RequestMaker
from chaoskit.conductor.schedule import Arrival, merged, periodic
from chaoskit.conductor.start import main
from chaoskit.conductor.targets import Targets
from chaoskit.conductor.task import MeasurerTask


def build(task: MeasurerTask, clock: Clock) -> tuple[dict[str, Lane], Iterator[Arrival]]:
    """The lanes and arrivals of a prober; raises InputError for a journey that cannot be filled in."""
    identity = Identity("prober", task.seed, task.salt)
    targets = Targets(task, keep=False, clock=clock)
    lanes = {}
    for probe in task.probes:
        journey = task.journeys[probe.journey]
        host = f"{journey.service}:{journey.port or targets.address(probe.journey).port}"
        draw = {**journey.draw, **journey.probe.draw}
        maker = RequestMaker(probe.journey, journey, draw, task.population, identity, host, keep=False)
        lanes[probe.journey] = Lane(journey, maker, targets.of(probe.journey), probe.every.ns, again=False)
    arrivals = merged(
        periodic(probe.journey, probe.every.ns, probe.phase_ns, task.start_at_ns) for probe in task.probes
    )
    return lanes, arrivals


if __name__ == "__main__":
    sys.exit(main("prober", build))
