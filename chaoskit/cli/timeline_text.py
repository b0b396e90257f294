"""One line of text for each event that a person following a run wants to see, in words to be read aloud."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chaoskit.model.history import Event
from chaoskit.model.plan import Plan, PlannedStep
from chaoskit.quantity import Duration

_PHASES = {
    "provision": "starting the system",
    "slot": "taking this machine's measurement slot",
    "steady": "steady state: customers arrive, nothing is broken yet",
    "hold": "everything that was planned is done: recovery has to hold",
    "quiesce": "the load stops, faults are undone",
    "collect": "collecting the books",
    "close": "ending the system",
}
"""Phases that are told of; the others say nothing that their events do not."""
LOUD = frozenset(
    {
        "abort",
        "decision.missed",
        "decision.refused",
        "detect.alert",
        "fault.begin",
        "fault.failed",
        "fault.unwitnessed",
        "interrupted",
        "response.failed",
        "service.exit",
        "steady.failed",
        "step.failed",
        "trouble",
    }
)
"""Kinds of events that are shown in bold; the words of their lines say the same without it."""
CUSTOMERS_ARE_SERVED = frozenset({"steady", "timeline", "hold"})


class Narrator:
    """Turns events into lines; remembers when the timeline began, so that times read as in the drill file."""

    def __init__(self, plan: Plan) -> None:
        self._steps = {step.id: step for step in plan.steps}
        self._pace = plan.pace
        self._begin_ns: int | None = None
        self._missed: set[object] = set()
        self.zero_ns: int | None = None
        self.phase = ""

    def line(self, event: Event) -> str | None:
        """The line for an event, None if there is nothing to say."""
        if self._begin_ns is None:
            self._begin_ns = event.t
        if event.kind == "timeline.zero":
            self.zero_ns = event.t
        text = self._text(event.kind, _Data(event.data))
        return f"{self._time(event.t)}  {text}" if text else None

    def _time(self, t: int) -> str:
        """Seconds since the run began; with a sign, once the drill's own clock has started, as in the file's `at:`."""
        if self.zero_ns is None:
            assert self._begin_ns is not None
            return f"{(t - self._begin_ns) / 1e9:7.2f} s"
        return f"{(t - self.zero_ns) / 1e9:+7.2f} s"

    def _text(self, kind: str, data: Mapping[str, Any]) -> str:
        match kind:
            case "phase":
                if data["state"] != "begin":
                    return ""
                self.phase = str(data["name"])
                return _PHASES.get(self.phase, "")
            case "fault.begin":
                return f"FAULT {data['name']} on {data['target']}{_parameters(self._steps.get(data['step']))}"
            case "detect.miss":
                return self._first_miss(data)
            case "detect.ok":
                if data["step"] not in self._missed:
                    return ""
                self._missed.discard(data["step"])
                return f"{data['service']} answers again"
            case "decision.begin":
                return self._decision(data)
            case "lease.superseded":
                step, _, _ = str(data["id"]).rpartition(".")
                return f"{data['by']} fences: the fault {step} stays, nobody undoes it"
            case "member.readmitted":
                return f"{data['by']} takes the fence of {data['service']} back: it follows"
        return _said_of_the_run(kind, data) or _said_of_a_step(kind, data)

    def _first_miss(self, data: Mapping[str, Any]) -> str:
        if data["step"] in self._missed:
            return ""
        self._missed.add(data["step"])
        return f"{data['service']} does not answer: {data['detail']}"

    def _decision(self, data: Mapping[str, Any]) -> str:
        role, absent = data["role"], data["absent"]
        if role in absent:
            return f"{' and '.join(absent)} cannot be reached, and nobody else stands in"
        away = f"{' and '.join(absent)} cannot be reached; " if absent else ""
        if data["asked"]:
            return f"{away}{role} is asked, for an answer within {Duration.of_ns(data['within_ns'])}"
        return f"{away}{role} decides ({self._takes(data)})"

    def _takes(self, data: Mapping[str, Any]) -> str:
        takes = Duration.of_ns(data["takes_ns"])
        step = self._steps.get(data["step"])
        if self._pace == "real":
            return str(takes)
        if step and step.decision and step.decision.pace:
            return f"{takes}, {step.decision.pace} of it are waited for"
        return f"{takes}, modelled: nobody waits"


def _said_of_the_run(kind: str, data: Mapping[str, Any]) -> str:
    match kind:
        case "estate.ready":
            return f"the system is ready after {float(data['seconds']):.1f} s"
        case "slot.waiting":
            others = f", and {data['before']} before this one" if data["before"] else ""
            return f"waiting for {data['whom']} to finish measuring{others}"
        case "steady.ok":
            return f"the steady state holds {data['at']} the faults{_later(data)}"
        case "steady.failed":
            return f"NO STEADY STATE {data['at']} the faults: {data['reason']}"
        case "collect.before":
            return _kept(data)
        case "timeline.zero":
            return "the drill's clock starts"
        case "abort":
            return f"ABORT: {data['reason']}"
        case "interrupted":
            return "INTERRUPTED: everything is being undone"
        case "watchdog.killed":
            return f"CONTROL: {data['service']} is dead from here on"
        case "service.exit":
            return f"{data['service']} ENDED UNASKED: {data['status']}"
        case "trouble":
            return f"TROUBLE: {data['what']}"
        case "run.end":
            return f"the run has ended, {data['ended']}" + (f": {data['reason']}" if data["reason"] else "")
    return ""


def _kept(data: Mapping[str, Any]) -> str:
    """What was kept of the entries before the faults."""
    if "why" in data:
        return f"THE ENTRIES of {data['books']} COULD NOT BE KEPT: {data['why']}"
    if "entries" not in data:
        return f"{data['books']} has no entries to keep"
    took = f"{data['took_ns'] / 1e9:.1f} s"
    return f"{data['entries']} entries of {data['books']} are kept, to compare those at the end with ({took})"


def _later(data: Mapping[str, Any]) -> str:
    waited = data.get("waited_ns", 0)
    return f", {waited / 1e9:.1f} s after every journey had held" if waited else ""


def _said_of_a_step(kind: str, data: Mapping[str, Any]) -> str:
    match kind:
        case "fault.witnessed":
            return f"witnessed: {data['how']}"
        case "fault.unwitnessed":
            return f"NOT WITNESSED on {data['target']}: {data['how']}"
        case "fault.failed":
            return f"FAULT FAILED on {data['target']}: {data['error']}"
        case "fault.undone":
            return f"undone: {data['step']} on {data['target']}"
        case "step.failed":
            return f"STEP FAILED {data['step']}: {data['error']}"
        case "step.skipped":
            return f"skipped: {data['step']}: {data['reason']}"
        case "detect.alert" if "rule" in data:
            return f"STOP RULE {data['rule']}: {data['said']}"
        case "detect.alert":
            return f"ALERT {data['service']} is down ({data['misses']} looks in a row missed it)"
        case "decision.end":
            if data["who"]:
                return f"{data['who']} has decided as {data['role']}, after {data['slept_ns'] / 1e9:.2f} s"
            return f"{data['role']} has decided" if data["slept_ns"] else ""
        case "decision.refused":
            return f"REFUSED by {data['who']} as {data['role']}: {data['step']} does not happen"
        case "decision.missed":
            return f"NOT DECIDED: {data['reason']}: {data['step']} does not happen"
        case "probe.looked":
            found = "".join(f"; {one}" for one in data["found"])
            return f"{data['name']}: {data['detail']}{found}"
        case "response.begin":
            return f"RESPONSE {data['name']}" + (f" on {', '.join(data['on'])}" if data["on"] else "")
        case "response.fact" if data["fact"] == "suspect":
            others = f" (or {', '.join(data['others'])})" if data["others"] else ""
            return f"SUSPECT {data['suspect']}{others}"
        case "response.fact" if data["fact"] == "notice":
            return f"customers read on {data['channel']}: {data['text']}"
        case "response.fact" if data["fact"] == "stand-in-replayed":
            told = (
                f"{len(data[word] or ())} {word}"
                for word in ("booked", "replayed", "double-spent", "refused")
            )
            return f"what {data['journey']} had been promised: {', '.join(told)}"
        case "response.done":
            return f"done: {data['step']}"
        case "response.failed":
            return f"RESPONSE FAILED {data['step']}: {data['error']}"
        case "journey.recovered":
            return f"{data['journey']} is well, and has held (for now; judged at the end)"
    return ""


def _parameters(step: PlannedStep | None) -> str:
    return "".join(f", {name} {value}" for name, value in step.params.items()) if step else ""


class _Data(dict[str, Any]):
    """An event's data; what an event of another version does not say is empty."""

    def __missing__(self, key: str) -> Any:
        return 0 if key.endswith(("_ns", "seconds")) else ""
