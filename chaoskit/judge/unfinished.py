"""What was planned and did not come about: then another drill was run than the plan's, unless a check has judged it.

A restore that fails because its backup is wrecked is an outcome: the check `restored-from-backup` fails and cites the
failed step. That step, and those that only follow it, are then no reason to know nothing. Nor is a failed try which
that check cites though it passes: a later one has made it good.
"""

from __future__ import annotations

from collections.abc import Sequence

from chaoskit.judge.decisions import undecided
from chaoskit.judge.objectives import verdict
from chaoskit.model.history import History
from chaoskit.model.plan import PlannedStep
from chaoskit.model.verdict import Verdict


def unfinished(history: History, checks: Sequence[Verdict]) -> tuple[Verdict, ...]:
    """A response that was planned and never began, never ended, or failed, or a probe that never looked, and that no
    check accounts for."""
    judged = {number for one in checks if one.outcome == "fail" for number in one.events}
    made_good = {number for one in checks if one.outcome == "pass" for number in one.events}
    failures = [e for e in history.events if e.kind == "response.failed"]
    steps = history.plan.steps
    excused = undecided(history) | _followers(
        {str(e.data.get("step")) for e in failures if e.n in judged}, steps
    )
    begun = {event.data.get("step") for event in history.events if event.kind == "response.begin"}
    missing = [s.id for s in steps if s.kind == "response" and s.id not in begun and s.id not in excused]
    failed = [e for e in failures if e.data.get("step") not in missing and e.n not in judged | made_good]
    ended = {e.data.get("step") for e in history.events if e.kind in ("response.done", "response.failed")}
    open_ = [e for e in history.events if e.kind == "response.begin" and e.data.get("step") not in ended]
    timed_out = [e for e in history.events if e.kind == "run.end" and e.data.get("ended") == "timeout"]
    reasons = [f"planned responses never began: {', '.join(missing)}"] if missing else []
    reasons += [f"the response {e.data.get('step')} failed: {e.data.get('error')}" for e in failed]
    reasons += [f"the response {e.data.get('step')} never ended" for e in open_]
    looked = {(e.data.get("step"), e.data.get("target")) for e in history.events if e.kind == "probe.looked"}
    blind = [s for s in steps if s.kind == "probe" and s.id not in excused]
    unseen = [f"{s.id} at {target}" for s in blind for target in s.on if (s.id, target) not in looked]
    reasons += [f"planned probes never looked: {', '.join(unseen)}"] if unseen else []
    if timed_out:
        reasons = [f"{'; '.join(reasons) or 'a step waited in vain'} ({timed_out[-1].data.get('reason')})"]
    if not reasons:
        return ()
    events = tuple(e.n for e in (*failed, *open_, *timed_out))
    return (verdict("timeline", "unknown", "; ".join(reasons), events=events),)


def _followers(failed: set[str], steps: Sequence[PlannedStep]) -> set[str]:
    """The steps that could not begin because those failed: each waits for the end of one before it."""
    found = set(failed)
    while True:
        more = {step.id for step in steps if _awaited(step) in found} - found
        if not more:
            return found - failed
        found |= more


def _awaited(step: PlannedStep) -> str | None:
    return step.when.done if step.when is not None else step.after_step
