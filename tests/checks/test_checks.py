"""Every check has a history it rejects, a green twin, and one in which it had nothing to judge."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from chaoskit import registry
from chaoskit.evidence import load_history
from chaoskit.metrics import measure
from chaoskit.model.verdict import Verdict
from tests.histories.builder import (
    BACK,
    END,
    KILL_LO,
    MS,
    SYSTEM,
    ZERO,
    Posting,
    RunBuilder,
    S,
    drill,
    plan_for,
)

CHECKS = ("books-balance", "nothing-doubled", "nothing-in-doubt", "nothing-lost")


def verdict_of(check: str, builder: RunBuilder, folder: Path) -> Verdict:
    """The check's verdict of a built run, all the way through the files."""
    history = load_history(builder.write(folder / "run"))
    assert history.problems == ()
    verdict = registry.member("checks", check)().judge(history, measure(history))
    assert isinstance(verdict, Verdict)
    return verdict


def early(builder: RunBuilder) -> Posting:
    """A posting from well before the kill."""
    sent = {r["key"]: r["intended"] for rs in builder.records.values() for r in rs if r["r"] == "intent"}
    return next(p for p in builder.postings if sent[p.key] < KILL_LO - 3 * S)


def one_legged(builder: RunBuilder) -> None:
    builder.entries = builder.legs()
    victim = early(builder).transaction_id
    builder.entries = [e for e in builder.entries if e["transaction_id"] != victim or e["amount"] < 0]


def entry_without_an_amount(builder: RunBuilder) -> None:
    """Every sum is right, as SQL leaves it out."""
    builder.entries = builder.legs()
    builder.balances = builder.stored(builder.entries)
    builder.entries.append({**builder.entries[0], "entry_id": 900_001, "amount": None})


def unbalanced(builder: RunBuilder) -> None:
    builder.entries = builder.legs()
    next(e for e in builder.entries if e["amount"] > 0)["amount"] += 1


def entries_twice(builder: RunBuilder) -> None:
    builder.entries = builder.legs()
    victim = early(builder).transaction_id
    again = [e for e in builder.entries if e["transaction_id"] == victim]
    builder.entries += [e | {"entry_id": e["entry_id"] + 777_777} for e in again]


def another_paid(builder: RunBuilder) -> None:
    builder.entries = builder.legs()
    victim = early(builder)
    leg = next(e for e in builder.entries if e["transaction_id"] == victim.transaction_id and e["amount"] > 0)
    leg["account"] = "A4"


def balance_forged(builder: RunBuilder) -> None:
    builder.balances = builder.stored(builder.legs())
    builder.balances[3]["balance"] += 1
    builder.balances[4]["balance"] -= 1


def nobody_asked(builder: RunBuilder) -> None:
    builder.postings.append(Posting(777_777, "k-nobody", "A1", "B1", 100))


def no_key(builder: RunBuilder) -> None:
    builder.postings.append(Posting(777_777, "", "A1", "B1", 100, source="manual"))


def write_lost(builder: RunBuilder) -> None:
    builder.postings.remove(early(builder))


def amount_changed(builder: RunBuilder) -> None:
    early(builder).amount += 1


def party_changed(builder: RunBuilder) -> None:
    early(builder).payee = "A4"


def paid_to_himself(builder: RunBuilder) -> None:
    """Both parties are among what was drawn, and the payee has nothing."""
    victim = early(builder)
    victim.payee = victim.payer


def balances_twice(builder: RunBuilder) -> None:
    """Every one is what it must be, and so is their total."""
    builder.balances = [row for row in builder.stored(builder.legs()) for _ in range(2)]


def currency_changed(builder: RunBuilder) -> None:
    early(builder).currency = "EUR"


def payload_changed(builder: RunBuilder) -> None:
    for record in builder.records["load"]:
        if record["r"] == "intent":
            record["payload_hash"] = f"h-{record['key']}"
    for posting in builder.postings:
        posting.payload_hash = f"h-{posting.key}"
    early(builder).payload_hash = "h-another"


