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
    objective: str | None = None
    measured: str | None = None
    events: tuple[int, ...] = ()
    details: tuple[str, ...] = ()


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
    as_expected: bool
    exit_code: int
    reason: str
    objectives_from: Annotated[
        str, Field(description="the plan, or the other drill file a second judgement used")
    ] = "plan.json"
    verdicts: tuple[Verdict, ...]
    findings: tuple[Finding, ...] = ()
    scorecard: Annotated[tuple[dict[str, Any], ...], Field(description="one row a journey")]
    machine_s: Annotated[
        tuple[float, float] | None, Field(description="bounds of the longest journey RTA, s")
    ] = None
    modelled_s: float = 0.0
    fidelity: tuple[dict[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    wall_s: dict[str, float] = {}
