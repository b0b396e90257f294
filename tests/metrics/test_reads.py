"""Reads that are older than what the customer knows, or not what the books say, are found; true ones are not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest

from chaoskit import judging
from chaoskit.evidence.history import load_history
from chaoskit.metrics import measure
from chaoskit.metrics.reads import account_of, judged_reads
from chaoskit.model.verdict import Verdict
from tests.histories.builder import BACK, END, MS, SYSTEM, ZERO, Posting, RunBuilder, S, drill, plan_for

READ = {"value": "balance", "position": "position", "age": "stale_for"}
OPENING = 10**6


def system(**read: Any) -> dict[str, Any]:
    journeys = {
        **SYSTEM["journeys"],
        "balance": {
            **SYSTEM["journeys"]["balance"],
            "draw": {"account": "account"},
            "read": {**READ, **read},
        },
    }
    population = {"pools": {"account": {"count": 5, "format": "A{n}"}}}
    return {**SYSTEM, "journeys": journeys, "population": population}


class Told:
    """A run whose last transfers and reads are written by hand."""

    def __init__(self) -> None:
        asked = drill(checks=["reads-are-true"], objectives={"transfer": {"rto": "30s"}})
        self.builder = RunBuilder(plan=plan_for(asked, system())).crash()
        self.at = END - 2 * S

    def transfer(self, payer: str, amount: int = 100) -> int:
        """An acknowledged transfer 20 ms long; the id of the payer's entry."""
        self.at += 40 * MS
        parties = {"payer": payer, "payee": "B6"}
        key = self.builder.operation("load", "transfer", self.at, amount=amount, posted=False, values=parties)
        self.builder.postings.append(Posting(90_000 + len(self.builder.postings), key, payer, "B6", amount))
        return 2 * len(self.builder.postings) - 1

    def shown(self, account: str, entry: int) -> int:
        """What the account held as of an entry, minor units."""
        legs = self.builder.legs()
        return OPENING + sum(e["amount"] for e in legs if e["account"] == account and e["entry_id"] <= entry)

    def read(self, account: str, position: int | None, minor: int | None = None, **more: Any) -> str:
        """A read that begins 20 ms after whatever came before has ended."""
        self.at += 40 * MS
        value = None if minor is None else f"{minor // 100}.{minor % 100:02d}"
        return self.builder.operation(
            "load",
            "balance",
            self.at,
            took=4 * MS,
            values={"account": account},
            read={"value": value, "position": position} | more,
        )

    def judged(self, folder: Path) -> Verdict:
        run = judging.judge_folder(self.builder.write(folder / "run"))
        return next(one for one in run.result.verdicts if one.name == "reads-are-true")


@pytest.fixture
def told() -> Told:
    return Told()


def test_reads_that_know_the_last_write_are_true(told: Told, tmp_path: Path) -> None:
    entry = told.transfer("A1")
    told.read("A1", entry, told.shown("A1", entry))
    later = told.transfer("A1")
    told.read("A1", later, told.shown("A1", later))
    verdict = told.judged(tmp_path)
    assert verdict.outcome == "pass", verdict
    assert verdict.reason.startswith("2 reads")


def test_read_that_is_older_than_an_acknowledged_write_is_named_by_its_key(
    told: Told, tmp_path: Path
) -> None:
    entry = told.transfer("A1")
    told.transfer("A1")
    key = told.read("A1", entry, told.shown("A1", entry))
    verdict = told.judged(tmp_path)
    assert verdict.outcome == "fail"
    assert "1 × stale-read" in verdict.reason
    assert key in verdict.details[0]


def test_read_that_says_how_old_it_is_owes_only_what_was_known_then(told: Told, tmp_path: Path) -> None:
    entry = told.transfer("A1")
    told.transfer("A1")
    told.read("A1", entry, told.shown("A1", entry), age=1.0)
    verdict = told.judged(tmp_path)
    assert verdict.outcome == "pass"
    assert "1 answers said how old they were" in verdict.reason


