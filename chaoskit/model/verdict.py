"""Verdicts, each with its reason and the events it rests on; result.json is their versioned form."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from chaoskit.model.base import Frozen

Outcome = Literal["pass", "fail", "unknown", "aborted"]
RESULT_VERSION = "1"


class Verdict(Frozen):
    """One objective (`transfer.rto`) or check (`books-balance`), judged."""

    name: str
    outcome: Literal["pass", "fail", "unknown"]
    reason: str
    exercised: Annotated[
        bool,
        Field(description="False: there was nothing to judge; where the drill names it, that is unknown"),
    ] = True
    objective: Annotated[str | None, Field(description="what was asked, as it was written")] = None
    measured: Annotated[str | None, Field(description="what was measured, machine time only")] = None
    events: Annotated[
        tuple[int, ...], Field(description="`n` of the events in events.jsonl it rests on")
    ] = ()
    details: Annotated[tuple[str, ...], Field(description="every case: a lost key with its amount, …")] = ()


class Finding(Frozen):
    """Something worth an engineer's time that is no verdict."""

    title: str
    detail: str = ""


class Result(Frozen):
    """result.json: the one source of every report."""

    version: str = RESULT_VERSION
    run: str
    drill: str
    title: str
    outcome: Annotated[Outcome, Field(description="the true verdict")]
    expected: Annotated[str, Field(description="what `expect:` names")]
    as_expected: Annotated[
        bool,
        Field(description="the run passed, or exactly what `expect:` names failed and nothing is unknown"),
    ]
    exit_code: Annotated[
        int,
        Field(
            description="0 pass or as expected · 1 fail · 3 unknown · 4 aborted · 130 interrupted; 2 never stands here"
        ),
    ]
    reason: Annotated[str, Field(description="one sentence or two for the outcome")]
    objectives_from: Annotated[
        str, Field(description="the plan, or the other drill file a second judgement used")
    ] = "plan.json"
    verdicts: tuple[Verdict, ...]
    findings: tuple[Finding, ...] = ()
    scorecard: Annotated[
        tuple[dict[str, Any], ...],
        Field(
            description="a row a journey, all strings: journey, good, RTA (bounds), RTO, lost, in doubt, verdict; "
            "'–' where nothing applies"
        ),
    ]
    clocks: Annotated[
        tuple[dict[str, str], ...],
        Field(
            description="what people and the bank did about it, when: all strings: clock, after the fault, what"
        ),
    ] = ()
    machine_s: Annotated[
        tuple[float, float] | None, Field(description="bounds of the longest journey RTA, s")
    ] = None
    modelled_s: Annotated[
        float,
        Field(
            description="modelled human time that was not lived, of the journey that waited longest for it, s"
        ),
    ] = 0.0
    fidelity: Annotated[
        tuple[dict[str, str], ...],
        Field(
            description="service, kind (real, stand-in, embedded), what, version (the running server's own word)"
        ),
    ] = ()
    notes: Annotated[
        tuple[str, ...], Field(description="what was changed, shortened or modelled on purpose")
    ] = ()
    wall_s: Annotated[dict[str, float], Field(description="seconds of wall time spent in each phase")] = {}
