"""RTA: against the oracle, against known truths, and case by case."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from chaoskit.metrics.arrivals import Arrival
from chaoskit.metrics.recovery import Probed, measure_recovery
from chaoskit.metrics.timeline import (
    Alert,
    DecisionSpan,
    FaultSpan,
    ResponseSpan,
    Timeline,
    Volley,
)
from chaoskit.model.measurement import Interval
from chaoskit.model.plan import Criterion
from tests.metrics import oracle

MS = 10**6
S = 10**9
ZERO = 1_000 * S


def arrival(at: int, good: bool, *, took: int = 5 * MS, late: int = 0, missed: bool = False) -> Arrival:
    return Arrival(at, at + late, at if missed else at + took, good, good, missed)


def timeline(*faults: tuple[int, int], decisions: tuple[DecisionSpan, ...] = ()) -> Timeline:
    spans = tuple(
        FaultSpan(f"f{n}", "process.kill", "db", n, lo, hi, "seen", (n,)) for n, (lo, hi) in enumerate(faults)
    )
    volleys = tuple(Volley(n, lo, hi, (f"f{n}",), (n,)) for n, (lo, hi) in enumerate(faults))
    alerts: tuple[Alert, ...] = ()
    responses: tuple[ResponseSpan, ...] = ()
    return Timeline(ZERO, spans, volleys, decisions, responses, alerts)


def probed(
    probes: list[Arrival],
    *,
    load: list[Arrival] | None = None,
    period: int = 100 * MS,
    window: int = 2 * S,
    hold: int = 5 * S,
    q: float = 0.99,
) -> Probed:
    return Probed(
        journey="transfer",
        probes=tuple(probes),
        load=tuple(load or ()),
        period=period,
        within=S,
        criterion=Criterion(good_ratio=q, window_ns=window, hold_ns=hold),
        data_end=probes[-1].intended + period if probes else 0,
        before=ZERO - 5 * S,
    )


def run(start: int, stop: int, period: int, bad: list[tuple[int, int]]) -> list[Arrival]:
    return [arrival(t, not any(lo <= t < hi for lo, hi in bad)) for t in range(start, stop, period)]


FAULT = (ZERO + MS, ZERO + 3 * MS)


class TestAgainstTheOracle:
    @settings(max_examples=200, deadline=None)
    @given(
        marks=st.lists(st.sampled_from([True, True, True, False]), min_size=1, max_size=90),
        good_tail=st.integers(0, 60),
        period=st.sampled_from([10 * MS, 100 * MS, 333 * MS]),
        window_probes=st.integers(1, 25),
        hold_probes=st.integers(1, 40),
        q=st.sampled_from([0.5, 0.9, 0.99, 1.0]),
        second=st.none() | st.integers(1, 80),
        width=st.integers(0, 5 * MS),
    )
    def test_same_bounds(
        self,
        marks: list[bool],
        good_tail: int,
        period: int,
        window_probes: int,
        hold_probes: int,
        q: float,
        second: int | None,
        width: int,
    ) -> None:
        series = [True] * 30 + marks + [True] * good_tail
        start = ZERO - 30 * period + period // 2
        probes = [arrival(start + n * period, good, took=0) for n, good in enumerate(series)]
        faults = [(ZERO, ZERO + width)]
        if second is not None:
            faults.append((ZERO + second * period, ZERO + second * period + width))
        window, hold = window_probes * period, hold_probes * period
        own = measure_recovery(
            probed(probes, period=period, window=window, hold=hold, q=q), timeline(*faults)
        )
        first_bad = next((p.intended for p in probes[30:] if not p.good), None)
        fault = max((f for f in faults if first_bad is not None and f[0] <= first_bad), default=faults[0])
        expected = oracle.recovery(
            [oracle.Probe(p.intended, p.good) for p in probes[30:]],
            fault,
            faults[-1][0],
            window,
            hold,
            q,
            probes[-1].intended + period,
        )
        if expected is None:
            assert own.never_bad
        else:
            assert own.rta is not None
            assert (own.rta.lo, own.rta.hi) == expected


class TestKnownTruth:
    @settings(max_examples=200, deadline=None)
    @given(
        period=st.sampled_from([10 * MS, 50 * MS, 100 * MS]),
        phase=st.integers(0, 100 * MS - 1),
        fault_at=st.integers(0, 200 * MS),
        width=st.integers(0, 4 * MS),
        inside=st.floats(0, 1),
        outage=st.integers(150 * MS, 8 * S),
        lateness=st.lists(st.integers(0, 4 * MS), min_size=1, max_size=7),
    )
    def test_the_interval_contains_it_and_is_narrow(
        self,
        period: int,
        phase: int,
        fault_at: int,
        width: int,
        inside: float,
        outage: int,
        lateness: list[int],
    ) -> None:
        """A server that refuses between two instants, sampled whenever each probe really comes."""
        lo = ZERO + fault_at
        hi = lo + width
        struck = lo + int(inside * width)
        back = struck + outage
        probes = []
        for n, t in enumerate(range(ZERO - 3 * S + phase % period, back + 12 * S, period)):
            late = lateness[n % len(lateness)]
            probes.append(arrival(t, not struck <= t + late < back, late=late, took=late + MS))
        own = measure_recovery(probed(probes, period=period), timeline((lo, hi)))
        assert own.rta is not None
        assert own.rta.hi is not None
        assert own.rta.lo <= back - struck <= own.rta.hi
        assert own.rta.hi - own.rta.lo <= period + width + max(lateness)
        (seen,) = own.outages
        assert seen.duration.hi is not None
        assert seen.duration.lo <= outage <= seen.duration.hi
        assert seen.duration.hi - seen.duration.lo <= 2 * period + 2 * max(lateness)


def test_bounds_of_an_outage_take_the_unfavourable_end_of_a_late_probe() -> None:
    """Bad from 48 ms after the first bad probe was due, sampled 50 ms late; it lasted for 1 s."""
    struck, back = ZERO + 48 * MS, ZERO + 1_048 * MS
    late = {ZERO: 50 * MS, ZERO + S: 40 * MS, ZERO + 1_100 * MS: 30 * MS}
    probes = []
    for t in range(ZERO - 3 * S, ZERO + 15 * S, 100 * MS):
        at = t + late.get(t, 0)
        probes.append(arrival(t, not struck <= at < back, late=late.get(t, 0), took=late.get(t, 0) + MS))
    (seen,) = measure_recovery(probed(probes), timeline((struck, struck))).outages
    assert seen.duration == Interval(lo=950 * MS, hi=1_230 * MS)


class TestTheClock:
    def test_a_fault_that_did_not_hurt_does_not_start_it(self) -> None:
        latency, kill = (ZERO, ZERO + MS), (ZERO + 3 * S, ZERO + 3 * S + MS)
        probes = run(ZERO - 3 * S, ZERO + 20 * S, 100 * MS, [(kill[0], kill[0] + 4 * S)])
        own = measure_recovery(probed(probes), timeline(latency, kill))
        assert own.volley is not None
        assert own.volley.steps == ("f1",)
        assert own.rta is not None
        assert own.rta.hi is not None
        assert own.rta.hi < 4_200 * MS

    def test_the_probe_in_flight_when_the_fault_struck_belongs_to_it(self) -> None:
        """It was sent 2 ms before, and never answered: no reason to call the journey bad before the fault."""
        latency, kill = (ZERO, ZERO + MS), (ZERO + 3 * S + 2 * MS, ZERO + 3 * S + 3 * MS)
        probes = [
            arrival(t, not ZERO + 3 * S <= t < ZERO + 7 * S, took=5 * MS if t < ZERO + 3 * S else S)
            for t in range(ZERO - 3 * S, ZERO + 20 * S, 100 * MS)
        ]
        own = measure_recovery(probed(probes), timeline(latency, kill))
        assert own.volley is not None
        assert own.volley.steps == ("f1",)

    def test_a_probe_that_had_hung_for_longer_than_any_good_one_was_hurt_by_the_fault_before(self) -> None:
        toxic, kill = (ZERO, ZERO + MS), (ZERO + 800 * MS, ZERO + 801 * MS)
        probes = [
            arrival(t, not ZERO <= t < ZERO + 3 * S, took=5 * MS if t < ZERO else S)
            for t in range(ZERO - 3 * S, ZERO + 20 * S, 100 * MS)
        ]
        own = measure_recovery(probed(probes), timeline(toxic, kill))
        assert own.volley is not None
        assert own.volley.steps == ("f0",)

    def test_bad_before_any_fault_is_no_measurement(self) -> None:
        probes = run(ZERO - 3 * S, ZERO + 20 * S, 100 * MS, [(ZERO + 100 * MS, ZERO + 300 * MS)])
        own = measure_recovery(probed(probes), timeline((ZERO + 2 * S, ZERO + 2 * S)))
        assert own.rta is None
        assert own.invalid == ("it was bad before any fault began",)

    @pytest.mark.parametrize(
        ("before", "took", "volley"),
        [
            (7, 30, "f0"),  # the machine was slow just then: no good probe had taken longer than 5 ms
            (99, 130, "f0"),
            (7, 6, None),  # it had its bad answer before the fault
            (107, 130, None),  # a whole period before, and the probe before that one was good
        ],
    )
    def test_a_slow_probe_in_flight_when_the_first_fault_struck_belongs_to_it(
        self, before: int, took: int, volley: str | None
    ) -> None:
        probes = [
            arrival(t, not ZERO <= t < ZERO + 3 * S, took=5 * MS if t < ZERO else took * MS)
            for t in range(ZERO - 3 * S, ZERO + 20 * S, 100 * MS)
        ]
        struck = ZERO + before * MS
        own = measure_recovery(probed(probes), timeline((struck, struck + MS)))
        if volley is None:
            assert own.invalid == ("it was bad before any fault began",)
        else:
            assert own.invalid == ()
            assert own.volley is not None
            assert own.volley.steps == (volley,)
            assert own.rta == Interval(lo=2_900 * MS - (before + 1) * MS, hi=(3_000 - before) * MS)

    def test_a_slow_probe_in_flight_after_a_bad_one_is_not_the_faults(self) -> None:
        """The bad one had its answer before the drill's clock began, and what follows it may have the same cause."""
        probes = [
            arrival(t, not ZERO - 100 * MS <= t < ZERO + 3 * S, took=5 * MS if t < ZERO else 30 * MS)
            for t in range(ZERO - 3 * S, ZERO + 20 * S, 100 * MS)
        ]
        own = measure_recovery(probed(probes), timeline((ZERO + 7 * MS, ZERO + 8 * MS)))
        assert own.invalid == ("it was bad before any fault began",)

    def test_a_bad_probe_while_warming_up_is_nobodys_outage(self) -> None:
        probes = run(
            ZERO - 6 * S, ZERO + 20 * S, 100 * MS, [(ZERO - 6 * S, ZERO - 5 * S), (FAULT[0], FAULT[0] + S)]
        )
        own = measure_recovery(probed(probes), timeline(FAULT))
        assert own.invalid == ()
        assert len(own.outages) == 1


