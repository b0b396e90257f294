"""Paper slips, totals of cycles and entries from before the fault: what each check rejects, its twin, and nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from chaoskit import registry
from chaoskit.evidence import load_history
from chaoskit.judge import judge
from chaoskit.metrics import measure
from tests.checks.test_checks import verdict_of
from tests.histories.builder import ZERO, Posting, RunBuilder, S

CHECKS = ("paper-keyed-in", "cycles-agree", "entries-unchanged")


def bank() -> RunBuilder:
    """A run in which three slips were keyed in, two cycles closed, and the entries from before were kept."""
    builder = RunBuilder().crash()
    builder.added["before"] = builder.legs()[:40]
    for number in range(3):
        key = f"slip-{number}"
        builder.postings.append(Posting(900_000 + number, key, "A1", "B1", 100, source="manual"))
    builder.added["paper"] = [{"pad": "north", "serial": 41 + n, "key": f"slip-{n}"} for n in range(3)]
    builder.added["cycles"] = [
        {"cycle": cycle, "system": system, "currency": "CNY", "total": 300}
        for cycle in ("morning", "noon")
        for system in ("core", "payments", "atm", "clearing")
    ]
    return builder


def slip_missing(builder: RunBuilder) -> None:
    builder.added["paper"].pop(1)


def serial_twice(builder: RunBuilder) -> None:
    builder.added["paper"][2]["serial"] = 42


def never_keyed_in(builder: RunBuilder) -> None:
    builder.postings = [p for p in builder.postings if p.key != "slip-1"]


def two_slips_for_one(builder: RunBuilder) -> None:
    never_keyed_in(builder)
    builder.added["paper"][1]["key"] = "slip-0"


def keyed_in_twice(builder: RunBuilder) -> None:
    builder.postings.append(Posting(900_009, "slip-1", "A1", "B1", 100, source="manual"))


def posted_online_too(builder: RunBuilder) -> None:
    builder.added["paper"][1]["key"] = builder.postings[0].key


def total_differs(builder: RunBuilder) -> None:
    builder.added["cycles"][6]["total"] = 299


def system_silent(builder: RunBuilder) -> None:
    builder.added["cycles"].pop(7)


def told_twice(builder: RunBuilder) -> None:
    builder.added["cycles"].append(dict(builder.added["cycles"][7]))


def entry_changed(builder: RunBuilder) -> None:
    builder.entries = builder.legs()
    builder.entries[6]["account"], builder.entries[8]["account"] = "A9", "B9"


def entry_gone(builder: RunBuilder) -> None:
    builder.entries = builder.legs()[2:]


def entry_twice(builder: RunBuilder) -> None:
    builder.entries = builder.legs()
    builder.entries.append(dict(builder.entries[7]))


def another_under_an_old_number(builder: RunBuilder) -> None:
    builder.entries = builder.legs()
    builder.entries.append({**builder.entries[7], "key": "forged", "transaction_id": 900_100})


def other_key(builder: RunBuilder) -> None:
    builder.entries = builder.legs()
    builder.entries[7]["key"] = "forged"


REJECTED: list[tuple[str, Callable[[RunBuilder], None], str, str]] = [
    ("paper-keyed-in", slip_missing, "1 × paper-serials", "pad north lacks the serials 42 to 42"),
    ("paper-keyed-in", serial_twice, "1 × paper-serials", "serial 42 of pad north was used 2 times"),
    ("paper-keyed-in", never_keyed_in, "1 × paper-postings", "(key slip-1) has 0 transactions, 0 of them"),
    (
        "paper-keyed-in",
        two_slips_for_one,
        "2 × paper-postings",
        "slip 41 of pad north (key slip-0) has 1 transactions, 0 of them posted online, for 2 slips",
    ),
    ("paper-keyed-in", keyed_in_twice, "1 × paper-postings", "(key slip-1) has 2 transactions, 0 of them"),
    (
        "paper-keyed-in",
        posted_online_too,
        "1 × paper-postings",
        "has 1 transactions, 1 of them posted online",
    ),
    (
        "cycles-agree",
        total_differs,
        "1 × cycle-totals",
        "cycle noon in CNY: atm 299, clearing 300, core 300, payments 300",
    ),
    (
        "cycles-agree",
        system_silent,
        "1 × cycle-totals",
        "cycle noon in CNY: atm 300, core 300, payments 300, and nothing of 1 more",
    ),
    ("cycles-agree", told_twice, "1 × cycle-totals", "clearing 300, clearing 300"),
    ("entries-unchanged", entry_changed, "2 × entries-before", "entry 7 was -100 CNY on A"),
    ("entries-unchanged", entry_gone, "2 × entries-before", "before the fault, and is gone"),
    ("entries-unchanged", entry_twice, "1 × entries-before", "entry 8 was 100 CNY on B"),
    (
        "entries-unchanged",
        another_under_an_old_number,
        "1 × entries-before",
        "(transaction 900100, key forged)",
    ),
    ("entries-unchanged", other_key, "1 × entries-before", "key forged)"),
]


@pytest.mark.parametrize(
    ("check", "plant", "words", "case"), REJECTED, ids=lambda v: getattr(v, "__name__", "")
)
def test_rejected(
    check: str, plant: Callable[[RunBuilder], None], words: str, case: str, tmp_path: Path
) -> None:
    builder = bank()
    plant(builder)
    verdict = verdict_of(check, builder, tmp_path)
    assert (verdict.outcome, verdict.reason) == ("fail", words)
    assert case in verdict.details[0]
    assert verdict.events


@pytest.mark.parametrize("check", CHECKS)
def test_the_green_twin_and_nothing_to_judge(check: str, tmp_path: Path) -> None:
    green = verdict_of(check, bank(), tmp_path / "green")
    assert (green.outcome, green.exercised) == ("pass", True)
    nothing = RunBuilder().crash()
    nothing.added = {"before": []} if check == "entries-unchanged" else {}
    unjudged = verdict_of(check, nothing, tmp_path / "nothing")
    assert (unjudged.outcome, unjudged.exercised) == ("unknown", False)
    assert unjudged.reason.startswith("not exercised: ")


@pytest.mark.parametrize("check", CHECKS)
def test_without_a_survivor_it_is_unknown(check: str, tmp_path: Path) -> None:
    builder = bank()
    builder.members["db"] = {"writable": True, "in_recovery": False, "identical": True}
    verdict = verdict_of(check, builder, tmp_path)
    assert (verdict.outcome, verdict.exercised) == ("unknown", True)


def test_a_transaction_that_does_not_say_where_it_came_from_may_have_been_posted_online(
    tmp_path: Path,
) -> None:
    builder = bank()
    builder.postings[-1] = replace(builder.postings[-1], source=None)
    verdict = verdict_of("paper-keyed-in", builder, tmp_path)
    assert (verdict.outcome, verdict.exercised) == ("unknown", True)
    assert verdict.reason.startswith("1 transactions of paper slips do not say whether")


def test_one_system_alone_agrees_with_nobody(tmp_path: Path) -> None:
    builder = bank()
    builder.added["cycles"] = [one for one in builder.added["cycles"] if one["system"] == "core"]
    verdict = verdict_of("cycles-agree", builder, tmp_path)
    assert (verdict.outcome, verdict.exercised) == ("unknown", False)


def before_events(builder: RunBuilder, **told: object) -> RunBuilder:
    builder.event(ZERO - S, "collect.before", books="ledger", member="db", begun=ZERO - S, **told)
    return builder


def test_entries_that_were_never_taken_are_unknown_whatever_the_books_say(tmp_path: Path) -> None:
    verdict = verdict_of("entries-unchanged", RunBuilder().crash(), tmp_path)
    assert (verdict.outcome, verdict.exercised) == ("unknown", True)
    assert verdict.reason == "the entries of ledger from before the fault were not taken"


def test_entries_that_could_not_be_taken_are_unknown_with_the_reason(tmp_path: Path) -> None:
    builder = before_events(RunBuilder().crash(), why="db:1: not read within 120 s")
    verdict = verdict_of("entries-unchanged", builder, tmp_path)
    assert (verdict.outcome, verdict.exercised) == ("unknown", True)
    assert verdict.reason == (
        "the entries of ledger from before the fault could not be taken: db:1: not read within 120 s"
    )
    assert verdict.events


def test_books_without_a_ledger_have_no_entries_to_change(tmp_path: Path) -> None:
    builder = before_events(RunBuilder().crash(), ledger=False)
    verdict = verdict_of("entries-unchanged", builder, tmp_path)
    assert (verdict.outcome, verdict.exercised) == ("unknown", False)


def test_entries_that_were_taken_and_are_not_there_are_damaged_evidence(tmp_path: Path) -> None:
    builder = before_events(RunBuilder().crash(), entries=40)
    history = load_history(builder.write(tmp_path / "run"))
    assert [p for p in history.problems if "books/ledger/before.parquet" in p]
    verdict = registry.member("checks", "entries-unchanged")().judge(history, measure(history))
    assert verdict.outcome == "unknown"


def test_a_change_is_found_though_other_books_could_not_be_taken(tmp_path: Path) -> None:
    builder = bank()
    entry_gone(builder)
    builder.event(ZERO - S, "collect.before", books="cards", member="db", why="gone")
    assert verdict_of("entries-unchanged", builder, tmp_path).outcome == "fail"


def test_a_run_that_was_killed_while_they_were_read_has_no_answer(tmp_path: Path) -> None:
    builder = bank()
    folder = builder.write(tmp_path / "run")
    half = folder / "books" / "ledger" / ".before"
    half.mkdir()
    (folder / "books" / "ledger" / "before.parquet").rename(half / "entries.parquet")
    (half / ".entries.csv").write_text("half a li")
    lines = (folder / "events.jsonl").read_bytes().splitlines(keepends=True)
    until = next(n for n, line in enumerate(lines) if b'"collect.before"' in line)
    (folder / "events.jsonl").write_bytes(b"".join(lines[:until]))
    history = load_history(folder)
    measured = measure(history)
    assert registry.member("checks", "entries-unchanged")().judge(history, measured).outcome == "unknown"
    assert judge(history, measured, registry).outcome == "unknown"
