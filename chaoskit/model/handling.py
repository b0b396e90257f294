"""What people and the bank did about a failure, as measured: minimum service, decisions, suspects, notices."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from chaoskit.model.base import Frozen
from chaoskit.model.interval import Interval


class MinimumMeasure(Frozen):
    """The agreed minimum service of the whole system: every journey it names good enough again at the same time."""

    journeys: tuple[str, ...]
    share: Annotated[float, Field(description="share of the probes of every window that must be good")]
    hold: Annotated[int, Field(description="for how long, ns")]
    rta: Annotated[
        Interval | None,
        Field(description="ns after the first fault that hurt one of them; hi None: censored, more than lo"),
    ] = None
    last: Annotated[str, Field(description="the journey that came back last, or not at all")] = ""
    never_bad: Annotated[bool, Field(description="no probe of any of them was bad after the fault")] = False
    modelled: Annotated[int, Field(description="modelled human time on the path to it, ns")] = 0
    clock: Annotated[
        Interval | None, Field(description="f_lo to f_hi of that fault, CLOCK_MONOTONIC ns, not relative")
    ] = None
    invalid: Annotated[tuple[str, ...], Field(description="why the measurement cannot be used")] = ()
    events: tuple[int, ...] = ()

    @property
    def total(self) -> Interval | None:
        """Machine time as measured, and modelled human time on top."""
        if self.rta is None:
            return None
        hi = None if self.rta.hi is None else self.rta.hi + self.modelled
        return Interval(lo=self.rta.lo + self.modelled, hi=hi)


class DecisionMeasure(Frozen):
    """One decision by a person: what came of it, and how long it took as lived and as modelled."""

    step: str
    role: Annotated[str, Field(description="who decided, or should have")]
    how: Literal["modelled", "asked"]
    outcome: Annotated[
        Literal["taken", "refused", "missed"],
        Field(description="missed: nobody could be reached, or nobody answered in time"),
    ]
    absent: Annotated[tuple[str, ...], Field(description="those who were tried in vain before")] = ()
    who: Annotated[str | None, Field(description="the person's own word for itself")] = None
    why: Annotated[str | None, Field(description="why it was missed")] = None
    lived: Annotated[int, Field(description="human time that was measured, ns")] = 0
    modelled: Annotated[int, Field(description="human time that was modelled and not lived, ns")] = 0
    reached: Annotated[int, Field(description="of it, until the decider was reached, ns")] = 0
    answer: Annotated[int | None, Field(description="from the question to the answer, ns")] = None
    within: Annotated[int | None, Field(description="limit of an asked-for answer, ns")] = None
    after: Annotated[
        Interval | None,
        Field(
            description="its end as lived, ns after the fault that first hurt a journey; without modelled time"
        ),
    ] = None
    events: tuple[int, ...] = ()


class SuspectMeasure(Frozen):
    """What somebody took to be broken, from the evidence of probes or of the bank, and whether it was."""

    step: str
    suspect: Annotated[str, Field(description="service, or link 'caller -> callee'")]
    others: Annotated[tuple[str, ...], Field(description="named beside it, as less likely")] = ()
    evidence: tuple[str, ...] = ()
    broken: Annotated[
        tuple[str, ...], Field(description="targets of the faults that had begun and were not undone by then")
    ] = ()
    undone: Annotated[
        tuple[str, ...],
        Field(description="targets of faults that had been undone before: well again, or not"),
    ] = ()
    right: Annotated[bool, Field(description="the suspect is one of these targets")]
    after: Annotated[Interval | None, Field(description="ns after the fault that first hurt a journey")] = (
        None
    )
    event: int


class NoticeMeasure(Frozen):
    """The first notice that reached customers on a channel, as it stood in their inbox."""

    channel: str
    after: Annotated[Interval | None, Field(description="ns after the fault that first hurt a journey")]
    named: Annotated[tuple[str, ...], Field(description="journeys that its text names")] = ()
    missing: Annotated[
        tuple[str, ...], Field(description="journeys that were hurt and that it does not name")
    ] = ()
    needless: Annotated[
        tuple[str, ...], Field(description="journeys that it names and that were not hurt")
    ] = ()
    announced: Annotated[str | None, Field(description="expected recovery that its text announces")] = None
    over: Annotated[bool, Field(description="every journey that was hurt was surely back before")] = False
    late: Annotated[
        Interval | None,
        Field(
            description="by how much the last journey that was hurt was back later than announced, ns, modelled "
            "human time included; negative: earlier"
        ),
    ] = None
    event: int


class AttackMeasure(Frozen):
    """An attack from outside as the attacked service's own feed, its customers and the books tell of it."""

    step: str
    target: str
    clock: Annotated[
        Interval | None,
        Field(
            description="from its start to its witness, CLOCK_MONOTONIC ns; hi None: nobody saw its effect"
        ),
    ] = None
    alerted: Annotated[
        Interval | None,
        Field(description="the first alert, or block, ns after the attack; None: none was read"),
    ] = None
    alert: Annotated[str, Field(description="its words")] = ""
    alert_event: Annotated[int | None, Field(description="where it was read")] = None
    blocked: Annotated[
        Interval | None,
        Field(description="the first of the attack's sources, or log-ins it tried, turned away"),
    ] = None
    block: Annotated[str, Field(description="its words")] = ""
    block_event: Annotated[int | None, Field(description="where it was read")] = None
    counts_event: Annotated[int | None, Field(description="the last reading of the service's counts")] = None
    asked: Annotated[
        int, Field(description="requests from the attack's addresses, as the service counted them")
    ] = 0
    refused: Annotated[int, Field(description="of them turned away by a limit or a lock")] = 0
    failed: Annotated[int, Field(description="of them log-ins that failed")] = 0
    let_in: Annotated[int, Field(description="of them log-ins that worked")] = 0
    unturned: Annotated[
        tuple[str, ...],
        Field(
            description="addresses of the attack's from which 20 or more requests came after the first block, or in "
            "all where the feed was not read then, and of them none was turned away or failed, each with how many"
        ),
    ] = ()
    read: Annotated[
        bool, Field(description="the attacked service's feed was read until the attack had ended")
    ] = False
    forgot: Annotated[
        bool, Field(description="the service ended meanwhile: what it had counted by then may be gone")
    ] = False
    mixed: Annotated[
        tuple[str, ...],
        Field(
            description="other attacks on that service, from the same addresses, that had begun when its first "
            "alert or block came: of which of them the feed speaks nobody knows"
        ),
    ] = ()
    later: Annotated[bool, Field(description="another attack on that service began before this one")] = False
    beside: Annotated[
        Interval | None,
        Field(description="the first alert, or block, about another kind of attack, ns after this one"),
    ] = None
    wrongly_blocked: Annotated[
        tuple[str, ...], Field(description="customers who were turned away as attackers would be")
    ] = ()
    operations: Annotated[int, Field(description="their operations that were turned away")] = 0
    keys: Annotated[tuple[str, ...], Field(description="of these operations")] = ()
    moved: Annotated[
        tuple[str, ...], Field(description="transactions in the books that no customer of the run asked for")
    ] = ()
    unsaid: Annotated[
        int, Field(description="transactions that none asked for and whose `source` may be a customer's")
    ] = 0
    books: Annotated[bool, Field(description="there are books, and they could be read")] = False
    events: tuple[int, ...] = ()
