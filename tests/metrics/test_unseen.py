"""Customers refused where no probe was bad: what is more than chance, until when, and what is said of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from chaoskit.judge.explanation import explain
from chaoskit.judge.paper import Paper
from chaoskit.metrics.arrivals import Arrival
from chaoskit.metrics.recovery import measure_recovery
from chaoskit.metrics.timeline import DecisionSpan
from chaoskit.metrics.unseen import unseen, usual_share
from chaoskit.model.measurement import Interval, Unseen
from tests.histories.builder import MS, ZERO, RunBuilder, S
from tests.judge.test_explanation import paper_of
from tests.metrics.test_recovery import FAULT, arrival, probed, run, timeline

SPAN = (ZERO, ZERO + 20 * S)


def load(bad: Callable[[int], bool], start: int = ZERO - 5 * S, stop: int = ZERO + 20 * S) -> list[Arrival]:
    """40 a second; `bad` by the number of the arrival since zero."""
    return [arrival(t, not (t > ZERO and bad((t - ZERO) // (25 * MS)))) for t in range(start, stop, 25 * MS)]


def at(number: int) -> int:
    return ZERO + number * 25 * MS


@pytest.mark.parametrize(
    ("bad", "usual", "found"),
    [
        # As a brown-out leaves them.
        (lambda n: n in {40, 50, 60, 65, 70, 79}, 0.01, Unseen(bad=6, of=80, since=at(40), until=at(79))),
        # One account in 25, for good.
        (lambda n: n % 25 == 10, 0.01, Unseen(bad=32, of=786, since=at(10), until=at(785))),
        # Late, in one window: of the whole they are nothing unusual.
        (lambda n: n in {400, 410, 420, 430, 459}, 0.01, Unseen(bad=5, of=80, since=at(400), until=at(459))),
        # A stray one after it is not of it.
        (lambda n: n in {40, 50, 60, 70, 79, 700}, 0.01, Unseen(bad=5, of=80, since=at(40), until=at(79))),
        (lambda n: n == 40, 0.01, None),  # one alone
        (lambda n: n in {100, 300, 500, 700}, 0.01, None),  # what the criterion forgives
        (lambda n: n % 25 == 10, 0.04, None),  # as before the fault
        (lambda n: False, 0.01, None),
    ],
)
def test_more_than_chance(bad: Callable[[int], bool], usual: float, found: Unseen | None) -> None:
    assert unseen(load(bad), SPAN, usual, 2 * S) == found


def test_a_load_that_is_no_worse_is_hardly_ever_taken_for_worse() -> None:
    """At the very share that is forgiven, thirty seconds of forty a second."""
    found = 0
    for seed in range(200):
        random = Random(seed)
        healthy = [arrival(at(n), random.random() >= 0.01) for n in range(1200)]
        found += unseen(healthy, (ZERO, ZERO + 30 * S), 0.01, 2 * S) is not None
    assert found <= 8  # two kinds of stretch, each in at most one of a hundred, and 95 % of luck


def test_what_the_measurer_held_up_is_left_out() -> None:
    def asleep(one: Arrival) -> Arrival:
        return (
            one
            if one.ok
            else Arrival(one.intended, one.sampled, one.decided, False, False, True, asleep=True)
        )

    slept = [asleep(one) for one in load(lambda n: n % 10 == 0)]
    assert unseen(slept, SPAN, 0.01, 2 * S) is None
    before = [asleep(arrival(at(n) - 5 * S, n % 5 != 0)) for n in range(200)]
    assert usual_share(before, (ZERO - 5 * S, ZERO), 0.01) == 0.01  # and makes no share usual


def test_what_was_before_is_usual() -> None:
    few = [arrival(at(n) - 5 * S, n % 25 != 0) for n in range(200)]
    assert 0.04 < usual_share(few, (ZERO - 5 * S, ZERO), 0.01) < 0.08
    assert usual_share([], (ZERO - 5 * S, ZERO), 0.01) == 0.01
    hurt = [*few, *load(lambda n: n % 25 == 10, start=ZERO)]
    own = measure_recovery(probed(PROBES, load=hurt), timeline(FAULT))
    assert (own.never_bad, own.rta) == (True, Interval(lo=0, hi=100 * MS))


PROBES = run(ZERO - 5 * S, ZERO + 20 * S, 100 * MS, [])
MET = frozenset({40, 50, 60, 65, 70, 79})


def test_the_time_goes_on_until_the_last_refused_customer() -> None:
    own = measure_recovery(probed(PROBES, load=load(lambda n: n in MET)), timeline(FAULT))
    assert own.never_bad
    assert own.rta == Interval(lo=0, hi=ZERO + 2 * S - FAULT[0])  # the first probe after 79 × 25 ms
    assert own.unseen is not None
    assert (own.unseen.bad, own.unseen.over, own.invalid) == (6, at(79), ())
    assert (own.volley, own.answered_at) == (None, None)  # it starts nobody else's clock
    before = measure_recovery(probed(PROBES), timeline(FAULT))
    assert own.recovered_at == before.recovered_at  # nor does it forgive what others were refused until then


def test_with_several_faults_it_is_counted_from_the_first() -> None:
    """Which of them it was no probe tells; so a stray one makes it longer, and never shorter."""
    later = (ZERO + 800 * MS, ZERO + 801 * MS)
    own = measure_recovery(probed(PROBES, load=load(lambda n: n in MET)), timeline(FAULT, later))
    assert own.rta == Interval(lo=0, hi=ZERO + 2 * S - FAULT[0])
    stray = measure_recovery(
        probed(PROBES, load=load(lambda n: n in MET or n == 300)), timeline(FAULT, later)
    )
    assert stray.rta == Interval(lo=0, hi=at(300) - FAULT[0])


def test_who_decided_meanwhile_leaves_it_open() -> None:
    """Customers are refused at once, so that none waits for the decision that helps them; lived, it would be longer."""
    decided = DecisionSpan("d", at(50), at(52), takes=600 * S, slept=0, event=1)
    hurt = probed(PROBES, load=load(lambda n: n in MET))
    own = measure_recovery(hurt, timeline(FAULT, decisions=(decided,)))
    assert own.rta == Interval(lo=0, hi=None)
    assert "modelled time" in own.invalid[-1]
    after = DecisionSpan("d", at(90), at(92), takes=600 * S, slept=0, event=1)
    assert measure_recovery(hurt, timeline(FAULT, decisions=(after,))).invalid == ()


def test_a_clean_end_that_may_be_luck_is_none() -> None:
    """One in 25 of eight a second, for good: a clean window after one of them says nothing."""
    probes = run(ZERO - 5 * S, ZERO + 36 * S, 100 * MS, [])
    rare = [
        arrival(t, t < ZERO or (t - ZERO) // (125 * MS) % 25 != 0)
        for t in range(ZERO - 5 * S, ZERO + 36 * S, 125 * MS)
    ]
    own = measure_recovery(probed(probes, load=rare, hold=30 * S), timeline(FAULT))
    assert own.rta == Interval(lo=0, hi=None)
    assert "too little to say that it was over" in own.invalid[-1]


def test_people_who_were_waited_for_still_count() -> None:
    """Somebody decides for 120 modelled seconds while customers wait, and others were refused before."""
    waiting = [
        Arrival(a.intended, a.sampled, at(150), True, True, False)
        if 115 <= (a.intended - ZERO) // (25 * MS) <= 119
        else a
        for a in load(lambda n: n in MET)
    ]
    decided = DecisionSpan("d", at(118), at(120), takes=120 * S, slept=0, event=1)
    waited = measure_recovery(probed(PROBES, load=waiting), timeline(FAULT, decisions=(decided,)))
    assert (waited.modelled, waited.minimum_modelled) == (120 * S, 120 * S)
    not_waited = measure_recovery(
        probed(PROBES, load=load(lambda n: n in MET)), timeline(FAULT, decisions=(decided,))
    )
    assert (not_waited.modelled, not_waited.minimum_modelled) == (0, 0)


def test_customers_refused_to_the_end_leave_it_open() -> None:
    own = measure_recovery(probed(PROBES, load=load(lambda n: n % 25 == 10)), timeline(FAULT))
    assert own.rta == Interval(lo=0, hi=None)
    assert "more than before the fault and than chance" in own.invalid[-1]


@pytest.mark.parametrize("until", [1_600, 2_900])
def test_all_of_the_load_refused_is_no_shorter_the_longer_it_was(until: int) -> None:
    """Over a hold of thirty seconds the criterion forgives the load a second and a half of it."""
    hurt = load(lambda n: n * 25 < until, stop=ZERO + 40 * S)
    probes = run(ZERO - 5 * S, ZERO + 40 * S, 100 * MS, [])
    own = measure_recovery(probed(probes, load=hurt, hold=30 * S), timeline(FAULT))
    assert own.rta is not None
    assert own.rta.hi is not None
    assert own.rta.hi >= until * MS - FAULT[0] + ZERO


def test_after_a_recovery_it_is_told_and_not_counted() -> None:
    probes = run(ZERO - 5 * S, ZERO + 20 * S, 100 * MS, [(FAULT[0], ZERO + 2 * S)])
    hurt = load(lambda n: n < 80 or n in {100, 110, 120, 130})
    own = measure_recovery(probed(probes, load=hurt), timeline(FAULT))
    assert own.recovered_at == ZERO + 2 * S
    assert own.unseen is not None
    assert own.unseen.bad == 4
    before = measure_recovery(probed(probes, load=load(lambda n: n < 80)), timeline(FAULT))
    assert (before.rta, before.unseen) == (own.rta, None)


def judged(folder: Path, refused: Callable[[int], bool]) -> Paper:
    built = RunBuilder()
    built.arrivals("prober", "transfer", ZERO - 6 * S + 7 * MS, ZERO + 12 * S, 100 * MS, lambda t: True)
    built.arrivals("load", "transfer", ZERO - 6 * S, ZERO + 12 * S, 25 * MS, lambda t: not refused(t))
    for source in ("prober", "load"):
        built.arrivals(source, "balance", ZERO - 6 * S + 7 * MS, ZERO + 12 * S, 100 * MS, lambda t: True)
    return paper_of(folder / "run", built)


def test_what_is_said_of_it(tmp_path: Path) -> None:
    hurt = {ZERO + n * 50 * MS for n in (10, 20, 30, 35, 39)}
    paper = judged(tmp_path, lambda t: t in hurt)
    rto = next(v for v in paper.result.verdicts if v.name == "transfer.rto")
    assert "no probe was bad, but 5 of 78 operations of the load were not ok" in rto.reason
    assert "shorter than the probe's period" not in rto.reason
    text = explain(paper, "transfer.rta")
    assert text.count("not ok\n") == 5
    assert "at most one period" not in text
    assert any("were not ok after the fault" in finding.title for finding in paper.result.findings)
    assert not any(finding.title == "no probe noticed any fault" for finding in paper.result.findings)
    for number in ("transfer.rta", "transfer.minimum-service", "balance.rta"):
        assert "DOES NOT ADD UP" not in explain(paper, number), number
    assert "at most one period" in explain(paper, "balance.rta")


def test_more_than_fit_on_the_paper_are_said_to_be_more(tmp_path: Path) -> None:
    paper = judged(tmp_path, lambda t: ZERO + 500 * MS <= t < ZERO + 2 * S and (t // (25 * MS)) % 4 == 0)
    text = explain(paper, "transfer.rta")
    assert "… 7 more …" in text
    assert "DOES NOT ADD UP" not in text


def test_refused_to_the_end_is_not_green(tmp_path: Path) -> None:
    paper = judged(tmp_path, lambda t: t >= ZERO + 500 * MS and (t // (25 * MS)) % 25 == 0)
    rto = next(v for v in paper.result.verdicts if v.name == "transfer.rto")
    assert rto.outcome == "unknown"
    assert "too little to say that it was over" in rto.reason
    assert paper.measurements.journeys["balance"].unseen is None
    assert "upper bound: none" in explain(paper, "transfer.rta")
