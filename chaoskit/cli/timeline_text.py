"""One line of text for each event that a person following a run wants to see."""

from __future__ import annotations

from typing import Any

from chaoskit.model.history import Event

_PHASES = {
    "provision": "starting the system",
    "slot": "waiting for this machine's measurement slot",
    "steady": "steady state: customers arrive, nothing is broken yet",
    "timeline": "",
    "hold": "",
    "quiesce": "load stops; faults are undone",
    "collect": "collecting the books",
    "close": "",
}


class Narrator:
    """Turns events into lines; remembers when the timeline began, so that times read as in the drill file."""

    def __init__(self) -> None:
        self._begin_ns: int | None = None
        self.zero_ns: int | None = None
        self.phase = ""

    def line(self, event: Event) -> str | None:
        """The line for an event, None if there is nothing to say."""
        if self._begin_ns is None:
            self._begin_ns = event.t
        if event.kind == "timeline.zero":
            self.zero_ns = event.t
        text = self._text(event.kind, event.data)
        return f"{self._time(event.t)}  {text}" if text else None

    def _time(self, t: int) -> str:
        if self.zero_ns is None:
            assert self._begin_ns is not None
            return f"{(t - self._begin_ns) / 1e9:7.2f} s  "
        return f"{(t - self.zero_ns) / 1e9:+7.2f} s *"

    def _text(self, kind: str, data: dict[str, Any]) -> str:
        match kind:
            case "phase":
                if data["state"] == "begin":
                    self.phase = str(data["name"])
                    # The slot is free most of the time; whoever has to wait hears of it by the pause after this line.
                    return _PHASES.get(self.phase, self.phase)
                return ""
            case "estate.ready":
                return f"the system is ready after {data['seconds']:.1f} s"
            case "steady.ok":
                return f"steady state holds ({data['at']} the faults)"
            case "steady.failed":
                return f"NO STEADY STATE ({data['at']} the faults): {data.get('reason', '')}"
            case "timeline.zero":
                return "the drill's clock starts"
            case "abort":
                return f"ABORT: {data.get('reason', '')}"
            case "interrupted":
                return "INTERRUPTED: healing"
            case "service.exit":
                return f"{data['service']} ENDED UNASKED: {data['status']}"
            case "run.end":
                return f"ended: {data['ended']}" + (f" ({data['reason']})" if data.get("reason") else "")
        return _step_text(kind, data)


def _step_text(kind: str, data: dict[str, Any]) -> str:
    match kind:
        case "fault.begin":
            return f"FAULT {data['name']} on {data['target']}"
        case "fault.witnessed":
            return f"witnessed on {data['target']}: {data['how']}"
        case "fault.unwitnessed":
            return f"NOT WITNESSED on {data['target']}: {data['how']}"
        case "fault.failed":
            return f"FAULT FAILED on {data['target']}: {data['error']}"
        case "fault.undone":
            return f"undone: {data['step']} on {data['target']}"
        case "lease.superseded":
            return f"fenced by {data['by']}: lease {data['id']} will not be undone"
        case "detect.alert":
            return f"ALERT {data['service']} is down ({data['misses']} looks missed)"
        case "decision.begin":
            return f"{data['role']} decides ({data['takes_ns'] / 60e9:g} min)"
        case "response.begin":
            return f"RESPONSE {data['name']}" + (f" on {', '.join(data['on'])}" if data.get("on") else "")
        case "response.done":
            return f"done: {data['step']}"
        case "response.failed":
            return f"RESPONSE FAILED {data['step']}: {data['error']}"
        case "journey.recovered":
            return f"{data['journey']} has recovered (provisionally; judged at the end)"
    return ""
