"""The drill file: what is driven, broken, done about it, and asked of the outcome."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from chaoskit.model.base import Frozen
from chaoskit.quantity import Duration, Percent, Rate

Name = Annotated[
    str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,79}$", description="lower case, digits, '-', '_' and '.'")
]


class Steady(Frozen):
    """The steady state: it must hold before the first fault, and again at the end."""

    for_: Annotated[Duration, Field(description="how long the steady state is observed")] = Duration.parse(
        "5s"
    )
    success: Annotated[
        Percent, Field(description="share of scheduled operations that must be good, per journey")
    ] = Percent.parse("99%")
    p99: Annotated[
        Duration | None, Field(description="99th percentile of latency, from the intended time, per journey")
    ] = None
    within: Annotated[Duration, Field(description="deadline for reaching the steady state")] = Duration.parse(
        "30s"
    )


EVENTS = ("down", "stop-rule", "recovered", "done", "begun")
"""What a step can wait for: keys of `when`, of which it has exactly one."""


class When(Frozen):
    """An event a step waits for. Exactly one of down, stop-rule, recovered, done, begun."""

    down: Annotated[
        str | None, Field(description="service found down by direct probes that do not know the injector")
    ] = None
    stop_rule: Annotated[
        str | None, Field(description="rule of the system's `stop-rules` that says: stop the roll-out")
    ] = None
    recovered: Annotated[str | None, Field(description="journey that is good again over its window")] = None
    done: Annotated[
        str | None, Field(description="id of a step that has ended (a fault: undone; a response: finished)")
    ] = None
    begun: Annotated[str | None, Field(description="id of a step that has taken effect")] = None
    every: Annotated[Duration, Field(description="period of the detection probe")] = Duration.parse("250ms")
    misses: Annotated[int, Field(ge=1, le=1000, description="consecutive misses that mean down")] = 3
    timeout: Annotated[Duration, Field(description="how long one detection probe may take")] = Duration.parse(
        "200ms"
    )
    within: Annotated[Duration, Field(description="deadline; if it passes, the run is unknown")] = (
        Duration.parse("2m")
    )


class Decision(Frozen):
    """A human decision before a response: modelled by `takes`, or `asked` for on the terminal while the drill runs."""

    role: Annotated[str, Field(description="who decides, for example duty-manager")]
    takes: Annotated[
        Duration | None, Field(description="how long the decision takes, where it is not asked for")
    ] = None
    pace: Annotated[
        Duration | None,
        Field(description="slept instead of `takes` (paced); without it nothing is slept (modelled)"),
    ] = None
    asked: Annotated[
        bool,
        Field(
            description="a person is asked on the terminal, and answers y or n and who it is; the time is measured"
        ),
    ] = False
    within: Annotated[
        Duration | None,
        Field(
            description="how long an asked one waits for its answer; after it the response does not happen"
        ),
    ] = None


class Step(Frozen):
    """One step of the timeline: a fault, a response or a look, and what starts it."""

    id: Annotated[
        Name | None,
        Field(description="name for `when: {done: …}`; default: the fault's, response's or probe's name"),
    ] = None
    at: Annotated[
        Duration | None,
        Field(description="time after the end of the steady phase; equal times are one instant"),
    ] = None
    after: Annotated[
        Duration | None, Field(description="wait this long after `when`, or after the step before")
    ] = None
    when: Annotated[When | None, Field(description="event that starts the step")] = None
    fault: Annotated[str | None, Field(description="name of the fault; see `chaoskit catalogue`")] = None
    respond: Annotated[str | None, Field(description="name of the response; see `chaoskit catalogue`")] = None
    probe: Annotated[
        str | None,
        Field(description="name of a probe that looks once and changes nothing; see `chaoskit catalogue`"),
    ] = None
    on: Annotated[
        tuple[str, ...],
        Field(
            description="service, site (all its services), or link 'caller -> callee'; several are hit in one instant"
        ),
    ] = ()
    for_: Annotated[
        Duration | None, Field(description="undo the fault after this long; default: at the drill's end")
    ] = None
    decision: Annotated[Decision | None, Field(description="human decision before a response")] = None
    params: Annotated[
        dict[str, Any], Field(description="the member's own parameters, written beside `on:`")
    ] = {}

    @property
    def name(self) -> str:
        """The fault's, response's or probe's registered name."""
        return self.fault or self.respond or self.probe or ""

    @property
    def kind(self) -> Literal["fault", "response", "probe"]:
        """What the step does."""
        if self.fault is not None:
            return "fault"
        return "response" if self.respond is not None else "probe"


