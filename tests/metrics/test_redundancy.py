"""The clock `redundancy-restored`: against known truths, and the histories it rejects."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chaoskit.judge.redundancy import judge_redundancy, second_failures
from chaoskit.metrics.redundancy import Look, measure_role
from chaoskit.metrics.timeline import FaultSpan, ResponseSpan, Timeline
from chaoskit.model.measurement import Clocks, LossMeasure, LostOperation, Measurements
from chaoskit.model.redundancy import RedundancyMeasure, RejoinMeasure
from chaoskit.quantity import Duration
from tests.metrics.test_recovery import FAULT, MS, ZERO, S, timeline

EVERY = 250 * MS
TOOK = 20 * MS
POSITION = 1_000
"""What the primary has written by the time the standby streams again."""


def look(
    at: int, replayed: int | None, *, writer: str | None = "db-standby", position: int = POSITION
) -> Look:
    return Look(at, at + TOOK, True, writer, position, replayed, at // MS)


def looks(lost: int, streams: int, caught_up: int, stop: int = 20 * S, phase: int = 0) -> list[Look]:
    """One every 250 ms: lost in [lost, streams), streaming from `streams`, caught up from `caught_up`; ns after zero.

    A look shows what was so in its middle.
    """
    found = []
    for at in range(-2 * S + phase, stop, EVERY):
        middle = at + TOOK // 2
        if middle < lost:
            found.append(look(ZERO + at, 900, writer="db", position=900))
        elif middle < streams:
            found.append(look(ZERO + at, None))
        else:
            found.append(look(ZERO + at, POSITION if middle >= caught_up else 950))
    return found


def rejoin(ended: int, position: int = POSITION) -> RejoinMeasure:
    return RejoinMeasure(
        step="rejoin",
        service="db",
        follows="db-standby",
        method="rewind",
        bytes=54_000_000,
        seconds=1.2,
        ended=ZERO + ended,
        position=position,
        event=77,
    )


def measured(
    seen: list[Look],
    *rejoins: RejoinMeasure,
    at: Timeline | None = None,
    members: tuple[str, ...] = ("db", "db-standby"),
    planned: frozenset[str] = frozenset(),
    end: int | None = None,
) -> RedundancyMeasure:
    return measure_role("database", members, seen, at or timeline(FAULT), rejoins, planned, end)


def outcome(measure: RedundancyMeasure, limit: str = "10s") -> str:
    return judge_redundancy(Duration.parse(limit), [measure]).outcome


@given(
    st.integers(min_value=500, max_value=9_000),
    st.integers(min_value=0, max_value=3_000),
    st.integers(min_value=0, max_value=249),
)
@settings(max_examples=200, deadline=None)
def test_the_interval_holds_the_instant_at_which_it_had_caught_up(
    streams: int, more: int, phase: int
) -> None:
    truth = (streams + more) * MS
    found = measured(looks(5 * MS, streams * MS, truth, phase=phase * MS))
    assert found.restored is not None
    assert found.restored.hi is not None
    lo, hi = FAULT[0] - ZERO, FAULT[1] - ZERO
    assert found.restored.lo <= truth - lo
    assert truth - hi <= found.restored.hi
    assert found.restored.hi - found.restored.lo <= EVERY + TOOK + (hi - lo)


def test_it_must_have_replayed_what_the_primary_had_written_when_rejoin_ended() -> None:
    """Streaming is not enough, and neither is having caught up with an earlier position."""
    seen = looks(5 * MS, 3 * S, 3 * S)
    early = measured(seen, rejoin(3 * S))
    assert early.restored is not None
    assert early.restored.hi is not None
    assert early.restored.hi <= 3 * S + EVERY + TOOK
    assert early.rejoin is not None
    behind = measured(seen, rejoin(3 * S, POSITION + 1))
    assert behind.restored is not None
    assert behind.restored.hi is None
    assert outcome(behind) == "fail"


def test_it_is_not_restored_before_rejoin_has_ended() -> None:
    """It streams from 3 s on, and `rejoin` is busy with it until 5 s."""
    spans = (ResponseSpan("rejoin", ZERO + 2 * S, ZERO + 5 * S, (70, 78)),)
    found = measured(looks(5 * MS, 3 * S, 3 * S), rejoin(5 * S), at=replace(timeline(FAULT), responses=spans))
    assert found.restored is not None
    assert found.restored.hi is not None
    assert 5 * S - (FAULT[1] - ZERO) <= found.restored.lo <= found.restored.hi <= 5 * S + EVERY + TOOK


@pytest.mark.parametrize(
    ("seen", "why"),
    [
        ([], "not seen that a standby streamed before"),
        (
            [one for one in looks(5 * MS, 3 * S, 3 * S) if one.asked > ZERO],
            "not seen that a standby streamed before",
        ),
        (
            [replace(one, replayed=None) for one in looks(5 * MS, 3 * S, 3 * S)],
            "not seen that a standby streamed before",
        ),
        ([one for one in looks(5 * MS, 3 * S, 3 * S) if one.asked < ZERO], "could not be seen"),
        (
            [replace(one, seen=one.asked < ZERO + 2 * S) for one in looks(5 * MS, 3 * S, 3 * S)],
            "could not be seen",
        ),
    ],
)
def test_what_was_not_seen_is_unknown(seen: list[Look], why: str) -> None:
    found = measured(seen)
    assert found.restored is None
    assert why in found.invalid[0]
    assert outcome(found) == "unknown"


def test_looks_that_tell_nothing_widen_the_interval_and_hide_nothing() -> None:
    """Nobody answers between 2 s and 6 s, and it was back at 3 s: somewhere between is all that can be said."""
    blind = [
        replace(one, seen=not ZERO + 2 * S <= one.asked < ZERO + 6 * S) for one in looks(5 * MS, 3 * S, 3 * S)
    ]
    found = measured(blind)
    assert found.restored is not None
    assert found.restored.hi is not None
    assert found.restored.lo < 2 * S < 3 * S < 6 * S - EVERY < found.restored.hi
    assert outcome(found, "3s") == "unknown"
    assert found.unseen == 16


def test_without_a_standby_until_the_end_it_is_censored_and_fails() -> None:
    found = measured(looks(5 * MS, 90 * S, 90 * S))
    assert found.restored is not None
    assert found.restored.hi is None
    assert found.restored.lo > 19 * S
    assert (outcome(found), outcome(found, "1m")) == ("fail", "unknown")


def test_a_fault_that_takes_no_standby_away_is_said_to() -> None:
    found = measured(looks(90 * S, 90 * S, 90 * S))
    assert found.never_lost
    assert outcome(found) == "pass"


def test_a_member_that_is_silent_from_the_fault_on_may_have_been_without() -> None:
    """A primary that is frozen for six seconds says nothing, and streams again afterwards."""
    silent = [
        replace(one, seen=not ZERO <= one.asked < ZERO + 6 * S) for one in looks(90 * S, 90 * S, 90 * S)
    ]
    found = measured(silent)
    assert found.restored is not None
    assert found.restored.hi is not None
    assert 6 * S - EVERY <= found.restored.hi <= 6 * S + EVERY + TOOK
    assert (outcome(found, "5s"), outcome(found, "10s")) == ("unknown", "pass")


def test_silence_after_it_was_back_may_hide_a_longer_time_without() -> None:
    silent = [
        replace(one, seen=not 8 * S <= one.asked - ZERO < 18 * S) for one in looks(5 * MS, 3 * S, 3 * S)
    ]
    assert outcome(measured(looks(5 * MS, 3 * S, 3 * S)), "5s") == "pass"
    assert (outcome(measured(silent), "5s"), outcome(measured(silent), "20s")) == ("unknown", "pass")


def test_a_planned_change_of_roles_does_not_count_unless_it_never_ends() -> None:
    away = [replace(one, replayed=None) if ZERO + 9 * S < one.asked < ZERO + 11 * S else one
            for one in looks(5 * MS, 3 * S, 3 * S)]  # fmt: skip
    found = measured(away)
    assert found.restored is not None
    assert found.restored.hi is not None
    assert found.restored.hi < 4 * S
    gone = [replace(one, replayed=None) if one.asked > ZERO + 9 * S else one for one in away]
    assert outcome(measured(gone)) == "fail"


def second_at(at: int, *, target: str = "db-standby") -> Timeline:
    both = timeline(FAULT, (ZERO + at, ZERO + at + 40 * MS))
    first, second = both.faults
    return replace(both, faults=(first, FaultSpan(**{**second.__dict__, "target": target})))


def test_a_second_failure_before_it_is_back_is_told_with_its_outage() -> None:
    """The new primary is away from 4 s to 9 s; a standby is there again at 12 s."""
    seen = [replace(one, writer=None) if ZERO + 4 * S <= one.asked < ZERO + 9 * S else one
            for one in looks(5 * MS, 12 * S, 12 * S)]  # fmt: skip
    found = measured(seen, at=second_at(4 * S - 100 * MS))
    assert found.restored is not None
    assert found.restored.hi is not None
    assert found.restored.lo < 12 * S < found.restored.hi + EVERY
    [second] = found.second
    assert (second.target, second.step) == ("db-standby", "f1")
    assert second.no_writer is not None
    assert second.no_writer.hi is not None
    assert second.no_writer.lo <= 5 * S <= second.no_writer.hi
    told = Measurements(run="r", faults=(), journeys={}, losses={}, clocks=Clocks(), redundancy=(found,))
    [finding] = second_failures(told)
    assert "process.kill on db-standby" in finding.title
    assert "no standby was left to take over" in finding.detail


def test_what_a_second_failure_cost_names_every_lost_operation() -> None:
    found = measured(looks(5 * MS, 12 * S, 12 * S), at=second_at(4 * S))
    lost = LostOperation(key="k-7", journey="transfer", amount=1250, currency="CNY", sent=1, done=2)
    loss = LossMeasure(books="ledger", survivor="db", acknowledged=90, lost=(lost,), amount={"CNY": 1250})
    about = {"run": "r", "faults": (), "journeys": {}, "clocks": Clocks(), "redundancy": (found,)}
    [finding] = second_failures(Measurements.model_validate({**about, "losses": {"ledger": loss}}))
    assert "1 of 90 acknowledged operations lost, 12.50 CNY: k-7" in finding.detail
    blind = loss.model_copy(update={"lost": (), "problems": ("split brain: both accept writes",)})
    [finding] = second_failures(Measurements.model_validate({**about, "losses": {"ledger": blind}}))
    assert "What was lost of ledger is unknown: split brain" in finding.detail


def test_a_failure_after_it_was_back_or_elsewhere_is_no_second_one() -> None:
    seen = looks(5 * MS, 3 * S, 3 * S)
    assert measured(seen, at=second_at(6 * S)).second == ()
    assert measured(seen, at=second_at(2 * S, target="gateway")).second == ()


def test_of_two_losses_the_longer_one_is_the_clock() -> None:
    """The second fault takes the standby away for good, after a quick first recovery."""
    seen = [
        replace(one, replayed=None) if one.asked > ZERO + 6 * S else one
        for one in looks(5 * MS, 3 * S, 3 * S)
    ]
    found = measured(seen, at=second_at(6 * S))
    assert found.restored is not None
    assert found.restored.hi is None
    assert found.clock is not None
    assert found.clock.lo == ZERO + 6 * S


def test_a_standby_that_was_cut_off_and_seen_to_be_gone_only_later_was_gone() -> None:
    """A primary takes a standby that it cannot reach for one that streams, until its own patience is over."""
    found = measured(looks(3 * S, 12 * S, 12 * S))
    assert not found.never_lost
    assert found.restored is not None
    assert found.restored.hi is not None
    # Somewhere between the fault and the first look at which it was gone it was lost, and it was back at 12 s.
    assert found.restored.lo <= 9 * S
    assert 12 * S <= found.restored.hi <= 12 * S + EVERY + TOOK
    assert [outcome(found, limit) for limit in ("5s", "10s", "13s")] == ["fail", "unknown", "pass"]


def test_a_planned_change_of_roles_after_a_fault_that_took_nothing_is_no_loss() -> None:
    seen = looks(9 * S, 11 * S, 11 * S)
    back = (ResponseSpan("home", ZERO + 8 * S, ZERO + 11 * S, (70, 78)),)
    at = replace(timeline(FAULT), responses=back)
    assert outcome(measured(seen, at=at, planned=frozenset({"home"})), "1s") == "pass"
    assert outcome(measured(seen, at=at), "1s") == "fail"


def test_what_nobody_looked_at_until_the_end_is_not_known_to_have_held() -> None:
    """Whoever looked stopped two seconds after the fault; the run went on until 20 s."""
    seen = [one for one in looks(90 * S, 90 * S, 90 * S) if one.asked < ZERO + 2 * S]
    assert outcome(measured(seen, end=ZERO + 2 * S + EVERY)) == "pass"
    assert outcome(measured(seen, end=ZERO + 20 * S)) == "unknown"
