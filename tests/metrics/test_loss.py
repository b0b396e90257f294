"""Loss by key: against the oracle, and the traps of MEASUREMENT one by one."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chaoskit.evidence import load_history
from chaoskit.metrics import measure
from chaoskit.model.measurement import LossMeasure
from tests.histories.builder import BACK, END, KILL_HI, KILL_LO, MS, ZERO, Posting, RunBuilder, S
from tests.metrics import oracle


def loss_of(builder: RunBuilder, folder: Path) -> LossMeasure:
    return measure(load_history(builder.write(folder / "run"))).losses["ledger"]


def told(builder: RunBuilder) -> list[oracle.Told]:
    """What the journals say, read without chaoskit."""
    sendings = []
    for records in builder.records.values():
        intents = {r["id"]: r for r in records if r["r"] == "intent" and r["journey"] == "transfer"}
        done = {r["id"]: r for r in records if r["r"] == "done"}
        for number, intent in intents.items():
            answer = done.get(number)
            sendings.append(
                oracle.Told(
                    intent["key"],
                    answer["outcome"] if answer else "unknown",
                    answer["sent"] if answer else intent["woke"],
                    answer["done"] if answer else None,
                )
            )
    return sendings


def compare(builder: RunBuilder, own: LossMeasure) -> None:
    sendings = told(builder)
    ledger = Counter(p.key for p in builder.postings)
    fault = (KILL_LO, KILL_HI)
    assert {o.key for o in own.lost} == oracle.lost(sendings, ledger)
    assert own.in_doubt == oracle.doubt(sendings, ledger)
    point = oracle.recovery_point(sendings, ledger, fault)
    assert (None if own.rpa is None else (own.rpa.lo, own.rpa.hi)) == point
    assert {x for x, _ in own.holes} == oracle.holes(sendings, ledger, KILL_LO, ZERO + 1_500 * MS)
    assert own.acknowledged == len({t.key for t in sendings if t.outcome == "ok"})


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_whatever_is_lost_or_doubled_the_oracle_agrees(data: st.DataObject) -> None:
    builder = RunBuilder().crash()
    n = len(builder.postings)
    gone = data.draw(st.sets(st.integers(0, n - 1), max_size=25))
    twice = data.draw(st.sets(st.integers(0, n - 1), max_size=5))
    kept = [p for i, p in enumerate(builder.postings) if i not in gone]
    kept += [
        Posting(10**6 + i, p.key, p.payer, p.payee, p.amount)
        for i, p in enumerate(builder.postings)
        if i in twice - gone
    ]
    builder.postings = kept
    with tempfile.TemporaryDirectory() as folder:
        compare(builder, loss_of(builder, Path(folder)))


def test_a_tail_that_was_never_received(tmp_path: Path) -> None:
    """What replication lag does: everything acknowledged in the last second before the kill is gone."""
    builder = RunBuilder().crash()
    acknowledged = {t.key: t.done for t in told(builder) if t.outcome == "ok"}
    tail = {k for k, done in acknowledged.items() if done is not None and KILL_LO - S <= done <= KILL_LO}
    builder.postings = [p for p in builder.postings if p.key not in tail]
    own = loss_of(builder, tmp_path)
    compare(builder, own)
    assert {o.key for o in own.lost} == tail
    assert len(tail) == 30
    assert own.holes == ()
    assert own.amount == {"CNY": 3_000}
    assert own.rpa is not None
    assert own.rpa.lo <= S
    assert own.rpa.hi is not None
    assert own.rpa.hi >= S


def test_a_hole_is_not_lag(tmp_path: Path) -> None:
    builder = RunBuilder().crash()
    keys = sorted(
        (t for t in told(builder) if t.outcome == "ok" and t.done is not None and t.done < KILL_LO - 2 * S),
        key=lambda t: t.sent,
    )
    missing = keys[len(keys) // 2].key
    builder.postings = [p for p in builder.postings if p.key != missing]
    own = loss_of(builder, tmp_path)
    assert [o.key for o in own.lost] == [missing]
    assert [x for x, _ in own.holes] == [missing]


def test_survivors_of_the_new_primary_make_no_hole(tmp_path: Path) -> None:
    """Everything sent after the promotion survives, and proves nothing about the database before it."""
    builder = RunBuilder().crash()
    acknowledged = {t.key: t for t in told(builder) if t.outcome == "ok"}
    last = max(
        (t for t in acknowledged.values() if t.done is not None and t.done < KILL_LO), key=lambda t: t.sent
    )
    builder.postings = [p for p in builder.postings if p.key != last.key]
    own = loss_of(builder, tmp_path)
    assert [o.key for o in own.lost] == [last.key]
    assert own.holes == ()


def test_an_operation_of_unknown_outcome_is_resolved_by_key(tmp_path: Path) -> None:
    builder = RunBuilder().crash()
    posted = builder.operation("load", "transfer", ZERO + S, outcome="unknown", took=1_200 * MS, posted=True)
    absent = builder.operation("load", "transfer", ZERO + S, outcome="unknown", took=1_200 * MS, posted=False)
    held = builder.operation("load", "transfer", ZERO + S, outcome="unknown", took=1_200 * MS, posted=False)
    builder.holds = [{"hold_id": 1, "key": held, "state": "reserved", "amount": 100, "currency": "CNY"}]
    own = loss_of(builder, tmp_path)
    assert (own.in_doubt[posted], own.in_doubt[absent], own.in_doubt[held]) == ("posted", "absent", "held")


def test_an_operation_that_was_never_sent_is_not_in_doubt(tmp_path: Path) -> None:
    builder = RunBuilder().crash()
    key = builder.operation("load", "transfer", ZERO + S, outcome="missed")
    own = loss_of(builder, tmp_path)
    assert key not in own.in_doubt


def test_a_retry_that_was_refused_leaves_the_first_sending_in_doubt(tmp_path: Path) -> None:
    builder = RunBuilder().crash()
    key = builder.operation("load", "transfer", ZERO + S, outcome="unknown", posted=True)
    builder.operation("load", "transfer", BACK + S, outcome="fail", key=key, attempt=2)
    assert loss_of(builder, tmp_path).in_doubt[key] == "posted"


def test_two_writable_members_are_no_survivor(tmp_path: Path) -> None:
    builder = RunBuilder()
    builder.members["db"] = {"writable": True, "in_recovery": False, "identical": True}
    own = loss_of(builder.crash(), tmp_path)
    assert own.survivor is None
    assert own.problems == ("split brain: db and standby both accept writes to the books ledger",)


def test_no_writable_member_is_no_survivor(tmp_path: Path) -> None:
    builder = RunBuilder()
    builder.members = {"standby": {"writable": False, "in_recovery": True, "identical": True}}
    own = loss_of(builder.crash(), tmp_path)
    assert own.survivor is None
    assert own.problems == ("no member of the books ledger accepts writes (looked at standby)",)


@pytest.mark.parametrize("kind", ["collect.write", "collect.absent"])
def test_a_live_member_that_does_not_say_whether_it_accepts_writes_is_no_survivor(
    kind: str, tmp_path: Path
) -> None:
    """An old primary that waits for its synchronous standby hangs in a write, and commits for whoever does not wait."""
    builder = RunBuilder()
    if kind == "collect.write":
        builder.members["db"] = {"writable": False, "in_recovery": False, "identical": True}
        builder.event(END + S, kind, member="db", error="no answer within 2 s")
    else:
        builder.event(END + S, kind, books="ledger", member="db", why="no answer within 2 s", unsure=True)
    own = loss_of(builder.crash(), tmp_path)
    assert own.survivor is None
    assert own.problems == (
        "who accepts writes to the books ledger is not known: db lives and did not say (no answer within 2 s)",
    )


def test_books_that_nobody_could_read_say_why(tmp_path: Path) -> None:
    """A wrong password is mended by whoever reads of it; the record alone is looked at by nobody."""
    builder = RunBuilder()
    builder.members = {}
    why = 'db:5432: FATAL: password authentication failed for user "postgres"'
    builder.event(END + S, "collect.absent", books="ledger", member="db", why=why, unsure=True)
    assert loss_of(builder.crash(), tmp_path).problems == (
        f"the books ledger were not collected (db: {why})",
    )


def test_a_standby_that_hangs_in_a_write_is_none_all_the_same(tmp_path: Path) -> None:
    builder = RunBuilder()
    builder.members["db"] = {"writable": False, "in_recovery": True, "identical": True}
    builder.event(END + S, "collect.write", member="db", error="no answer within 2 s")
    assert loss_of(builder.crash(), tmp_path).survivor == "standby"


def test_a_member_in_recovery_is_looked_past(tmp_path: Path) -> None:
    builder = RunBuilder()
    builder.members["db"] = {"writable": False, "in_recovery": True, "identical": True}
    assert loss_of(builder.crash(), tmp_path).survivor == "standby"


def test_a_member_that_says_both_is_no_survivor(tmp_path: Path) -> None:
    builder = RunBuilder()
    builder.members = {"standby": {"writable": True, "in_recovery": True, "identical": True}}
    assert loss_of(builder.crash(), tmp_path).survivor is None


def test_books_that_were_still_changing_are_a_problem(tmp_path: Path) -> None:
    builder = RunBuilder()
    builder.members["standby"]["identical"] = False
    assert loss_of(builder.crash(), tmp_path).problems == (
        "the books ledger were still changing when they were collected",
    )


def test_no_books_at_all(tmp_path: Path) -> None:
    builder = RunBuilder()
    builder.members = {}
    assert loss_of(builder.crash(), tmp_path).problems == ("the books ledger were not collected",)


def test_damaged_parquet_is_a_problem_with_its_name(tmp_path: Path) -> None:
    builder = RunBuilder(sealed=False).crash()
    folder = builder.write(tmp_path / "run")
    (folder / "books/ledger/standby/entries.parquet").write_bytes(b"PAR1 but not really")
    own = measure(load_history(folder)).losses["ledger"]
    assert len(own.problems) == 1
    assert "entries.parquet" in own.problems[0]


def test_the_snapshots_are_cited(tmp_path: Path) -> None:
    builder = RunBuilder().crash()
    own = loss_of(builder, tmp_path)
    assert own.events == tuple(
        n
        for n, (_, kind, _) in enumerate(sorted(builder.events, key=lambda e: e[0]))
        if kind == "collect.snapshot"
    )