def posted_twice(builder: RunBuilder) -> None:
    known = early(builder)
    builder.postings.append(Posting(777_777, known.key, known.payer, known.payee, known.amount))


def refused_and_posted(builder: RunBuilder) -> None:
    builder.operation("load", "transfer", BACK + S, outcome="fail", posted=True)


def doubt_posted_twice(builder: RunBuilder) -> None:
    key = builder.operation("load", "transfer", ZERO + S, outcome="unknown", took=1_200 * MS, posted=True)
    known = next(p for p in builder.postings if p.key == key)
    builder.postings.append(Posting(777_777, key, known.payer, known.payee, known.amount))


def hold_dangling(builder: RunBuilder) -> None:
    key = builder.operation("load", "transfer", ZERO + S, outcome="unknown", took=1_200 * MS, posted=False)
    builder.holds = [{"hold_id": 1, "key": key, "state": "reserved", "amount": 100, "currency": "CNY"}]


def hold_posted_without_transaction(builder: RunBuilder) -> None:
    key = builder.operation("load", "transfer", ZERO + S, outcome="unknown", took=1_200 * MS, posted=False)
    builder.holds = [{"hold_id": 1, "key": key, "state": "posted", "amount": 100, "currency": "CNY"}]


def hold_posted_for_nobody(builder: RunBuilder) -> None:
    builder.operation("load", "transfer", ZERO + S, outcome="unknown", took=1_200 * MS, posted=False)
    builder.holds = [{"hold_id": 1, "key": None, "state": "posted", "amount": 100, "currency": "CNY"}]


def hold_expired_and_posted(builder: RunBuilder) -> None:
    key = early(builder).key
    builder.holds = [{"hold_id": 1, "key": key, "state": "expired", "amount": 100, "currency": "CNY"}]


def acknowledged(builder: RunBuilder) -> str:
    """The key of an early payment that was acknowledged."""
    return early(builder).key


def used_key_accepted(builder: RunBuilder) -> None:
    key = acknowledged(builder)
    builder.operation("load", "transfer", BACK + S, key=key, attempt=2, tap=True, other=True, amount=777)


def used_key_refused(builder: RunBuilder) -> None:
    key = acknowledged(builder)
    about = {"attempt": 2, "tap": True, "other": True, "amount": 777}
    builder.operation("load", "transfer", BACK + S, key=key, outcome="fail", **about)


def second_writer(builder: RunBuilder) -> None:
    builder.members["db"] = {"writable": True, "in_recovery": False, "identical": True}
    builder.lacks["db"] = {builder.postings[-1].key}


def second_writer_of_the_same_books(builder: RunBuilder) -> None:
    builder.members["db"] = {"writable": True, "in_recovery": False, "identical": True}


REJECTED: list[tuple[str, Callable[[RunBuilder], None], str]] = [
    ("books-balance", one_legged, "one-legged"),
    ("books-balance", entry_without_an_amount, "do not balance: 1 × unbalanced"),
    ("books-balance", unbalanced, "unbalanced"),
    ("books-balance", entries_twice, "do not balance: 1 × entries-differ"),
    ("books-balance", another_paid, "do not balance: 1 × entries-differ"),
    ("books-balance", balance_forged, "2 × stored-balance"),
    ("books-balance", balances_twice, "12 × stored-balance"),
    ("books-balance", nobody_asked, "1 × unasked"),
    ("books-balance", no_key, "1 × unasked"),
    ("nothing-lost", write_lost, "1 of 498 acknowledged operations lost, 1.00 CNY"),
    ("nothing-lost", amount_changed, "1 × amount-differs"),
    ("nothing-lost", party_changed, "1 × parties-differ"),
    ("nothing-lost", paid_to_himself, "1 × parties-differ"),
    ("nothing-lost", currency_changed, "1 × amount-differs"),
    ("nothing-lost", payload_changed, "1 × payload-differs"),
    ("nothing-doubled", posted_twice, "1 × doubled"),
    ("nothing-doubled", refused_and_posted, "1 × refused-but-posted"),
    ("nothing-doubled", doubt_posted_twice, "1 × doubled"),
    ("nothing-in-doubt", doubt_posted_twice, "1 keys doubled"),
    ("nothing-in-doubt", hold_dangling, "1 × dangling-hold"),
    ("nothing-in-doubt", hold_posted_without_transaction, "1 × hold-and-posting"),
    ("nothing-in-doubt", hold_posted_for_nobody, "1 × hold-and-posting"),
    ("nothing-in-doubt", hold_expired_and_posted, "1 × hold-and-posting"),
    (
        "keys-are-bound",
        used_key_accepted,
        "1 used keys were acknowledged or posted for another payload too (1 answered)",
    ),
    ("one-writer", second_writer, "db and standby both accept writes to the books ledger, 1 × second-writer"),
    ("one-writer", second_writer_of_the_same_books, "db and standby both accept writes"),
]


