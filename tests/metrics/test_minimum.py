"""The minimum service of the whole system: against an oracle, case by case, and the histories it rejects."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from chaoskit.judge.minimum import judge_minimum
from chaoskit.metrics.arrivals import Arrival
from chaoskit.metrics.minimum import measure_minimum
from chaoskit.metrics.recovery import Probed
from chaoskit.metrics.timeline import DecisionSpan
from chaoskit.model.journey import MinimumService
from chaoskit.model.measurement import Interval, MinimumMeasure
from chaoskit.quantity import Duration, Percent
from tests.metrics.test_recovery import FAULT, MS, ZERO, S, probed, run, timeline

P = 100 * MS


def agreed(share: str = "80%", hold: str = "3s") -> MinimumService:
    return MinimumService(
        journeys=("balance", "history"), share=Percent.parse(share), for_=Duration.parse(hold)
    )


def journey(name: str, probes: list[Arrival]) -> Probed:
    return replace(probed(probes, period=P, window=2 * S, hold=5 * S), journey=name)


def probes_of(*bad: tuple[int, int], stop: int = 30 * S, shift: int = 0) -> list[Arrival]:
    """Ten a second from five seconds before; bad in each [lo, hi) of ns after the zero."""
    spans = [(ZERO + lo, ZERO + hi) for lo, hi in bad]
    return run(ZERO - 5 * S + shift, ZERO + stop, P, spans)


def measured(
    balance: list[Arrival],
    history: list[Arrival],
    what: MinimumService | None = None,
    decisions: tuple[DecisionSpan, ...] = (),
) -> MinimumMeasure:
    both = {"balance": journey("balance", balance), "history": journey("history", history)}
    found = measure_minimum(what or agreed(), both, timeline(FAULT, decisions=decisions))
    assert found is not None
    return found


def test_it_is_back_when_the_last_of_them_is() -> None:
    found = measured(probes_of((0, 2 * S)), probes_of((0, 6 * S), shift=30 * MS))
    assert found.rta is not None
    assert found.rta.hi is not None
    assert found.rta.lo < 6 * S < found.rta.hi
    assert found.rta.hi - found.rta.lo <= 2 * P
    assert (found.last, found.invalid) == ("history", ())


def test_both_at_the_same_time_and_not_one_after_the_other() -> None:
    """Balance is back for eight seconds, and away again when history comes back: that is no minimum service."""
    found = measured(probes_of((0, 2 * S), (10 * S, 14 * S)), probes_of((0, 11 * S)))
    assert found.rta is not None
    assert found.rta.hi is not None
    assert found.rta.lo < 14 * S - 2 * MS < found.rta.hi
    assert found.last == "balance"


def test_what_the_share_forgives_is_forgiven_and_no_more() -> None:
    tenth = [msgspec.structs.replace(a, good=False) if n % 10 == 0 and a.intended > ZERO + 2 * S else a
             for n, a in enumerate(probes_of((0, 2 * S)))]  # fmt: skip
    lenient = measured(tenth, probes_of((0, 2 * S)))
    assert lenient.rta is not None
    assert lenient.rta.hi is not None
    assert lenient.rta.lo <= 2 * S - 2 * MS <= lenient.rta.hi < 4 * S
    strict = measured(tenth, probes_of((0, 2 * S)), agreed("95%"))
    assert strict.rta is not None
    assert strict.rta.hi is None
    assert strict.last == "balance"


def test_never_bad_is_at_most_one_period() -> None:
    found = measured(probes_of(), probes_of())
    assert (found.never_bad, found.rta) == (True, Interval(lo=0, hi=P))


def test_never_bad_but_hardly_watched_says_nothing() -> None:
    found = measured(probes_of(stop=S), probes_of(stop=S))
    assert found.rta == Interval(lo=0, hi=None)
    assert "was not watched" in found.invalid[0]


def test_one_that_never_comes_back_is_censored() -> None:
    found = measured(probes_of((0, 2 * S)), probes_of((0, 30 * S)))
    assert found.rta is not None
    assert (found.rta.hi, found.last) == (None, "history")
    assert found.rta.lo > 29 * S


def test_missing_probes_make_it_invalid() -> None:
    probes = [a for a in probes_of((0, 2 * S)) if not ZERO + S < a.intended < ZERO + 2 * S]
    found = measured(probes, probes_of((0, 2 * S)))
    assert found.invalid
    assert "balance: no probe for" in found.invalid[0]


def test_bad_before_any_fault_is_no_measurement() -> None:
    both = {"balance": journey("balance", probes_of((0, S))), "history": journey("history", probes_of())}
    late = timeline((ZERO + 5 * S, ZERO + 5 * S + MS))
    found = measure_minimum(agreed(), both, late)
    assert found is not None
    assert "before any fault" in found.invalid[0]


def test_not_all_of_it_driven_is_no_measurement() -> None:
    assert measure_minimum(agreed(), {"balance": journey("balance", probes_of())}, timeline(FAULT)) is None


def test_modelled_decisions_before_it_count() -> None:
    made = (DecisionSpan("promote", ZERO + S, ZERO + S, 60 * S, 0, 1),)
    found = measured(probes_of((0, 2 * S)), probes_of((0, 2 * S)), decisions=made)
    assert found.modelled == 60 * S
    assert found.total is not None
    assert found.total.lo == found.rta.lo + 60 * S  # type: ignore[union-attr]


@settings(max_examples=150, deadline=None)
@given(
    ends=st.tuples(st.integers(1, 80), st.integers(1, 80)),
    relapse=st.tuples(st.integers(0, 60), st.integers(1, 30)),
    shift=st.integers(1, 99),
)
def test_the_interval_contains_the_truth_of_solid_outages(
    ends: tuple[int, int], relapse: tuple[int, int], shift: int
) -> None:
    """Outages with edges anywhere between two probes. The truth: the first edge from which both are good for 3 s."""
    balance = [(0, ends[0] * P + 37 * MS), (ends[0] * P + 37 * MS + relapse[0] * P, 0)]
    balance[1] = (balance[1][0], balance[1][0] + relapse[1] * P)
    history = [(0, ends[1] * P + 61 * MS)]
    # A relapse that begins as the three seconds end, to within a probe or two, is the one or the other.
    assume(abs(balance[1][0] - max(balance[0][1], history[0][1]) - 3 * S) > 2 * P)
    found = measured(
        probes_of(*balance, stop=40 * S), probes_of(*history, stop=40 * S, shift=shift * MS), agreed("100%")
    )
    edges = sorted({hi for _, hi in (*balance, *history)})
    truth = next(t for t in edges if not any(lo < t + 3 * S and t < hi for lo, hi in (*balance, *history)))
    assert found.rta is not None
    assert found.rta.hi is not None
    assert found.rta.lo <= truth - 1 * MS <= found.rta.hi
    if found.rta.hi - found.rta.lo > 2 * P:
        assert relapse[0] < 25, "wider only where the outage came and went within a window"


@pytest.mark.parametrize(("bad_s", "outcome"), [(2, "pass"), (8, "fail"), (30, "fail")])
def test_the_history_it_rejects(bad_s: int, outcome: str) -> None:
    verdict = judge_minimum(Duration.parse("5s"), measured(probes_of((0, 2 * S)), probes_of((0, bad_s * S))))
    assert (verdict.name, verdict.outcome) == ("minimum-service.rto", outcome)
    assert "balance and history, 80.00 % for 3s" in verdict.reason


def test_what_cannot_be_said_is_unknown() -> None:
    never = measured(probes_of((0, 2 * S)), probes_of((0, 30 * S)))
    assert judge_minimum(Duration.parse("60s"), never).outcome == "unknown"
    edge = measured(probes_of((0, 2 * S)), probes_of((0, 5 * S)))
    assert judge_minimum(Duration.parse("4950ms"), edge).outcome == "unknown"
    assert (
        judge_minimum(Duration.parse("60s"), measured(probes_of(stop=S), probes_of(stop=S))).outcome
        == "unknown"
    )
    assert not judge_minimum(Duration.parse("60s"), None).exercised