def test_age_that_is_smaller_than_the_staleness_is_no_excuse(told: Told, tmp_path: Path) -> None:
    entry = told.transfer("A1")
    told.transfer("A1")
    told.read("A1", entry, told.shown("A1", entry), age=0.001)
    assert told.judged(tmp_path).outcome == "fail"


def test_write_that_became_known_while_the_answer_was_made_need_not_be_in_it(
    told: Told, tmp_path: Path
) -> None:
    """The age counts from when the answer was made, somewhere between sent and done."""
    entry = told.transfer("A1")
    told.transfer("A1")
    (known,) = [r["done"] for r in told.builder.records["load"] if r["r"] == "done"][-1:]
    told.at = known + S
    sent = told.at + 40 * MS
    told.read("A1", entry, told.shown("A1", entry), age=(sent - known + MS) / S)
    assert told.judged(tmp_path).outcome == "pass"


@pytest.mark.parametrize(
    "age", [-1.0, "1.0", True, float("nan"), float("inf"), [1]], ids=lambda value: str(value)
)
def test_age_that_is_no_number_of_seconds_is_no_excuse(told: Told, tmp_path: Path, age: Any) -> None:
    entry = told.transfer("A1")
    told.transfer("A1")
    key = told.read("A1", entry, told.shown("A1", entry), age=age)
    verdict = told.judged(tmp_path)
    assert verdict.outcome == "fail"
    assert key in verdict.details[0]


def test_read_that_is_marked_stale_must_still_be_what_the_books_said_then(told: Told, tmp_path: Path) -> None:
    entry = told.transfer("A1")
    told.transfer("A1")
    told.read("A1", entry, told.shown("A1", entry) + 1, age=10**12)
    verdict = told.judged(tmp_path)
    assert "1 × wrong-read" in verdict.reason
    assert "stale-read" not in verdict.reason


def test_write_that_was_under_way_need_not_be_seen(told: Told, tmp_path: Path) -> None:
    entry = told.transfer("A1")
    told.read("A1", entry, told.shown("A1", entry))
    told.at -= 39 * MS  # the next one begins before that read, and ends after it began
    told.transfer("A1")
    assert told.judged(tmp_path).outcome == "pass"


def test_balance_that_the_entries_do_not_make_is_wrong(told: Told, tmp_path: Path) -> None:
    entry = told.transfer("A1")
    key = told.read("A1", entry, told.shown("A1", entry) + 1)
    verdict = told.judged(tmp_path)
    assert verdict.outcome == "fail"
    assert "1 × wrong-read" in verdict.reason
    assert key in verdict.details[0]


def test_account_that_claims_no_entry_after_one_was_acknowledged_is_stale(told: Told, tmp_path: Path) -> None:
    told.transfer("A1")
    told.read("A1", None, OPENING)
    assert "stale-read" in told.judged(tmp_path).reason


def test_without_a_read_after_a_write_nothing_was_judged(told: Told, tmp_path: Path) -> None:
    verdict = told.judged(tmp_path)
    assert verdict.outcome == "unknown"
    assert not verdict.exercised


def test_which_journeys_can_be_judged() -> None:
    made = plan_for(drill(), system()).system
    assert judged_reads(made) == {"balance": "ledger"}
    assert account_of(made, "balance") == "account"
    assert judged_reads(plan_for(drill()).system) == {}


def test_number_that_was_lost_and_given_again_is_not_held_against_a_read_before_the_loss(
    told: Told, tmp_path: Path
) -> None:
    entry = 2 * len(told.builder.postings[:3]) - 1
    leg = told.builder.legs()[entry - 1]
    told.at = ZERO - 500 * MS
    told.read(leg["account"], entry, told.shown(leg["account"], entry) + 777)
    told.at = BACK + S
    seen = told.transfer("A1")
    told.read("A1", seen, told.shown("A1", seen))
    assert "wrong-read" in told.judged(tmp_path / "kept").reason

    lost = Told()
    lost.at = ZERO - 500 * MS
    lost.read(leg["account"], entry, lost.shown(leg["account"], entry) + 777)
    lost.at = BACK + S
    seen = lost.transfer("A1")
    lost.read("A1", seen, lost.shown("A1", seen))
    gone = next(p for p in lost.builder.postings if p.key.startswith("l-transfer") and p.transaction_id > 3)
    gone.key = "somebody-else"
    assert "wrong-read" not in lost.judged(tmp_path / "lost").reason