@pytest.mark.parametrize(("check", "plant", "words"), REJECTED, ids=lambda v: getattr(v, "__name__", v))
def test_rejected(check: str, plant: Callable[[RunBuilder], None], words: str, tmp_path: Path) -> None:
    builder = RunBuilder().crash()
    plant(builder)
    verdict = verdict_of(check, builder, tmp_path)
    assert verdict.outcome == "fail"
    assert words in verdict.reason
    assert verdict.details
    assert verdict.events


@pytest.mark.parametrize("check", CHECKS)
def test_the_green_twin(check: str, tmp_path: Path) -> None:
    verdict = verdict_of(check, RunBuilder().crash(), tmp_path)
    assert (verdict.outcome, verdict.exercised) == ("pass", True)


@pytest.mark.parametrize("check", CHECKS)
def test_split_brain_is_unknown(check: str, tmp_path: Path) -> None:
    builder = RunBuilder()
    builder.members["db"] = {"writable": True, "in_recovery": False, "identical": True}
    verdict = verdict_of(check, builder.crash(), tmp_path)
    assert verdict.outcome == "unknown"
    assert "split brain" in verdict.reason


def test_a_second_writer_is_told_by_the_keys_that_it_lacks(tmp_path: Path) -> None:
    builder = RunBuilder().crash()
    second_writer(builder)
    verdict = verdict_of("one-writer", builder, tmp_path)
    key = builder.postings[-1].key
    assert verdict.details == (f"key {key} is in the books of standby, and not of db",)


def test_a_replicated_database_without_books_is_said_not_to_have_been_asked(tmp_path: Path) -> None:
    limits = {**SYSTEM["roles"]["database"], "primary": "limits", "standby": "limits-2"}
    names = [*SYSTEM["services"], "limits", "limits-2"]
    changed = {
        **SYSTEM,
        "services": {name: {"name": name} for name in names},
        "roles": {**SYSTEM["roles"], "limits": limits},
    }
    builder = RunBuilder(plan=plan_for(drill(), changed)).crash()
    verdict = verdict_of("one-writer", builder, tmp_path)
    assert verdict.outcome == "pass"
    assert verdict.reason.endswith("; limits was not asked: no books of it were collected")


@pytest.mark.parametrize("check", ["books-balance", "one-writer"])
def test_books_that_no_journey_writes_to_and_that_could_not_be_collected_are_unknown(
    check: str, tmp_path: Path
) -> None:
    cards = {"on": "database", "entries": "cards.sql", "balances": "balances.sql"}
    system = {**SYSTEM, "books": {**SYSTEM["books"], "cards": cards}}
    builder = RunBuilder(plan=plan_for(drill(), system)).crash()
    assert verdict_of(check, builder, tmp_path / "untried").outcome == "pass"
    builder.event(END + S, "collect.absent", books="ledger", member="db", why="db is down")
    assert verdict_of(check, builder, tmp_path / "one-member").outcome == "pass"
    for member in ("db", "standby"):
        builder.event(END + S, "collect.absent", books="cards", member=member, why=f"{member} is down")
    verdict = verdict_of(check, builder, tmp_path / "none")
    assert (verdict.outcome, verdict.reason) == ("unknown", "the books cards were not collected")
    assert verdict_of("nothing-lost", builder, tmp_path / "lost").outcome == "pass"  # nothing belongs there


