"""Customers refused where no probe was bad: what is more than chance, until when, and what is said of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from chaoskit.judge.explanation import explain
from chaoskit.judge.paper import Paper
from chaoskit.metrics.arrivals import Arrival
from chaoskit.metrics.recovery import measure_recovery
from chaoskit.metrics.unseen import Unseen, unseen
from tests.histories.builder import MS, ZERO, RunBuilder, S
from tests.judge.test_explanation import paper_of
from tests.metrics.test_recovery import FAULT, arrival, probed, run, timeline

SPAN = (ZERO, ZERO + 20 * S)


def load(bad: Callable[[int], bool], start: int = ZERO - 5 * S, stop: int = ZERO + 20 * S) -> list[Arrival]:
    """40 a second; `bad` by the number of the arrival since zero."""
    return [arrival(t, not (t > ZERO and bad((t - ZERO) // (25 * MS)))) for t in range(start, stop, 25 * MS)]


@pytest.mark.parametrize(
    ("bad", "usual", "found"),
    [
        (lambda n: n in {20, 40, 60, 79}, 0.01, Unseen(4, 80, ZERO + 79 * 25 * MS)),
        (
            lambda n: n % 25 == 10,
            0.01,
            Unseen(32, 786, ZERO + 785 * 25 * MS),
        ),  # one account in 25, to the end
        (
            lambda n: n in {400, 420, 440, 459},
            0.01,
            Unseen(4, 460, ZERO + 459 * 25 * MS),
        ),  # late, in one window
        (
            lambda n: n in {20, 40, 60, 79, 700},
            0.01,
            Unseen(4, 80, ZERO + 79 * 25 * MS),
        ),  # the stray one is not of it
        (lambda n: n == 40, 0.01, None),  # one alone
        (lambda n: n in {100, 300, 500, 700}, 0.01, None),  # what the criterion forgives
        (lambda n: n % 25 == 10, 0.04, None),  # as before the fault
        (lambda n: False, 0.01, None),
    ],
)
def test_more_than_chance(bad: Callable[[int], bool], usual: float, found: Unseen | None) -> None:
    assert unseen(load(bad), SPAN, usual, 2 * S) == found


def test_what_the_measurer_held_up_is_left_out() -> None:
    asleep = [
        a if a.ok else Arrival(a.intended, a.sampled, a.decided, False, False, True, asleep=True)
        for a in load(lambda n: n % 10 == 0)
    ]
    assert unseen(asleep, SPAN, 0.01, 2 * S) is None


PROBES = run(ZERO - 5 * S, ZERO + 20 * S, 100 * MS, [])


def test_the_time_goes_on_until_the_last_refused_customer() -> None:
    own = measure_recovery(probed(PROBES, load=load(lambda n: n in {20, 40, 60, 79})), timeline(FAULT))
    assert not own.never_bad
    assert own.rta is not None
    assert own.rta.lo == 0
    assert own.rta.hi == ZERO + 2 * S - FAULT[0]  # the first probe after the last refused one, 79 × 25 ms
    assert own.unseen == (4, 79)  # the arrival at zero came before the fault


def test_customers_refused_to_the_end_leave_it_open() -> None:
    own = measure_recovery(probed(PROBES, load=load(lambda n: n % 20 == 10)), timeline(FAULT))
    assert own.rta is not None
    assert (own.rta.lo, own.rta.hi, own.recovered_at) == (0, None, None)


def test_after_a_recovery_it_is_told_and_not_counted() -> None:
    probes = run(ZERO - 5 * S, ZERO + 20 * S, 100 * MS, [(FAULT[0], ZERO + 2 * S)])
    hurt = load(lambda n: n < 80 or n in {100, 110, 120, 130})
    own = measure_recovery(probed(probes, load=hurt), timeline(FAULT))
    assert own.recovered_at == ZERO + 2 * S
    assert own.unseen[0] == 4
    before = measure_recovery(probed(probes, load=load(lambda n: n < 80)), timeline(FAULT))
    assert (before.rta, before.unseen) == (own.rta, (0, 0))


def judged(folder: Path, refused: Callable[[int], bool]) -> Paper:
    built = RunBuilder()
    built.arrivals("prober", "transfer", ZERO - 6 * S + 7 * MS, ZERO + 12 * S, 100 * MS, lambda t: True)
    built.arrivals("load", "transfer", ZERO - 6 * S, ZERO + 12 * S, 50 * MS, lambda t: not refused(t))
    for source in ("prober", "load"):
        built.arrivals(source, "balance", ZERO - 6 * S + 7 * MS, ZERO + 12 * S, 100 * MS, lambda t: True)
    return paper_of(folder / "run", built)


def test_what_is_said_of_it(tmp_path: Path) -> None:
    hurt = {ZERO + n * 50 * MS for n in (10, 20, 30, 39)}
    paper = judged(tmp_path, lambda t: t in hurt)
    rto = next(v for v in paper.result.verdicts if v.name == "transfer.rto")
    assert "no probe was bad, but 4 of 39 operations of the load were" in rto.reason
    assert "shorter than the probe's period" not in rto.reason
    text = explain(paper, "transfer.rta")
    assert "and than chance" in text
    assert text.count("not ok") == 4
    assert "does not" not in explain(paper, "transfer.minimum-service")


def test_refused_to_the_end_is_not_green(tmp_path: Path) -> None:
    paper = judged(tmp_path, lambda t: t >= ZERO + 500 * MS and (t // (50 * MS)) % 20 == 0)
    rto = next(v for v in paper.result.verdicts if v.name == "transfer.rto")
    assert rto.outcome == "unknown"
    assert "still" in rto.reason
    assert paper.measurements.journeys["balance"].never_bad