class TestRecovered:
    def test_never_bad_is_at_most_one_period(self) -> None:
        own = measure_recovery(probed(run(ZERO - 3 * S, ZERO + 20 * S, 100 * MS, [])), timeline(FAULT))
        assert own.never_bad
        assert own.rta == Interval(lo=0, hi=100 * MS)
        assert own.invalid == ()

    def test_never_bad_but_hardly_watched_says_nothing(self) -> None:
        own = measure_recovery(probed(run(ZERO - 3 * S, ZERO + 2 * S, 100 * MS, [])), timeline(FAULT))
        assert own.invalid
        assert "watched for only 2.0 s" in own.invalid[0]

    def test_censored_is_more_than_the_last_refuted(self) -> None:
        probes = run(ZERO - 3 * S, ZERO + 6 * S, 100 * MS, [(FAULT[0], ZERO + 4 * S)])
        own = measure_recovery(probed(probes), timeline(FAULT))
        assert own.rta is not None
        assert own.rta.hi is None
        assert own.rta.lo == 3_900 * MS - 3 * MS
        assert own.recovered_at is None

    def test_flapping_counts_until_it_holds(self) -> None:
        bad = [(FAULT[0], ZERO + S), (ZERO + 3 * S, ZERO + 3_200 * MS), (ZERO + 5 * S, ZERO + 5_200 * MS)]
        own = measure_recovery(probed(run(ZERO - 3 * S, ZERO + 20 * S, 100 * MS, bad)), timeline(FAULT))
        assert own.recovered_at == ZERO + 5_200 * MS

    def test_recovered_before_a_later_fault_that_did_not_hurt(self) -> None:
        probes = run(ZERO - 3 * S, ZERO + 20 * S, 100 * MS, [(FAULT[0], ZERO + 2 * S)])
        own = measure_recovery(probed(probes), timeline(FAULT, (ZERO + 9 * S, ZERO + 9 * S)))
        assert own.recovered_at == ZERO + 2 * S

    def test_a_later_fault_that_hurts_belongs_to_the_same_recovery(self) -> None:
        bad = [(FAULT[0], ZERO + 2 * S), (ZERO + 9 * S, ZERO + 10 * S)]
        probes = run(ZERO - 3 * S, ZERO + 20 * S, 100 * MS, bad)
        own = measure_recovery(probed(probes), timeline(FAULT, (ZERO + 9 * S, ZERO + 9 * S)))
        assert own.recovered_at == ZERO + 10 * S
        assert len(own.outages) == 2

    def test_bad_again_after_it_held_is_told(self) -> None:
        bad = [(FAULT[0], ZERO + 2 * S), (ZERO + 9 * S, ZERO + 9_300 * MS)]
        own = measure_recovery(probed(run(ZERO - 3 * S, ZERO + 20 * S, 100 * MS, bad)), timeline(FAULT))
        assert own.recovered_at == ZERO + 2 * S
        assert own.bad_again == 3

    def test_the_load_has_its_say(self) -> None:
        """Probes are good from 2 s on, one load operation in five fails until 6 s."""
        probes = run(ZERO - 5 * S, ZERO + 20 * S, 100 * MS, [(FAULT[0], ZERO + 2 * S)])
        load = [
            arrival(t, not (FAULT[0] <= t < ZERO + 2 * S or (t < ZERO + 6 * S and t > ZERO and n % 5 == 0)))
            for n, t in enumerate(range(ZERO - 5 * S, ZERO + 20 * S, 25 * MS))
        ]
        alone = measure_recovery(probed(probes), timeline(FAULT))
        together = measure_recovery(probed(probes, load=load), timeline(FAULT))
        assert alone.recovered_at == ZERO + 2 * S
        assert together.recovered_at is not None
        assert ZERO + 4 * S < together.recovered_at <= ZERO + 6 * S

    def test_only_the_load_was_hurt(self) -> None:
        probes = run(ZERO - 5 * S, ZERO + 20 * S, 100 * MS, [])
        load = [
            arrival(t, not FAULT[0] <= t < ZERO + 3 * S) for t in range(ZERO - 5 * S, ZERO + 20 * S, 25 * MS)
        ]
        own = measure_recovery(probed(probes, load=load), timeline(FAULT))
        assert not own.never_bad
        assert own.recovered_at is not None
        assert ZERO + 2 * S < own.recovered_at <= ZERO + 3 * S

    def test_minimum_service_comes_before_full_service(self) -> None:
        probes = [
            arrival(t, not (FAULT[0] <= t < ZERO + 2 * S or (ZERO < t < ZERO + 5 * S and n % 4 == 0)))
            for n, t in enumerate(range(ZERO - 5 * S, ZERO + 20 * S, 100 * MS))
        ]
        own = measure_recovery(probed(probes), timeline(FAULT))
        assert own.minimum_service is not None
        assert own.minimum_service.hi is not None
        assert own.rta is not None
        assert own.minimum_service.hi < 2_200 * MS < own.rta.lo


