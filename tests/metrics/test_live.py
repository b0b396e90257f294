"""The live answer: the same as the judge's, from new operations alone, and cheap."""

from __future__ import annotations

import random
from pathlib import Path

import msgspec
import pytest

from chaoskit.evidence import load_history
from chaoskit.metrics import measure
from chaoskit.metrics.live import LiveRecovery
from chaoskit.metrics.recovery import recovered_at
from chaoskit.model.history import Operation
from tests.histories.builder import BACK, END, KILL_LO, MS, ZERO, RunBuilder, S


@pytest.fixture(scope="module")
def operations(tmp_path_factory: pytest.TempPathFactory) -> tuple[Operation, ...]:
    return load_history(RunBuilder().crash().write(tmp_path_factory.mktemp("live") / "run")).operations


def test_it_agrees_with_the_judge(tmp_path: Path) -> None:
    builder = RunBuilder().crash()
    history = load_history(builder.write(tmp_path / "run"))
    judged = {name: j.recovered_at for name, j in measure(history).journeys.items()}
    assert recovered_at(history.operations, builder.plan, KILL_LO, END) == judged


def test_held_is_said_when_the_window_is_over_and_not_before(operations: tuple[Operation, ...]) -> None:
    """Told in steps of 100 ms, each operation when it was finished."""
    plan = RunBuilder().plan
    live = LiveRecovery(plan)
    waiting = sorted(operations, key=lambda o: o.done or 0)
    first: int | None = None
    for now in range(ZERO, END, 100 * MS):
        fresh = [o for o in waiting if (o.done or 0) <= now]
        waiting = waiting[len(fresh) :]
        live.observe(fresh)
        found = live.recovered_at(KILL_LO, now)
        if first is None and all(at is not None for at in found.values()):
            first = now
            assert set(found.values()) == {BACK + 7 * MS}
    assert first is not None
    assert BACK + 5 * S <= first <= BACK + 5 * S + 300 * MS


def test_order_of_arrival_does_not_matter(operations: tuple[Operation, ...]) -> None:
    plan = RunBuilder().plan
    shuffled = list(operations)
    random.Random(3).shuffle(shuffled)
    assert recovered_at(shuffled, plan, KILL_LO, END) == recovered_at(operations, plan, KILL_LO, END)


def test_a_probe_without_an_answer_holds_the_answer_back(operations: tuple[Operation, ...]) -> None:
    plan = RunBuilder().plan
    pending = next(
        o for o in operations if o.source == "prober" and o.journey == "balance" and o.intended > BACK + 2 * S
    )
    known = [o for o in operations if o is not pending]
    found = recovered_at(known, plan, KILL_LO, END)
    assert found["balance"] is None
    assert found["transfer"] is not None
    unanswered = msgspec.structs.replace(pending, done=None, outcome="unknown")
    assert recovered_at([*known, unanswered], plan, KILL_LO, END)["balance"] is None


def test_a_new_fault_starts_the_question_again(operations: tuple[Operation, ...]) -> None:
    live = LiveRecovery(RunBuilder().plan)
    live.observe(operations)
    assert None not in live.recovered_at(KILL_LO, END).values()
    assert set(live.recovered_at(END - 2 * S, END).values()) == {None}
    assert None not in live.recovered_at(KILL_LO, END).values()


def test_a_long_drill_is_followed_in_few_steps() -> None:
    """Counted, not timed: what one look costs does not grow with the run."""
    builder = RunBuilder()
    live = LiveRecovery(builder.plan)

    def operation(at: int, good: bool) -> Operation:
        return Operation(
            key=f"k{at}",
            journey="balance",
            source="prober",
            attempt=1,
            intended=at,
            woke=at,
            sent=at,
            done=at + MS,
            outcome="ok" if good else "fail",
        )

    looked = []
    for n in range(20_000):
        live.observe([operation(ZERO + n * 100 * MS, n % 40 != 0)])
        if n % 500 == 499:
            live.recovered_at(ZERO, ZERO + n * 100 * MS)
            looked.append(n - (live._open["balance"] - ZERO) // (100 * MS))
    assert max(looked) <= 100
