"""attack-repelled: the service noticed an attack from outside, turned it away in time, and gave it nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from chaoskit.model.history import History
from chaoskit.model.measurement import AttackMeasure, Interval, Measurements
from chaoskit.model.verdict import Verdict
from chaoskit.quantity import Duration
from chaoskit.registry import register

_LIMIT = Duration.parse("5s")


@register("checks", "attack-repelled")
@dataclass(frozen=True)
class AttackRepelled:
    """Did the service raise an alert, turn the attack away, let none of its log-ins in, and move no money for it?

    Of every attack from outside: by the attacked service's own feed (`respond: read-alerts`) the first alert about its
    addresses is at most 5 s after it, and so is the first block; after that none of its addresses goes on as before (20
    requests or more, and none of them turned away); no log-in from them worked; and the books hold no
    transaction that no customer of the run asked for. The attacker's own word counts nowhere. Customers who were turned
    away as attackers would be are measured; what that costs is judged by the objective `success` of their journey.

    Attacks of one kind come from the same addresses: of two on one service nobody knows of which of them an alert
    speaks that came when both had begun. Nor does anybody know whether one needed any of its own where the service had
    been attacked before, or had spoken of another attack in time: a lock on a customer holds for both.

    fail: one of these is broken; each is listed. unknown: an instant lies across its limit, an alert may be about
    another attack, the feed tells of a block and of nothing that was turned away, it was not read until the attack had
    ended, its service ended meanwhile and may have forgotten its counts, or the books could not be read or do not say
    that a transaction that nobody asked for is no customer's (`source`: none, or one that customers' own have).
    Not exercised: there was no such attack, or it was not seen to take effect.
    """

    answers: ClassVar[bool] = True  # for a proof: it passes only where the system has noticed by itself

    def judge(self, history: History, measurements: Measurements) -> Verdict:
        """One verdict over all attacks from outside."""
        name, attacks = "attack-repelled", measurements.attacks
        seen = {fault.step for fault in measurements.faults if fault.hi is not None}
        if not attacks or any(one.step not in seen for one in attacks):
            why = "no attack from outside" if not attacks else "an attack was not seen to take effect"
            return Verdict(name=name, outcome="unknown", exercised=False, reason=f"not exercised: {why}")
        events = tuple(sorted({number for one in attacks for number in one.events}))
        wrong = [said for one in attacks for said in self._wrong(one)]
        wrong += _moved(attacks)
        if wrong:
            reason = f"{len(wrong)} things an attacker was not kept from"
            return Verdict(name=name, outcome="fail", reason=reason, events=events, details=tuple(wrong))
        doubt = [said for one in attacks for said in self._doubt(one)]
        if doubt:
            return Verdict(name=name, outcome="unknown", reason=doubt[0], events=events, details=tuple(doubt))
        refused = sum(
            one.refused + one.failed for one in attacks
        )  # of two that share addresses neither is green
        asked = sum(one.asked for one in attacks)
        reason = (
            f"{refused} of {asked} requests of the attack were turned away, none let it in, no money moved"
        )
        return Verdict(name=name, outcome="pass", reason=reason, events=events)

    def _wrong(self, one: AttackMeasure) -> Iterator[str]:
        if one.read and not _besides(one):  # what another one had brought about may hold for this one
            yield from _late(one.step, "alert", one.alerted)
            yield from _late(one.step, "block", one.blocked)
        if one.let_in:
            yield f"{one.step}: {one.let_in} log-ins from its addresses worked"
        if one.refused + one.failed:  # of a service that counts no refusals at all nothing is known
            for source in one.unturned:
                yield f"{one.step}: though it had been blocked, {source}, and was never turned away"

    def _doubt(self, one: AttackMeasure) -> Iterator[str]:
        if not one.read:
            yield f"{one.step}: the feed of {one.target} was not read until the attack had ended"
        if _besides(one) and not one.mixed and None in (one.alerted, one.blocked):
            why = f"{one.target} was attacked otherwise as well, and what it did about that may hold for this one"
            yield f"{one.step}: there was no {'alert' if one.alerted is None else 'block'} about it: {why}"
        if one.mixed:
            why = f"{' and '.join(one.mixed)} had begun as well"
            yield f"{one.step}: of which attack the feed of {one.target} speaks is not known: {why}"
        if not one.books:
            yield f"{one.step}: whether money moved is not known: no books could be read"
        if one.unsaid:
            yield (
                f"{one.step}: {one.unsaid} transactions that no customer asked for do not say that they are no "
                "customer's (`source`): whether one is his is not known"
            )
        if one.forgot:
            yield f"{one.step}: {one.target} ended meanwhile, and whom it had let in by then it may have forgotten"
        if one.read and one.blocked is not None and not one.refused:
            yield f"{one.step}: {one.target} says that it blocked, and turned away none of {one.asked} requests"
        for word, found in (("alert", one.alerted), ("block", one.blocked)):
            if found is not None and found.hi is not None and found.hi > _LIMIT.ns:
                yield f"{one.step}: whether the first {word} came within {_LIMIT} is not known"


def _besides(one: AttackMeasure) -> bool:
    """Whether its service had been attacked before it, or has spoken of another attack in time."""
    return one.later or (one.beside is not None and one.beside.lo <= _LIMIT.ns)


def _moved(attacks: Sequence[AttackMeasure]) -> Iterator[str]:
    """Each case once: the books do not say for which of several attacks it was."""
    whose = attacks[0].step if len(attacks) == 1 else f"all {len(attacks)} attacks together"
    cases = dict.fromkeys(case for one in attacks for case in one.moved)
    return (f"{whose}: money moved: {case}" for case in cases)


def _late(step: str, word: str, found: Interval | None) -> Iterator[str]:
    if found is None:
        yield f"{step}: no {word}"
    elif found.lo > _LIMIT.ns:
        yield f"{step}: the first {word} came later than {_LIMIT}"