class TestInvalid:
    @pytest.mark.parametrize("at", [ZERO - 50 * MS + 50 * MS, ZERO + 3 * S, ZERO + 6 * S])
    def test_a_missed_probe_in_the_window(self, at: int) -> None:
        probes = [
            replace(p, missed=True, good=False) if p.intended == at else p
            for p in run(ZERO - 3 * S, ZERO + 20 * S, 100 * MS, [(FAULT[0], ZERO + 4 * S)])
        ]
        own = measure_recovery(probed(probes), timeline(FAULT))
        assert any("not sent" in why for why in own.invalid)

    def test_a_probe_later_than_its_period(self) -> None:
        probes = [
            replace(p, sampled=p.intended + 101 * MS) if p.intended == ZERO + S else p
            for p in run(ZERO - 3 * S, ZERO + 20 * S, 100 * MS, [(FAULT[0], ZERO + 4 * S)])
        ]
        own = measure_recovery(probed(probes), timeline(FAULT))
        assert own.invalid == (
            "1 of 90 probes were late by more than their period of 100 ms, the latest by 101 ms",
        )

    def test_a_gap_in_the_journal(self) -> None:
        probes = [
            p
            for p in run(ZERO - 3 * S, ZERO + 20 * S, 100 * MS, [(FAULT[0], ZERO + 4 * S)])
            if p.intended != ZERO + 2 * S
        ]
        own = measure_recovery(probed(probes), timeline(FAULT))
        assert own.invalid == ("no probe for 200 ms, though one was due every 100 ms",)

    def test_a_load_that_slept_through_customers(self) -> None:
        probes = run(ZERO - 3 * S, ZERO + 20 * S, 100 * MS, [(FAULT[0], ZERO + 4 * S)])
        asleep = [
            replace(a, good=False, ok=False, missed=True, asleep=ZERO + S <= a.intended < ZERO + 2 * S)
            for a in run(ZERO - 3 * S, ZERO + 20 * S, 50 * MS, [(FAULT[0], ZERO + 4 * S)])
            if a.intended < ZERO + 4 * S
        ]
        own = measure_recovery(probed(probes, load=asleep), timeline(FAULT))
        assert len(own.invalid) == 1
        assert own.invalid[0].startswith("the load slept through 20 of ")

    def test_outside_the_window_nothing_matters(self) -> None:
        probes = [
            replace(p, missed=True) if p.intended in (ZERO - 2 * S, ZERO + 15 * S) else p
            for p in run(ZERO - 3 * S, ZERO + 20 * S, 100 * MS, [(FAULT[0], ZERO + 4 * S)])
        ]
        assert measure_recovery(probed(probes), timeline(FAULT)).invalid == ()


