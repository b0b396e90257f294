"""A running estate for engineers' own tests, from synchronous code: links, faults and journeys as objects."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

import psycopg
from psycopg.rows import dict_row

from chaoskit.errors import EnvironmentBroken, InputError
from chaoskit.model.estate import Address, Runtime
from chaoskit.model.plan import Fidelity
from chaoskit.model.system import System
from chaoskit.quantity import Duration
from chaoskit.spec import Loaded
from chaoskit.spec.places import nearest, shown
from chaoskit.testing import asked
from chaoskit.testing.customers import Attempt, Customers
from chaoskit.testing.faults import Broken
from chaoskit.testing.links import LinkUnderTest
from chaoskit.testing.live import Live, start
from chaoskit.testing.loop_thread import LoopThread
from chaoskit.testing.restoring import Reset, restore

START_WITHIN_S = 600.0
"""Images may have to be built; what is started has limits of its own."""
CLOSE_WITHIN_S = 90.0
RESET_WITHIN_S = 240.0
CONNECT_S = 10
_AGAIN_S = 0.05
PATIENCE = "10s"
T = TypeVar("T")
Work = Callable[[Live, Customers], Coroutine[Any, Any, T]]


class JourneyUnderTest:
    """A journey of the system; every attempt is a new customer's."""

    def __init__(self, estate: RunningEstate, name: str, patience: Duration) -> None:
        self.name = name
        self._estate = estate
        self._patience = patience

    def __repr__(self) -> str:
        return f"<journey {self.name}>"

    def attempt(self, **values: str) -> Attempt:
        """Play it once and wait for the answer, as long as the customer has patience.

        `values` stand in for what would be drawn: `attempt(amount="5.00 CNY")`.
        """
        return self._play(values)

    def again(self, attempt: Attempt) -> Attempt:
        """The same customer sends the very same request once more, under the same key."""
        return self._play({}, attempt)

    def until_good(self, within: str = "30s", **values: str) -> Attempt:
        """Play it again and again until one attempt is good (ok, within the journey's own limit); returns that one.

        Raises TimeoutError with the last attempt when none has been good `within` that time.
        """
        deadline = time.monotonic() + Duration.parse(within).s
        while not (last := self._play(values)).good:
            if time.monotonic() > deadline:
                raise TimeoutError(f"no good {self.name} within {within}; the last: {last}")
            time.sleep(_AGAIN_S)
        return last

    def _play(self, values: Mapping[str, str], before: Attempt | None = None) -> Attempt:
        within_s = self._patience.s
        request = before.request if before is not None else None
        return self._estate.do(
            lambda live, customers: customers.attempt(self.name, within_s, values, request), within_s + 30
        )