class Objective(Frozen):
    """What is asked of one journey."""

    rto: Annotated[
        Duration | None,
        Field(description="recovery time objective: upper bound of RTA plus modelled human time"),
    ] = None
    lost: Annotated[
        int | None,
        Field(ge=0, description="most acknowledged operations that may be missing from the surviving ledger"),
    ] = None
    rpo: Annotated[Duration | None, Field(description="recovery point objective: upper bound of RPA")] = None
    minimum_service: Annotated[
        Duration | None, Field(description="by when the minimum service must be back")
    ] = None
    success: Annotated[
        Percent | None, Field(description="least share of good operations over the whole run")
    ] = None


class Settle(Frozen):
    """How long recovery must hold (W), and the gap between the two snapshots of the books."""

    hold: Annotated[Duration | None, Field(description="W; default max(30 s, RTO/10)")] = None
    gap: Annotated[
        Duration, Field(description="time between the two snapshots of the books, which must be alike")
    ] = Duration.parse("1s")


class Abort(Frozen):
    """A guard that stops the drill."""

    if_: Annotated[
        str, Field(pattern=r"^(success) < \d+(\.\d+)?\s?%$", description="condition, like `success < 1%`")
    ]
    for_: Annotated[Duration, Field(description="how long the condition must hold")]


class Expect(Frozen):
    """The outcome a drill is meant to have when it is not `pass`: exactly these objectives or checks fail."""

    fail: Annotated[tuple[str, ...], Field(min_length=1, description="`journey.objective` or a check's name")]


def _bounds_something(confidence: Percent) -> Percent:
    """At 0 % every bound is 0, and at 100 % it is 1, whatever was run."""
    if not 0 < confidence.ratio < 1:
        raise ValueError(f"{confidence} bounds nothing: more than 0% and less than 100% does")
    return confidence


RUNS_MAX = 1000
Confidence = Annotated[Percent, AfterValidator(_bounds_something)]


class Repeat(Frozen):
    """Runs fixed in advance; never best of n."""

    runs: Annotated[int, Field(ge=1, le=RUNS_MAX, description="how many runs")]
    confidence: Annotated[
        Confidence, Field(description="confidence of the printed bound on the probability of a miss")
    ] = Percent.parse("95%")


class Drill(Frozen):
    """One drill file."""

    drill: Annotated[Name, Field(description="the drill's name; the run folder carries it")]
    title: Annotated[
        str, Field(min_length=1, max_length=200, description="one line for reports: what happens")
    ]
    why: Annotated[str, Field(description="why anybody runs this, for the reader of the report")] = ""
    system: Annotated[str, Field(description="path of system.yaml, relative to this file")]
    variant: Annotated[str | None, Field(description="variant of the system, declared in system.yaml")] = None
    tags: Annotated[
        tuple[str, ...], Field(description="words to select drills by, for example scenario numbers")
    ] = ()
    seed: Annotated[
        int, Field(ge=0, le=2**63 - 1, description="everything drawn at random is drawn from it")
    ] = 0
    load: Annotated[
        dict[str, Rate],
        Field(min_length=1, description="arrivals per second, per journey; open loop, Poisson"),
    ]
    steady: Annotated[
        Steady,
        Field(description="the steady state that must hold before the first fault and again at the end"),
    ] = Steady()
    absent: Annotated[
        tuple[str, ...],
        Field(description="roles that nobody can reach in this drill; their substitutes decide"),
    ] = ()
    timeline: Annotated[
        tuple[Step, ...],
        Field(
            min_length=1,
            description="faults and responses; they run in parallel unless `when` or `after` orders them",
        ),
    ]
    objectives: Annotated[
        dict[str, Objective],
        Field(min_length=1, description="per journey; '*' is every journey the load drives"),
    ]
    settle: Annotated[
        Settle,
        Field(description="how long recovery must hold, and the gap between the two snapshots of the books"),
    ] = Settle()
    checks: Annotated[
        tuple[str, ...], Field(description="what is judged besides the objectives; see `chaoskit catalogue`")
    ] = ()
    abort: Annotated[Abort | None, Field(description="a guard that stops the drill")] = None
    expect: Annotated[
        Literal["pass"] | Expect,
        Field(
            description="pass, or exactly what must fail; where the matrix varies `variant`, this for each variant"
        ),
    ] = "pass"
    repeat: Annotated[
        Repeat | None, Field(description="runs fixed in advance, each published; what they bound is printed")
    ] = None
    matrix: Annotated[
        dict[str, tuple[Any, ...]], Field(description="cells: keys of this file with several values each")
    ] = {}

    def objective(self, journey: str) -> Objective:
        """The journey's objective: its own entry, its gaps filled from '*'."""
        fallback = self.objectives.get("*", Objective())
        own = self.objectives.get(journey, Objective())
        merged = {
            name: getattr(own, name) if getattr(own, name) is not None else getattr(fallback, name)
            for name in Objective.model_fields
        }
        return Objective.model_construct(**merged)