def test_people_who_decided_before_the_recovery_are_on_its_path() -> None:
    probes = run(ZERO - 3 * S, ZERO + 20 * S, 100 * MS, [(FAULT[0], ZERO + 4 * S)])
    made = DecisionSpan("promote", ZERO + S, ZERO + S, 120 * S, 0, 9)
    late = DecisionSpan("notify", ZERO + 8 * S, ZERO + 8 * S, 600 * S, 0, 10)
    own = measure_recovery(probed(probes), timeline(FAULT, decisions=(made, late)))
    assert own.modelled == 120 * S


def held_up(probes: list[Arrival], until: int) -> list[Arrival]:
    """The same probes, those of the time from the fault on answered, well, only at `until`."""
    return [
        replace(p, decided=until, good=True, ok=True) if FAULT[0] <= p.intended < until else p for p in probes
    ]


def test_a_probe_that_waited_for_a_modelled_decision_recovered_after_it() -> None:
    # a_l arrives before the decision and is answered well after it: without the person it would not have been.
    bad = [(FAULT[0], ZERO + S)]
    probes = run(ZERO - 3 * S, ZERO + 20 * S, 100 * MS, bad)
    decided = ZERO + S + 150 * MS
    probes = [
        replace(p, decided=decided + 50 * MS) if ZERO + S <= p.intended <= decided else p for p in probes
    ]
    made = DecisionSpan("promote", decided, decided, 120 * S, 0, 9)
    own = measure_recovery(probed(probes), timeline(FAULT, decisions=(made,)))
    assert own.recovered_at is not None
    assert own.recovered_at < decided
    assert own.modelled == 120 * S


