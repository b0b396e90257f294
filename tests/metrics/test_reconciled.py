"""When books were right again: who put them right, who destroyed them, and what is not known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from chaoskit.evidence import load_history
from chaoskit.metrics import measure
from chaoskit.metrics.reads import RULES as READS
from chaoskit.metrics.reconciled import Reconciled, measure_reconciled
from chaoskit.metrics.recovery import Recovery
from chaoskit.metrics.timeline import read_timeline
from chaoskit.model.history import History
from chaoskit.model.measurement import Interval, JourneyMeasure, Violation
from tests.histories.builder import END, KILL_HI, KILL_LO, MS, SYSTEM, ZERO, RunBuilder, S
from tests.histories.destroyed import destroyed


def journey(builder: RunBuilder, folder: Path, name: str = "transfer") -> JourneyMeasure:
    return measure(load_history(builder.write(folder / "run"))).journeys[name]


def since_the_fault(at: int) -> Interval:
    return Interval(lo=at - KILL_HI, hi=at - KILL_LO)


def test_books_are_right_when_the_last_response_that_put_them_right_is_done(tmp_path: Path) -> None:
    """Not when they were looked at, which is after the load had ended and all had settled."""
    found = journey(destroyed(again=ZERO + 6 * S), tmp_path)
    assert found.reconciled == since_the_fault(ZERO + 6 * S)
    assert (found.reconciled_by, found.destroyed_by) == ("again", ("crash",))
    assert found.reconciled_since == Interval(lo=KILL_LO, hi=KILL_HI)


def test_what_was_found_right_may_have_been_right_before(tmp_path: Path) -> None:
    """The last step sent nothing again: a limit between it and the step before it is not surely missed."""
    builder = destroyed(again=ZERO + 6 * S)
    promoted = next(
        at for at, kind, data in builder.events if kind == "response.done" and data["step"] == "promote"
    )
    about = {"step": "again", "fact": "resubmitted", "replayed": ["k"], "refused": [], "unknown": []}
    builder.event(ZERO + 5 * S, "response.fact", **about, resubmitted=[])
    found = journey(builder, tmp_path)
    assert found.reconciled == Interval(lo=promoted - KILL_HI, hi=ZERO + 6 * S - KILL_LO)
    assert found.reconciled_by == "again"
    builder.events[-1][2]["resubmitted"] = ["k"]
    assert journey(builder, tmp_path / "sent").reconciled == since_the_fault(ZERO + 6 * S)


def test_they_can_be_right_before_service_is_back(tmp_path: Path) -> None:
    assert journey(destroyed(again=ZERO + 2 * S), tmp_path).reconciled == since_the_fault(ZERO + 2 * S)


def test_what_is_missing_at_the_end_was_never_put_right(tmp_path: Path) -> None:
    builder = destroyed()
    builder.postings.pop(0)
    found = journey(builder, tmp_path)
    assert found.reconciled == Interval(lo=END + S - KILL_HI, hi=None)
    assert found.reconciled_by is None


def test_right_books_that_no_step_put_right_are_so_by_the_last_look(tmp_path: Path) -> None:
    found = journey(RunBuilder().crash(), tmp_path)
    assert found.rta is not None
    assert found.reconciled == Interval(lo=found.rta.lo, hi=END + S - KILL_LO)
    assert found.destroyed_by == ()


def test_a_later_step_that_failed_may_have_put_right_what_was_missing(tmp_path: Path) -> None:
    builder = destroyed(again=ZERO + 6 * S, failed=ZERO + 8 * S)
    assert journey(builder, tmp_path).reconciled == Interval(lo=ZERO + 6 * S - KILL_HI, hi=END + S - KILL_LO)


def test_people_on_the_way_to_right_books_count_though_service_was_back_before(tmp_path: Path) -> None:
    found = journey(destroyed(again=ZERO + 6 * S, people=300 * S), tmp_path)
    assert (found.modelled, found.reconciled_modelled) == (0, 300 * S)


def test_a_journey_without_books_of_its_own_has_no_such_clock(tmp_path: Path) -> None:
    found = journey(destroyed(), tmp_path, "balance")
    assert (found.reconciled, found.destroyed_by) == (None, ())


def test_without_a_look_at_the_books_nothing_is_known(tmp_path: Path) -> None:
    found = journey(destroyed().without("collect.snapshot"), tmp_path)
    assert (found.reconciled, found.destroyed_by) == (None, ("crash",))


def test_a_restore_destroys_data_as_well(tmp_path: Path) -> None:
    """What was booked since its point is gone: also where the fault before it took nothing away."""
    builder = destroyed()
    steps = [s.model_copy(update={"destroys_data": s.id == "promote"}) for s in builder.plan.steps]
    builder.plan = builder.plan.model_copy(update={"steps": tuple(steps)})
    assert journey(builder, tmp_path).destroyed_by == ("promote",)


def test_of_a_fault_and_its_restore_the_fault_is_told(tmp_path: Path) -> None:
    builder = destroyed()
    steps = [s.model_copy(update={"destroys_data": s.id != "again"}) for s in builder.plan.steps]
    builder.plan = builder.plan.model_copy(update={"steps": tuple(steps)})
    assert journey(builder, tmp_path).destroyed_by == ("crash",)


def test_a_restore_that_failed_may_have_touched_nothing(tmp_path: Path) -> None:
    builder = destroyed()
    steps = [s.model_copy(update={"destroys_data": s.id == "promote"}) for s in builder.plan.steps]
    builder.plan = builder.plan.model_copy(update={"steps": tuple(steps)})
    builder.events = [
        event for event in builder.events if (event[1], event[2].get("step")) != ("response.done", "promote")
    ]
    assert journey(builder, tmp_path).destroyed_by == ()


def test_a_journey_that_nobody_saw_out_has_the_clock_of_what_destroyed_its_books(tmp_path: Path) -> None:
    builder = destroyed(again=ZERO + 6 * S, good=lambda t: True)
    found = journey(builder, tmp_path)
    assert found.never_bad
    assert found.reconciled == since_the_fault(ZERO + 6 * S)


def direct(history: History, *violations: Violation) -> Reconciled:
    """The clock of the books, with these rules broken."""
    timeline, measured = read_timeline(history), measure(history)
    books = measured.books["ledger"].model_copy(update={"violations": violations})
    recovery = Recovery(rta=Interval(lo=4 * S, hi=5 * S), volley=timeline.volleys[0])
    return measure_reconciled(history, timeline, recovery, "ledger", (measured.losses["ledger"], books))


def test_an_old_balance_that_was_shown_makes_no_entry_wrong(tmp_path: Path) -> None:
    history = load_history(destroyed().write(tmp_path / "run"))
    shown = direct(history, *(Violation(rule=rule, count=3) for rule in READS))
    assert shown.after is not None
    assert shown.after.hi is not None
    wrong = direct(history, Violation(rule="total", count=1))
    assert wrong.after is not None
    assert wrong.after.hi is None


def test_what_is_done_to_another_database_is_not_done_to_these_books(tmp_path: Path) -> None:
    other: dict[str, Any] = {**SYSTEM["roles"]["database"], "primary": "ledger", "standby": None}
    system = json.loads(json.dumps({**SYSTEM, "roles": {**SYSTEM["roles"], "other": other}}))
    builder = destroyed(system=system)
    steps = [s.model_copy(update={"on": ("ledger",)}) if s.id == "crash" else s for s in builder.plan.steps]
    builder.plan = builder.plan.model_copy(update={"steps": tuple(steps)})
    assert journey(builder, tmp_path).destroyed_by == ()


def test_an_attack_after_the_last_mending_step_was_not_mended_by_it(tmp_path: Path) -> None:
    builder = destroyed(again=ZERO + 6 * S, attacked_again=ZERO + 6500 * MS)
    found = journey(builder, tmp_path)
    assert found.reconciled is not None
    assert found.reconciled.hi == END + S - KILL_LO
