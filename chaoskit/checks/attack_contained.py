"""attack-contained: an attacker was cut off, and did not come back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from chaoskit.model.history import Event, History
from chaoskit.model.measurement import FaultMeasure, Measurements
from chaoskit.model.verdict import Verdict
from chaoskit.registry import register

FAMILY = "attack."
_OUTSIDE = ("attack.flood", "attack.credential-stuffing")
"""Whoever does these sits in no service from which he could be cut off: `attack-repelled` judges them."""
MARKED = (
    "attack.ransomware"  # its damage bears a mark, so that it can be counted from outside whether it goes on
)


@register("checks", "attack-contained")
@dataclass(frozen=True)
class AttackContained:
    """Was the attacker cut off, and did he stay outside when the system was opened again?

    Judges what was read from the databases themselves: by `isolate`, when damage had stopped growing, and by `reopen`,
    which looks for it again while the attacker, who is still there, tries. Floods and tried log-ins come from outside,
    where nobody can be cut off: `attack-repelled` judges them, and here they count for nothing.

    fail: nobody cut off the service that he sits in, after he had begun; damage went on growing, or it came back after
    the opening. unknown: the attack was never witnessed; its damage bears no mark that could be counted; or the
    system was opened again and nobody watched, or he did not even try, so that the new secrets were not tested.
    Not exercised: the drill has no attack, or floods and tried log-ins alone.
    """

    def judge(self, history: History, measurements: Measurements) -> Verdict:
        """One verdict over all attacks."""
        name = "attack-contained"
        all_ = [one for one in measurements.faults if one.name.startswith(FAMILY)]
        attacks = [one for one in all_ if one.name not in _OUTSIDE]
        if not attacks:
            why = "nobody sat in a service; `attack-repelled` judges attacks from outside"
            why = f"not exercised: {why if all_ else 'nobody attacked'}"
            return Verdict(name=name, outcome="unknown", exercised=False, reason=why)
        if unseen := [one for one in attacks if one.witness is None]:
            why = f"no damage by {unseen[0].step} was witnessed"
            return Verdict(name=name, outcome="unknown", reason=why)
        if blind := [one for one in attacks if one.name != MARKED]:
            why = f"the damage of {blind[0].name} bears no mark: whether it went on cannot be counted"
            return Verdict(name=name, outcome="unknown", reason=why)
        isolated, watched = facts(history, "isolated"), facts(history, "watched")
        events = tuple(event.n for event in (*isolated, *watched))
        details = tuple(_radius(event) for event in isolated)
        if free := [one for one in attacks if not any(_cuts_off(event, one) for event in isolated)]:
            reason = f"nobody cut the attacker in {free[0].target} off"
            return Verdict(name=name, outcome="fail", reason=reason, events=_failures(history))
        if back := [event for event in watched if event.data["damage"]]:
            words = ", ".join(f"{member}: {what}" for member, what in back[0].data["words"].items())
            kept = "" if back[0].data["rotated"] else "; the secrets he knew were still valid"
            reason = f"he came back after the opening: {words}{kept}"
            events += _failed(history, {event.data.get("step") for event in back})
            return Verdict(name=name, outcome="fail", reason=reason, events=events, details=details)
        opened = facts(history, "opened")
        if opened and not any(event.t >= opened[-1].t for event in watched):
            reason = "cut off; the system was opened again, and nobody looked whether he came back"
            return Verdict(name=name, outcome="unknown", reason=reason, events=events, details=details)
        if untried := next(_untried(attacks, opened, watched), None):
            return Verdict(name=name, outcome="unknown", reason=untried, events=events, details=details)
        until = max(min(e.t for e in isolated if _cuts_off(e, one)) - one.lo for one in attacks) / 1e9
        tail = "and the system was not opened again"
        if watched:
            tail = f"and {sum(event.data['refused'] for event in watched)} log-ins with the old secret refused since"
        reason = f"cut off, hung up on and counted {until:.1f} s after the attack began, {tail}"
        return Verdict(name=name, outcome="pass", reason=reason, events=events, details=details)


def facts(history: History, kind: str) -> list[Event]:
    """What responses have recorded under that name, in order."""
    return [e for e in history.events if e.kind == "response.fact" and e.data.get("fact") == kind]


def _untried(
    attacks: Iterable[FaultMeasure], opened: Sequence[Event], watched: Sequence[Event]
) -> Iterator[str]:
    """Why nothing shows that an attacker stays outside: each opening of a service of his has its own watch."""
    tried = "after the opening nobody tried the old secrets, so that nothing shows that they fail"
    if watched and not sum(event.data["refused"] for event in watched):
        yield f"cut off; {tried}"
    for target in dict.fromkeys(one.target for one in attacks):
        for last in [event for event in opened if target in event.data["services"]][-1:]:
            own = [e for e in watched if e.data.get("step") == last.data.get("step") and e.t >= last.t]
            if not own:
                yield f"cut off; {target} was opened again, and nobody looked whether he came back"
            elif not sum(event.data["refused"] for event in own):
                yield f"cut off; {target}: {tried}"


def _cuts_off(isolated: Event, attack: FaultMeasure) -> bool:
    return attack.target in isolated.data["services"] and isolated.t >= attack.lo


def _failures(history: History) -> tuple[int, ...]:
    """Failed tries to cut him off; any other failure is not this check's to account for."""
    tried = {
        event.data["step"]
        for event in history.events
        if event.kind == "response.begin" and event.data.get("name") == "isolate"
    }
    return _failed(history, tried)


def _failed(history: History, steps: set[Any]) -> tuple[int, ...]:
    return tuple(e.n for e in history.events if e.kind == "response.failed" and e.data["step"] in steps)


def _radius(event: Event) -> str:
    words: dict[str, Any] = event.data["words"]
    damage: dict[str, dict[str, int]] = event.data["damage"]
    hit = [member for member, rows in damage.items() if rows]
    told = "; ".join(f"{member}: {words[member]}" for member in words)
    return f"blast radius: {len(hit)} of {len(damage)} database members, {told}"
