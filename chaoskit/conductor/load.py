"""The load: customers of every journey arriving by chance (Poisson, open loop), with retries and double taps.

`python -m chaoskit.conductor.load` takes a MeasurerTask on standard input. Its customers keep their
connections open. An operation of a journey with `books` that ends unknown is sent again under its key; 1 % of
the acknowledged ones are, too.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

from chaoskit.clock import Clock
from chaoskit.conductor.measurer import Lane
from chaoskit.conductor.request import Identity, RequestMaker
from chaoskit.conductor.schedule import Arrival, merged, poisson
from chaoskit.conductor.start import main
from chaoskit.conductor.targets import Targets
from chaoskit.conductor.task import MeasurerTask


def build(task: MeasurerTask, clock: Clock) -> tuple[dict[str, Lane], Iterator[Arrival]]:
    """The lanes and arrivals of a load; raises InputError for a journey that cannot be filled in."""
    identity = Identity("load", task.seed, task.salt)
    targets = Targets(task, keep=True, clock=clock)
    lanes = {}
    for name in task.rates:
        journey = task.journeys[name]
        host = f"{journey.service}:{journey.port or targets.address(name).port}"
        maker = RequestMaker(name, journey, journey.draw, task.population, identity, host, keep=True)
        again = journey.books is not None and not journey.reads
        lanes[name] = Lane(journey, maker, targets.of(name), task.late_max.ns, again)
    arrivals = merged(
        poisson(name, rate.per_second, task.start_at_ns, identity.stream(name, "arrivals"))
        for name, rate in task.rates.items()
    )
    return lanes, arrivals


if __name__ == "__main__":
    sys.exit(main("load", build))