class RunningEstate:
    """A system that runs until `close`; provisioned when it is first used, and anew after a reset that failed.

    May be used from several threads at once; every call blocks its caller and nobody else.
    """

    def __init__(
        self,
        loaded: Loaded,
        runtime: Runtime,
        reports: Path,
        prepare: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        self.system: System = loaded.system
        self.runtime = runtime.name
        self._loaded, self._runtime, self._reports = loaded, runtime, reports
        self._numbers = itertools.count(1)
        self._starting = threading.Lock()
        self._loop: LoopThread | None = None
        self._live: Live | None = None
        self._customers: Customers | None = None
        steps = [self._step(dict(one)) for one in prepare]
        self._preparations = asked.preparations_of(steps, loaded.system)

    def __repr__(self) -> str:
        return f"<{self.system.system} on {self.runtime}, {'running' if self.running else 'not started'}>"

    # -- what tests use --------------------------------------------------------------------------------

    def link(self, name: str) -> LinkUnderTest:
        """A declared link, like `gateway -> ledger`. Raises InputError with the links there are."""
        return LinkUnderTest(self, asked.link_of(name, self.system).name)

    def fault(
        self, name: str, on: str | Sequence[str], *, witnessed: bool = True, **parameters: Any
    ) -> Broken:
        """A fault by its name in drills, with its parameters, for a `with` block; several targets are one instant.

        Raises InputError for one that does not exist, does not fit, or that this runtime cannot do. In the block
        EnvironmentBroken if nothing but the injector has seen its effect, unless `witnessed=False`.
        """
        step = self._step({"fault": name, "on": on, **parameters})
        return Broken(self, step, witnessed=witnessed)

    def journey(self, name: str, *, patience: str = PATIENCE) -> JourneyUnderTest:
        """A journey of the system; its customers wait for `patience`. Raises InputError with the journeys there are."""
        if name not in self.system.journeys:
            hint = nearest(name, self.system.journeys, "journeys")
            raise InputError(f"no journey is called {shown(name)}; {hint}")
        return JourneyUnderTest(self, name, Duration.parse(patience))

    def direct(self, service: str) -> Address:
        """Where the service itself listens now, past every proxy; after a restart it may be elsewhere."""
        name = asked.service_of(service, self.system)
        return self.do(_plain(lambda live: live.estate.direct(name)), 30)

    def sql(self, statement: str, *parameters: Any, on: str | None = None) -> list[dict[str, Any]]:
        """Rows of a statement, run directly on the primary of a database role (`on`; the only one by default)."""
        roles = self.system.roles
        name = next(iter(roles)) if on is None and len(roles) == 1 else on
        if name is None or name not in roles:
            hint = nearest(name or "", roles, "roles")
            raise InputError(f"sql: no database role is called {shown(on)}; {hint}")
        role, at = roles[name], self.direct(roles[name].primary)
        with psycopg.connect(
            host=at.host,
            port=at.port,
            dbname=role.database,
            user=role.user,
            password=role.password,
            connect_timeout=CONNECT_S,
            autocommit=True,
        ) as connection:
            cursor = connection.cursor(row_factory=dict_row)
            cursor.execute(cast(Any, statement), parameters or None)
            return cursor.fetchall() if cursor.description else []

    @property
    def folder(self) -> Path:
        """Where the logs of the services are, and `events.jsonl`, the record of every fault."""
        return self.do(_plain(lambda live: live.folder), START_WITHIN_S)

    @property
    def fidelity(self) -> tuple[Fidelity, ...]:
        """What stands for each service."""
        return self.do(_plain(lambda live: live.plan.fidelity), START_WITHIN_S)

    def log(self, service: str) -> str:
        """What the service has printed so far."""
        name = asked.service_of(service, self.system)
        path = self.do(_plain(lambda live: live.estate.log_path(name)), 30)
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    # -- its life --------------------------------------------------------------------------------------

    @property
    def running(self) -> bool:
        return self._live is not None

    @property
    def standing(self) -> tuple[str, ...]:
        """Faults that stand now."""
        live = self._live
        if live is None:
            return ()
        return tuple(f"{one.step.name} on {', '.join(one.step.on)}" for one in live.standing.values())

    def reset(self) -> Reset:
        """Bring it back to what it was, and read back that it is. What customers have written is kept.

        Raises EnvironmentBroken when it does not come back; `rebuild` then.
        """
        if self._live is None:
            return Reset()
        return self.do(restore, RESET_WITHIN_S)

    def rebuild(self) -> None:
        """End it; the next use starts it anew, with its population and without anything that was written."""
        self.close()

    def close(self) -> None:
        """End it and prove that nothing is left; safe to repeat. Raises EnvironmentBroken naming what is left."""
        live, customers, loop = self._live, self._customers, self._loop
        self._live = self._customers = self._loop = None
        if loop is None:
            return
        try:
            if live is not None and customers is not None:
                loop.run(_close(live, customers), CLOSE_WITHIN_S)
        finally:
            loop.close()

    def do(self, work: Work[T], within_s: float) -> T:
        """Run something on the estate's own loop and wait for it."""
        live, customers, loop = self._started()
        try:
            return loop.run(work(live, customers), within_s)
        except TimeoutError:
            raise EnvironmentBroken(
                f"the estate did not answer within {within_s:g} s; see {live.folder}"
            ) from None

    def _started(self) -> tuple[Live, Customers, LoopThread]:
        with self._starting:
            if self._live is None or self._customers is None or self._loop is None:
                loop = LoopThread(f"estate {self.system.system}")
                try:
                    work = start(self._runtime, self._loaded, self._reports, self._preparations)
                    live = loop.run(work, START_WITHIN_S)
                except BaseException:
                    loop.close()
                    raise
                self._live, self._customers, self._loop = live, Customers(live), loop
            return self._live, self._customers, self._loop

    def _step(self, fault: dict[str, Any]) -> Any:
        name, on = fault.pop("fault", ""), fault.pop("on", ())
        return asked.step_of(
            next(self._numbers), name, on, fault, self.system, self.runtime, self._runtime.capabilities
        )


def _plain(look: Callable[[Live], T]) -> Work[T]:
    async def work(live: Live, customers: Customers) -> T:
        return look(live)

    return work


async def _close(live: Live, customers: Customers) -> None:
    customers.close()
    await live.close()
