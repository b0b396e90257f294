"""The plan: all that a run will do, decided before anything starts; written to plan.json."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from chaoskit.model.base import Frozen
from chaoskit.model.drill import Decision, Drill, When
from chaoskit.model.people import Decider
from chaoskit.model.preparation import Preparation
from chaoskit.model.probing import ProbeSchedule as ProbeSchedule
from chaoskit.model.series import Place as SeriesPlace
from chaoskit.model.system import System
from chaoskit.quantity import Duration, Rate

PLAN_VERSION = "1"


class Place(Frozen):
    """Where a step stands in the drill file, for messages."""

    path: str
    line: int
    column: int


class PlannedStep(Frozen):
    """One fault, response or look on all its targets.

    Steps of one `volley` are armed first, then applied in one instant.
    """

    id: str
    kind: Literal["fault", "response", "probe"]
    name: str
    on: tuple[str, ...]
    params: dict[str, Any] = {}
    volley: int
    at: Duration | None = None
    after: Duration | None = None
    after_step: Annotated[
        str | None, Field(description="id of the step this one follows, when only `after` is given")
    ] = None
    when: When | None = None
    for_: Duration | None = None
    decision: Decision | None = None
    decider: Annotated[Decider | None, Field(description="who takes the decision, absences considered")] = (
        None
    )
    place: Place
    requires: tuple[str, ...] = ()
    recovers: Annotated[bool, Field(description="False: nothing comes back by this response alone")] = True
    destroys_data: Annotated[
        bool,
        Field(description="what was booked may be gone by it: an RTO then waits for right books as well"),
    ] = False
    mends_books: Annotated[bool, Field(description="its end may be when the books are right again")] = False

    def waits_ns(self, pace: str) -> int:
        """How long the run may wait for whoever decides: not at all, its pace, its limit, or in full."""
        decision, decider = self.decision, self.decider
        if decision is None or (decider is not None and decider.role is None):
            return 0
        waited = decision.within or (decision.takes if pace == "real" else decision.pace)
        return waited.ns if waited is not None else 0

    def lived_ns(self, pace: str) -> int:
        """`waits_ns`, and at the real pace what it takes until a substitute is reached."""
        reached = 0 if self.decision is None or self.decider is None else self.decider.reached.ns
        return self.waits_ns(pace) + (reached if pace == "real" else 0)


class Wiring(Frozen):
    """One environment variable of a caller whose host tokens are pointed at a link.

    `template` is the value with each callee's host replaced by `{link:<caller> -> <callee>}`; for example
    `http://ledger:8081` → `http://{link:gateway -> ledger}:8081`.
    """

    service: str
    variable: str
    original: str
    template: str
    links: tuple[str, ...]


class Criterion(Frozen):
    """What "recovered" means, per journey (MEASUREMENT: q, w, W)."""

    good_ratio: float = 0.99
    window_ns: int
    hold_ns: int
    shortened: Annotated[bool, Field(description="the drill's hold is below max(30 s, RTO/10); printed")] = (
        False
    )
    load_ratio: float = 0.95


class Fidelity(Frozen):
    """What stands for a service on this runtime: the real thing, or what instead."""

    service: str
    kind: Literal["real", "stand-in", "embedded"]
    what: str
    version: Annotated[
        str | None, Field(description="the running server's own word; in a result, for database members")
    ] = None


class Plan(Frozen):
    """What will happen. Pure function of drill, system, runtime and seed; judging uses it alone."""

    version: str = PLAN_VERSION
    drill: Drill
    drill_path: str
    system: System
    runtime: str
    seed: int
    pace: Literal["drill", "real"] = "drill"
    load: dict[str, Rate]
    probes: tuple[ProbeSchedule, ...]
    criteria: dict[str, Criterion]
    steps: tuple[PlannedStep, ...]
    wirings: tuple[Wiring, ...] = ()
    preparations: Annotated[
        tuple[Preparation, ...],
        Field(description="what faults need before the start; made in control runs too"),
    ] = ()
    deadline: Annotated[
        Duration,
        Field(
            description="from the first fault: if the journeys have not held W by then, the RTA is censored"
        ),
    ]
    fidelity: tuple[Fidelity, ...] = ()
    series: Annotated[
        SeriesPlace | None, Field(description="which run of a series this is; none for a run on its own")
    ] = None
    notes: Annotated[
        tuple[str, ...], Field(description="what was changed or shortened on purpose, for the reader")
    ] = ()