def test_customers_that_only_waited_longer_than_usual_waited_for_the_person_as_well() -> None:
    # No probe is bad, because the machine was quick and the person modelled; lived, it would have been two minutes.
    decided = ZERO + 300 * MS
    probes = held_up(run(ZERO - 3 * S, ZERO + 20 * S, 100 * MS, []), decided + 50 * MS)
    made = DecisionSpan("promote", decided, decided, 120 * S, 0, 9)
    own = measure_recovery(probed(probes), timeline(FAULT, decisions=(made,)))
    assert own.never_bad
    assert own.modelled == 120 * S


def test_a_journey_that_the_fault_does_not_touch_waits_for_nobody() -> None:
    probes = run(ZERO - 3 * S, ZERO + 20 * S, 100 * MS, [])
    made = DecisionSpan("promote", ZERO + 301 * MS, ZERO + 301 * MS, 120 * S, 0, 9)
    own = measure_recovery(probed(probes), timeline(FAULT, decisions=(made,)))
    assert own.never_bad
    assert own.modelled == 0


def test_no_fault_no_measurement() -> None:
    own = measure_recovery(probed(run(ZERO - S, ZERO + S, 100 * MS, [])), timeline())
    assert own.invalid == ("no fault began",)


def test_outages_without_any_fault_are_measured_all_the_same() -> None:
    """A proof compares them with the outages of the run as written: what comes without the fault is not its doing."""
    probes = run(ZERO - S, ZERO + 4 * S, 100 * MS, [(ZERO + S, ZERO + 3 * S)])
    own = measure_recovery(probed(probes), timeline())
    assert own.invalid == ("no fault began",)
    assert own.rta is None
    (outage,) = own.outages
    assert outage.duration.lo >= 1_800 * MS