def test_money_of_which_nobody_says_where_it_came_from_is_told(tmp_path: Path) -> None:
    builder = RunBuilder().crash()
    builder.postings.append(Posting(900_001, "nobody", "A1", "B1", 100, source=None))
    verdict = verdict_of("books-balance", builder, tmp_path)
    assert "; 1 of them nobody asked for" in verdict.reason


def test_one_writer_is_fine_and_a_member_that_did_not_say_is_unknown(tmp_path: Path) -> None:
    builder = RunBuilder().crash()
    assert verdict_of("one-writer", builder, tmp_path / "one").outcome == "pass"
    builder.event(END + S, "collect.write", member="db", error="no answer within 2 s")
    assert verdict_of("one-writer", builder, tmp_path / "two").outcome == "unknown"


BOTH = (("db", True, 2 * S), ("standby", False, 6 * S))
"""(member, took its very first try, its last write)."""


def looked(
    builder: RunBuilder, *found: str, ok: bool = False, took: Sequence[tuple[str, bool, int]] = BOTH
) -> None:
    detail = found[0] if found else "never both took writes" if ok else "no answer in time"
    builder.event(
        END,
        "probe.looked",
        step="writers",
        name="writers",
        target="standby",
        ok=ok,
        detail=detail,
        found=list(found),
        facts={
            "writers": [
                {"member": member, "count": int(last > 0), "at_once": at_once, "last_ns": last}
                for member, at_once, last in took
            ]
        },
    )


def test_two_that_took_writes_for_a_moment_are_two_although_one_has_stopped_since(tmp_path: Path) -> None:
    builder = RunBuilder().crash()
    looked(builder, ok=True)
    passed = verdict_of("one-writer", builder, tmp_path / "one")
    assert passed.outcome == "pass"
    assert "never both took writes" in passed.reason
    looked(builder, "db and standby both took writes for 0.40 s")
    failed = verdict_of("one-writer", builder, tmp_path / "two")
    assert failed.outcome == "fail"
    assert failed.details == ("db and standby both took writes for 0.40 s",)


def test_writers_that_nobody_could_look_at_are_unknown(tmp_path: Path) -> None:
    builder = RunBuilder().crash()
    looked(builder)
    assert verdict_of("one-writer", builder, tmp_path).outcome == "unknown"


@pytest.mark.parametrize(
    ("took", "why"),
    [
        ((("db", True, 2 * S), ("standby", False, 0)), "ended too early: db took the last write"),
        (
            (("db", False, 0), ("standby", True, 6 * S)),
            "began too late: standby took its first write already",
        ),
        ((("db", False, 0), ("standby", False, 0)), "saw nobody take a write"),
        ((), "saw nobody take a write"),
    ],
)
def test_writers_that_did_not_see_the_change_are_unknown(
    took: tuple[tuple[str, bool, int], ...], why: str, tmp_path: Path
) -> None:
    builder = RunBuilder().crash()
    looked(builder, ok=True, took=took)
    verdict = verdict_of("one-writer", builder, tmp_path)
    assert verdict.outcome == "unknown"
    assert why in verdict.reason


def test_a_change_between_two_looks_is_not_seen_and_one_within_either_is(tmp_path: Path) -> None:
    old, new = (("db", True, 2 * S), ("standby", False, 0)), (("db", False, 0), ("standby", True, 9 * S))
    between, within = RunBuilder().crash(), RunBuilder().crash()
    for took in (old, new):
        looked(between, ok=True, took=took)
    for took in (BOTH, new):
        looked(within, ok=True, took=took)
    assert verdict_of("one-writer", between, tmp_path / "between").outcome == "unknown"
    assert verdict_of("one-writer", within, tmp_path / "within").outcome == "pass"


