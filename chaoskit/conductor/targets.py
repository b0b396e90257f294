"""Where each journey's messages go: one set of connections for all that share an address and a log-in."""

from __future__ import annotations

from pathlib import Path

from chaoskit.clock import Clock
from chaoskit.conductor.answer import Target
from chaoskit.conductor.http_client import Target as HttpTarget
from chaoskit.conductor.task import MeasurerTask
from chaoskit.model.estate import Address
from chaoskit.model.own_class import load_class


class Targets:
    """The targets of one measurer, made as journeys ask for them; raises InputError for a class that cannot be used."""

    def __init__(self, task: MeasurerTask, *, keep: bool, clock: Clock) -> None:
        self._task, self._keep, self._clock = task, keep, clock
        self._made: dict[tuple[object, ...], Target] = {}

    def address(self, name: str) -> Address:
        """Where a journey's customers connect: its own port where it names one, else the service's first."""
        journey = self._task.journeys[name]
        known = self._task.targets
        return Address(*known.get(f"{journey.service}:{journey.port}", known[journey.service]))

    def of(self, name: str) -> Target:
        """The target of a journey."""
        journey, address = self._task.journeys[name], self.address(name)
        sql = journey.sql
        key: tuple[object, ...] = (address, journey.kind)
        if sql is not None:
            key += (sql.database, sql.user, sql.password)
        elif journey.class_ is not None:
            key += (name,)
        if key not in self._made:
            self._made[key] = self._make(name, address)
        return self._made[key]

    def _make(self, name: str, address: Address) -> Target:
        journey = self._task.journeys[name]
        # Each kind's client when a journey needs it: PostgreSQL's takes a fifth of a measurer's start.
        if journey.sql is not None:
            from chaoskit.conductor.sql_client import SqlTarget

            return SqlTarget(address.host, address.port, journey.sql, keep=self._keep, clock=self._clock)
        if journey.class_ is not None:
            from chaoskit.conductor.class_client import ClassTarget, maker_of

            own = load_class(journey.class_, Path(self._task.folder), "chaoskit.journeys")
            make = maker_of(own, journey.with_, journey.class_)
            return ClassTarget(address, make, journey.class_, keep=self._keep, clock=self._clock)
        return HttpTarget(address.host, address.port, keep=self._keep, clock=self._clock)