def test_after_a_loss_that_nobody_answered_no_read_was_judged(told: Told, tmp_path: Path) -> None:
    """Entries have their numbers anew from then on: no read is true by an old one."""
    entry = told.transfer("A1")
    told.read("A1", entry, told.shown("A1", entry) + 1)
    lost = told.transfer("A2")
    told.builder.lacks["standby"] = {told.builder.postings[lost // 2].key}
    told.builder.without("response.begin", "response.done")
    verdict = told.judged(tmp_path)
    assert (verdict.outcome, verdict.exercised) == ("unknown", False)
    assert "after a loss" in verdict.reason


@pytest.mark.parametrize("ended", [True, False])
def test_numbers_from_before_a_restore_are_held_against_no_read(
    told: Told, tmp_path: Path, ended: bool
) -> None:
    """What is sent again after it is nowhere lost, and its entries have their numbers anew."""
    told.at = ZERO - 500 * MS
    told.transfer("A1")
    told.read("A1", 1, OPENING)
    told.builder.event(ZERO + 1_600 * MS, "response.begin", step="restore", name="restore-backup", on=["db"])
    if ended:
        told.builder.event(ZERO + 1_900 * MS, "response.done", step="restore")
    told.at = BACK + S
    seen = told.transfer("A1")
    told.read("A1", seen, told.shown("A1", seen))
    verdict = told.judged(tmp_path)
    assert verdict.outcome == ("pass" if ended else "unknown"), verdict
    assert verdict.reason.startswith("1 reads" if ended else "not exercised: 2 reads came before the end of")


def test_balance_before_the_first_entry_is_the_opening_balance(told: Told, tmp_path: Path) -> None:
    entry = told.transfer("A1")
    told.read("A1", entry, told.shown("A1", entry))
    told.builder.balances = [
        *told.builder.stored(told.builder.legs()),
        {"account": "A9", "currency": "CNY", "opening": OPENING, "balance": OPENING},
    ]
    told.read("A9", 0, OPENING)
    assert told.judged(tmp_path / "right").outcome == "pass"
    wrong = told.read("A9", 0, OPENING - 1)
    verdict = told.judged(tmp_path / "wrong")
    assert (verdict.outcome, verdict.reason) == ("fail", "untrue: 1 × wrong-read")
    assert wrong in verdict.details[0]


@pytest.mark.parametrize("value", ["10,000.00", "9e999999", "1e300", "NaN", "12.345", 10**30])
def test_answer_that_shows_no_amount_cannot_be_told_from_a_true_one(
    told: Told, value: object, tmp_path: Path
) -> None:
    entry = told.transfer("A1")
    told.read("A1", 10**25)
    told.read("A1", entry, value=value)
    verdict = told.judged(tmp_path)
    assert verdict.outcome == "unknown"
    assert verdict.reason == "1 answers showed a balance that is no amount with two decimals"


def test_books_whose_entries_have_text_for_ids_are_reconciled_and_their_reads_are_not(
    told: Told, tmp_path: Path
) -> None:
    entry = told.transfer("A1")
    told.read("A1", entry, told.shown("A1", entry))
    folder = told.builder.write(tmp_path / "run")
    history = load_history(folder)
    entries = folder / "books" / "ledger" / "standby" / "entries.parquet"
    with duckdb.connect() as base:
        base.execute(
            f"CREATE TABLE e AS SELECT * REPLACE ('e-' || entry_id AS entry_id) FROM read_parquet('{entries}')"
        )
        base.execute(f"COPY e TO '{entries}' (FORMAT parquet)")
    books = measure(history).books["ledger"]
    assert (books.problems, books.violations) == ((), ())
    assert books.counts["reads"] == 0
    assert books.counts["unordered-reads"] > 0


@pytest.mark.parametrize("off", [0, 1])
def test_books_that_name_no_currency_are_judged_as_any_other(told: Told, tmp_path: Path, off: int) -> None:
    entry = told.transfer("A1")
    told.read("A1", entry, told.shown("A1", entry) + off)
    builder = told.builder
    builder.entries = [{**one, "currency": None} for one in builder.legs()]
    builder.balances = [{**one, "currency": None} for one in builder.stored(builder.entries)]
    assert told.judged(tmp_path).outcome == ("fail" if off else "pass")
    measured = measure(load_history(tmp_path / "run"))
    assert not measured.books["ledger"].broken("stored-balance", "total")


def test_a_stored_balance_that_is_wrong_is_found_where_no_currency_is_named(
    told: Told, tmp_path: Path
) -> None:
    builder = told.builder
    builder.entries = [{**one, "currency": None} for one in builder.legs()]
    builder.balances = [{**one, "currency": None} for one in builder.stored(builder.entries)]
    builder.balances[0]["balance"] += 1
    measured = measure(load_history(builder.write(tmp_path / "run")))
    [broken] = measured.books["ledger"].broken("stored-balance")
    assert (broken.count, "account A0: stored" in broken.cases[0]) == (1, True), broken


def test_a_case_whose_books_leave_something_open_is_told_all_the_same(told: Told, tmp_path: Path) -> None:
    builder = told.builder
    builder.postings.append(Posting(900_001, "k-nobody", "A1", "B1", 77))
    builder.entries = [{**one, "currency": None} for one in builder.legs()]
    builder.balances = [{**one, "currency": None} for one in builder.stored(builder.entries)]
    builder.balances[0]["balance"] += 1
    builder.holds = [{"hold_id": 1, "key": "k-held", "state": None, "amount": None, "currency": None}]
    for one in builder.postings:
        one.currency = None  # type: ignore[assignment]
    measured = measure(load_history(builder.write(tmp_path / "run")))
    violations = measured.books["ledger"].violations
    assert {one.rule for one in violations} == {"stored-balance", "total", "unasked", "dangling-hold"}
    assert "None" not in {case for one in violations for case in one.cases}


@pytest.mark.parametrize("off", [0, 1])
def test_position_of_the_whole_ledger_is_compared_up_to_it(told: Told, tmp_path: Path, off: int) -> None:
    """Some systems say where their ledger stood, which may be the entry of another account."""
    entry = told.transfer("A1")
    elsewhere = told.transfer("A2")
    told.read("A1", elsewhere, told.shown("A1", entry) + off)
    verdict = told.judged(tmp_path)
    assert verdict.outcome == ("unknown" if off else "pass"), verdict
    assert ("another account's entry" in verdict.reason) == bool(off)


@pytest.mark.parametrize("off", [0, 1])
def test_position_that_the_books_do_not_have_places_no_read(told: Told, tmp_path: Path, off: int) -> None:
    """Whatever is shown by a number of nobody's would be held against nothing, and could never be stale."""
    entry = told.transfer("Z1")  # of which nothing was in doubt
    told.read("Z1", 10**6, told.shown("Z1", entry) + off)
    verdict = told.judged(tmp_path)
    assert verdict.outcome == ("unknown" if off else "pass"), verdict
    assert ("none that the books have" in verdict.reason) == bool(off)


def test_position_that_nobody_has_any_more_is_not_compared(told: Told, tmp_path: Path) -> None:
    """It was shown, never acknowledged, and lost: what it had made of the balance nobody knows."""
    told.transfer("A1")
    later = told.transfer("A2")
    parties = {"payer": "A1", "payee": "B6"}
    told.builder.operation("load", "transfer", told.at, outcome="unknown", posted=False, values=parties)
    told.read("A1", later + 50, told.shown("A1", later) + 1)
    assert told.judged(tmp_path).outcome == "pass"