def test_no_writer_is_unknown(tmp_path: Path) -> None:
    builder = RunBuilder()
    builder.members["standby"]["writable"] = False
    verdict = verdict_of("one-writer", builder.crash(), tmp_path)
    assert (verdict.outcome, verdict.exercised) == ("unknown", True)


def test_books_without_a_standby_have_one_writer_by_nature(tmp_path: Path) -> None:
    roles = {"database": {**SYSTEM["roles"]["database"], "standby": None}}
    builder = RunBuilder(plan=plan_for(drill(), {**SYSTEM, "roles": roles})).crash()
    verdict = verdict_of("one-writer", builder, tmp_path)
    assert (verdict.outcome, verdict.exercised) == ("unknown", False)


def test_a_used_key_that_is_refused_is_fine_and_no_sending_of_that_payment(tmp_path: Path) -> None:
    builder = RunBuilder().crash()
    used_key_refused(builder)
    assert verdict_of("keys-are-bound", builder, tmp_path / "bound").outcome == "pass"
    for check in CHECKS:
        assert verdict_of(check, builder, tmp_path / check).outcome == "pass"


def test_a_used_key_that_never_reached_the_system_was_not_refused(tmp_path: Path) -> None:
    for number, ending in enumerate(("connect: connection refused", "missed")):
        builder = RunBuilder().crash()
        key = acknowledged(builder)
        about = {"attempt": 2, "tap": True, "other": True, "amount": 777}
        outcome = "missed" if ending == "missed" else "fail"
        builder.operation("load", "transfer", BACK + S, key=key, outcome=outcome, **about)
        if outcome == "fail":
            builder.records["load"][-1] |= {"status": None, "error": ending}
        verdict = verdict_of("keys-are-bound", builder, tmp_path / str(number))
        assert (verdict.outcome, verdict.exercised) == ("unknown", False), ending


def test_a_second_payload_that_is_posted_without_a_word_is_found(tmp_path: Path) -> None:
    builder = RunBuilder().crash()
    key = acknowledged(builder)
    about = {"attempt": 2, "tap": True, "other": True, "amount": 777, "posted": True}
    builder.operation("load", "transfer", BACK + S, key=key, outcome="unknown", **about)
    verdict = verdict_of("keys-are-bound", builder, tmp_path)
    assert verdict.outcome == "fail"
    assert f"key {key} was used, and posted again for another payload: 777 CNY" in verdict.details


def test_without_a_misused_key_nothing_was_judged(tmp_path: Path) -> None:
    verdict = verdict_of("keys-are-bound", RunBuilder().crash(), tmp_path)
    assert (verdict.outcome, verdict.exercised) == ("unknown", False)


PARTIES = {"transfer": {**SYSTEM["journeys"]["transfer"], "parties": {"from": "payer", "to": "payee"}}}


def test_the_wrong_direction_is_seen_where_the_journey_says_who_pays(tmp_path: Path) -> None:
    for journeys, outcome in ((SYSTEM["journeys"], "pass"), ({**SYSTEM["journeys"], **PARTIES}, "fail")):
        builder = RunBuilder(plan=plan_for(drill(), {**SYSTEM, "journeys": journeys})).crash()
        victim = early(builder)
        victim.payer, victim.payee = victim.payee, victim.payer
        verdict = verdict_of("nothing-lost", builder, tmp_path / outcome)
        assert verdict.outcome == outcome
        assert outcome == "pass" or (
            "1 × parties-differ" in verdict.reason and victim.key in verdict.details[0]
        )
    straight = RunBuilder(plan=plan_for(drill(), {**SYSTEM, "journeys": {**SYSTEM["journeys"], **PARTIES}}))
    assert verdict_of("nothing-lost", straight.crash(), tmp_path / "straight").outcome == "pass"


