"""Decisions by people before a response: modelled, paced, lived in full, or asked for while the drill runs.

who decides? ── everybody absent ──────────────────────────────────► missed
     │ reached (lived only with `--pace real`)
     ├── takes ── slept: nothing, its pace, or all of it ──────────► end
     └── asked ── y ► end     n ► refused     no answer in time ──► missed
"""

from __future__ import annotations

import asyncio
from typing import Any

from chaoskit.conductor.stage import Stage
from chaoskit.model.people import Answer, NobodyAsked, Question
from chaoskit.model.plan import PlannedStep


async def decide(stage: Stage, step: PlannedStep) -> str | None:
    """None once the response may begin; else why it does not happen, which is recorded."""
    decision, decider = step.decision, step.decider
    if decision is None:
        return None
    role = decision.role if decider is None or decider.role is None else decider.role
    reached = decider.reached.ns if decider is not None else 0
    takes = decision.takes.ns if decision.takes is not None else 0
    about: dict[str, Any] = {"step": step.id, "role": role, "takes_ns": reached + takes}
    if decider is not None and decider.absent:
        about |= {"absent": list(decider.absent), "reached_ns": reached}
    limit = {} if decision.within is None else {"within_ns": decision.within.ns}
    stage.recorder.record("decision.begin", **about, **limit, asked=decision.asked)
    begun = stage.clock()
    if stage.plan.pace == "real":
        await stage.sleep_until(begun + reached)
    if decider is not None and decider.role is None:
        return _missed(
            stage, about, f"nobody could decide: {' and '.join(decider.absent)} could not be reached"
        )
    if decision.asked:
        return await _ask(stage, step, about, begun)
    slept = step.waits_ns(stage.plan.pace)
    await stage.sleep_until(stage.clock() + slept)
    lived = stage.clock() - begun if slept or (reached and stage.plan.pace == "real") else 0
    stage.recorder.record("decision.end", slept_ns=lived, **about)
    return None


async def _ask(stage: Stage, step: PlannedStep, about: dict[str, Any], begun: int) -> str | None:
    """Put the question; what it takes until the answer is measured. No answer is no permission."""
    assert step.decision is not None
    assert step.decision.within is not None
    role, limit = about["role"], step.decision.within
    what = f"{step.name}{' on ' + ' and '.join(step.on) if step.on else ''}"
    asked = stage.clock()
    try:
        if stage.asker is None:
            raise NobodyAsked("this run has no terminal")
        async with asyncio.timeout(limit.s):
            answer: Answer = await stage.asker.ask(Question(step.id, what, role, str(limit)))
    except TimeoutError:
        return _missed(stage, about, f"the {role} was asked and did not answer within {limit}")
    except (NobodyAsked, OSError) as error:
        return _missed(stage, about, f"the {role} could not be asked: {error}")
    now = stage.clock()
    # The way to the substitute is lived only at the real pace; the answer always is.
    way = 0 if stage.plan.pace == "real" else about.get("reached_ns", 0)
    about |= {
        "takes_ns": way + now - begun,
        "slept_ns": now - begun,
        "answer_ns": now - asked,
        "who": answer.who,
    }
    if not answer.yes:
        stage.recorder.record("decision.refused", **about)
        return f"{answer.who} refused it"
    stage.recorder.record("decision.end", **about)
    return None


def _missed(stage: Stage, about: dict[str, Any], why: str) -> str:
    stage.recorder.record("decision.missed", reason=why, **about)
    return why