def only_reads(builder: RunBuilder) -> None:
    for source, records in builder.records.items():
        kept = {r["id"] for r in records if r["r"] == "intent" and r["journey"] == "balance"}
        builder.records[source] = [r for r in records if r["id"] in kept]
    builder.postings = []


def nothing_sent_again(builder: RunBuilder) -> None:
    again = {
        r["id"] for rs in builder.records.values() for r in rs if r["r"] == "intent" and r["attempt"] > 1
    }
    for source, records in builder.records.items():
        builder.records[source] = [r for r in records if r["id"] not in again]


def nothing_reached_again(builder: RunBuilder) -> None:
    """Whatever was sent again found nobody who would have taken it: until the last retry the ledger was away."""
    again = {
        r["id"] for rs in builder.records.values() for r in rs if r["r"] == "intent" and r["attempt"] > 1
    }
    assert again
    for record in (r for rs in builder.records.values() for r in rs if r["id"] in again and r["r"] == "done"):
        record |= {"outcome": "fail", "status": None, "error": "connect: ConnectionRefusedError: refused"}


def nothing_unknown(builder: RunBuilder) -> None:
    unknown = {r["id"] for rs in builder.records.values() for r in rs if r.get("outcome") == "unknown"}
    for source, records in builder.records.items():
        builder.records[source] = [r for r in records if r["id"] not in unknown]


@pytest.mark.parametrize(
    ("check", "change", "words"),
    [
        ("books-balance", only_reads, "the ledger holds no entry"),
        ("nothing-lost", only_reads, "no operation that belongs in books was acknowledged"),
        ("nothing-doubled", nothing_sent_again, "no key was sent a second time"),
        ("nothing-doubled", nothing_reached_again, "no key was sent a second time"),
        ("nothing-in-doubt", nothing_unknown, "no operation was of unknown outcome"),
    ],
)
def test_not_exercised(check: str, change: Callable[[RunBuilder], None], words: str, tmp_path: Path) -> None:
    builder = RunBuilder().crash()
    change(builder)
    verdict = verdict_of(check, builder, tmp_path)
    assert (verdict.outcome, verdict.exercised) == ("unknown", False)
    assert words in verdict.reason


def test_hashes_of_different_things_are_not_compared(tmp_path: Path) -> None:
    """A system that hashes in its own way is not accused of changing every payload."""
    builder = RunBuilder().crash()
    for record in builder.records["load"]:
        if record["r"] == "intent":
            record["payload_hash"] = f"client-{record['key']}"
    for posting in builder.postings:
        posting.payload_hash = f"bank-{posting.key}"
    assert verdict_of("nothing-lost", builder, tmp_path).outcome == "pass"


def test_the_sum_stays_right_when_whole_transactions_are_lost(tmp_path: Path) -> None:
    """Conservation alone proves nothing: the books balance, and 40 payments are gone."""
    builder = RunBuilder().crash()
    del builder.postings[10:50]
    assert verdict_of("books-balance", builder, tmp_path / "a").outcome == "pass"
    lost = verdict_of("nothing-lost", builder, tmp_path / "b")
    assert lost.outcome == "fail"
    assert sum(line.startswith("lost: ") for line in lost.details) == 40


@pytest.mark.parametrize("check", [*CHECKS, "keys-are-bound", "one-writer", "reads-are-true"])
def test_the_docstring_is_a_manual_page(check: str) -> None:
    page = " ".join((inspect.getdoc(registry.member("checks", check)) or "").split())
    assert "fail:" in page
    assert "unknown:" in page
    assert "Not exercised:" in page


def test_a_hold_per_attempt_is_fine(tmp_path: Path) -> None:
    """A key can have several holds, each but the last expired before it was posted."""
    builder = RunBuilder().crash()
    key = early(builder).key
    states = ("expired", "voided", "posted")
    builder.holds = [
        {"hold_id": n, "key": key, "state": state, "amount": 100, "currency": "CNY"}
        for n, state in enumerate(states)
    ]
    assert verdict_of("nothing-in-doubt", builder, tmp_path).outcome == "pass"
