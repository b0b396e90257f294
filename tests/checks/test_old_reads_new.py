"""The check `old-reads-new`: what it accepts, what it rejects, and when it had nothing to judge."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaoskit.checks.old_reads_new import OldReadsNew
from chaoskit.evidence import load_history
from chaoskit.metrics import measure
from chaoskit.model.verdict import Verdict
from tests.histories.builder import END, MS, SYSTEM, ZERO, RunBuilder, S, drill, plan_for

PICK = {"from": "account", "except": "payer"}
JOURNEYS = {
    "transfer": {**SYSTEM["journeys"]["transfer"], "draw": {"payer": "account", "payee": PICK}},
    "balance": {**SYSTEM["journeys"]["balance"], "draw": {"account": "account"}},
}
SEEN, HALTED, BACK = ZERO + 200 * MS, ZERO + 3 * S, ZERO + 4 * S


def built() -> RunBuilder:
    """A roll-out that is witnessed at 0.2 s and rolled back from 3 s to 4 s; the builder's own kill is left out."""
    builder = RunBuilder(plan=plan_for(drill(), {**SYSTEM, "journeys": JOURNEYS}))
    builder.usual_events()
    builder.events = [
        one for one in builder.events if not one[1].startswith(("fault.", "response.", "detect."))
    ]
    about = {"step": "roll-out", "target": "next"}
    builder.event(ZERO, "fault.begin", name="upgrade.roll-out", lo=ZERO, **about)
    builder.event(ZERO + S, "fault.witnessed", hi=SEEN, how="the service says so", **about)
    builder.event(HALTED, "response.fact", step="back", fact="halted", changed=["ledger"])
    builder.event(BACK, "response.fact", step="back", fact="restored", service="ledger")
    builder.event(BACK + MS, "response.done", step="back")
    builder.events.sort(key=lambda one: one[0])
    return begun(builder)


def begun(builder: RunBuilder) -> RunBuilder:
    """Both measurers have done something, of no interest here."""
    for source in ("load", "prober"):
        builder.operation(source, "balance", ZERO - 2 * S, values={"account": "C0"})
    return builder


def pay(
    builder: RunBuilder, at: int, payer: str, payee: str, outcome: str = "ok", key: str | None = None
) -> str:
    values = {"payer": payer, "payee": payee}
    return builder.operation("load", "transfer", at, outcome=outcome, values=values, key=key, posted=True)


def look(builder: RunBuilder, at: int, account: str, outcome: str = "ok") -> None:
    builder.operation("load", "balance", at, outcome=outcome, values={"account": account})
    if outcome == "unknown":  # nobody answered in time
        builder.records["load"][-1]["status"] = None


def judged(builder: RunBuilder, folder: Path) -> Verdict:
    history = load_history(builder.write(folder))
    assert history.problems == ()
    return OldReadsNew().judge(history, measure(history))


def test_accounts_that_moved_are_read_again(tmp_path: Path) -> None:
    builder = built()
    pay(builder, ZERO + S, "A1", "B1")
    pay(builder, ZERO + 2 * S, "A2", "B2", outcome="unknown")  # told nothing, and posted
    look(builder, BACK + 100 * MS, "B1", outcome="unknown")
    look(builder, BACK + S, "B1")
    look(builder, BACK + S + MS, "A2")
    look(builder, BACK + S + 2 * MS, "C9", outcome="unknown")  # never moved
    verdict = judged(builder, tmp_path / "run")
    assert (verdict.outcome, verdict.reason.partition(" accounts")[0]) == ("pass", "2")
    assert len(verdict.events) == 3


def test_an_account_that_is_never_answered_again_fails(tmp_path: Path) -> None:
    builder = built()
    pay(builder, ZERO + S, "A1", "B1")
    look(builder, BACK + S, "A1")
    for at in range(3):
        look(builder, BACK + S + at * MS, "B1", outcome="unknown")
    verdict = judged(builder, tmp_path / "run")
    assert verdict.outcome == "fail"
    assert "1 of 2 accounts cannot be read any more" in verdict.reason
    assert verdict.details == ("account B1: moved under the release, never answered since",)


def test_who_asked_while_nobody_was_answered_says_nothing_of_an_account(tmp_path: Path) -> None:
    builder = built()
    pay(builder, ZERO + S, "A1", "B1")
    out = range(BACK - S, BACK + S)
    builder.arrivals("prober", "balance", ZERO - 3 * S, END, 100 * MS, lambda at: at not in out)
    look(builder, BACK + 500 * MS, "B1", outcome="unknown")
    look(builder, BACK + 2 * S, "A1")
    verdict = judged(builder, tmp_path / "run")
    assert (verdict.outcome, verdict.reason.partition(" accounts")[0]) == ("pass", "1")
    look(builder, END - 2 * S, "B1", outcome="unknown")
    verdict = judged(builder, tmp_path / "once")
    assert verdict.outcome == "unknown"
    assert verdict.reason.endswith("whether the old version can read B1")
    look(builder, END - S, "B1", outcome="unknown")
    verdict = judged(builder, tmp_path / "again")
    assert verdict.details == ("account B1: moved under the release, never answered since",)


@pytest.mark.parametrize(
    ("account", "status", "later", "outcome"),
    [
        ("C9", 503, 100 * MS, "pass"),  # the bank turned everybody away, as one that is asked too much does
        ("C9", 503, 400 * MS, "fail"),  # at another time
        ("C9", 500, 100 * MS, "fail"),  # in another way
        ("A1", 503, 100 * MS, "pass"),  # one who was answered at another time
        ("A2", 503, 100 * MS, "fail"),  # only those who were never answered
    ],
)
def test_who_was_turned_away_as_everybody_was_says_nothing_of_an_account(
    tmp_path: Path, account: str, status: int, later: int, outcome: str
) -> None:
    builder = built()
    pay(builder, ZERO + S, "A1", "B1")
    pay(builder, ZERO + 2 * S, "A1", "A2")
    for at, whose, answer in ((BACK + S, "B1", 503), (BACK + S + later, account, status)):
        look(builder, at, whose, outcome="unknown")
        builder.records["load"][-1]["status"] = answer
    look(builder, BACK + 2 * S, "A1")
    verdict = judged(builder, tmp_path / "run")
    assert verdict.outcome == outcome, verdict.reason
    if outcome == "pass":
        assert verdict.reason == (
            "1 accounts that moved under the release were read after it was rolled back; "
            "1 more were asked for only while others were turned away as well"
        )
    else:
        assert "account B1: moved under the release, never answered since" in verdict.details


def test_who_was_turned_away_each_time_he_asked_may_be_one_who_cannot_be_read(tmp_path: Path) -> None:
    builder = built()
    pay(builder, ZERO + S, "A1", "B1")
    for at in (BACK + S, BACK + 2 * S):
        for whose in ("B1", "C9"):
            look(builder, at, whose, outcome="unknown")
            builder.records["load"][-1]["status"] = 503
    look(builder, BACK + 3 * S, "A1")
    verdict = judged(builder, tmp_path / "run")
    assert verdict.outcome == "unknown"
    assert verdict.reason.startswith("asked for several times while others were turned away as well")
    assert verdict.reason.endswith("whether the old version can read B1")


def test_a_posted_payment_that_the_old_version_refuses_fails(tmp_path: Path) -> None:
    builder = built()
    key = pay(builder, ZERO + 2 * S, "A1", "B1", outcome="unknown")
    look(builder, BACK + S, "A1")
    values = {"payer": "A1", "payee": "B1"}
    builder.operation(
        "load", "transfer", BACK + 500 * MS, key=key, attempt=2, outcome="fail", values=values, posted=False
    )
    verdict = judged(builder, tmp_path / "run")
    assert verdict.outcome == "fail"
    assert verdict.details == (f"key {key}: posted under the release, refused by the old version",)


def hashed(builder: RunBuilder, *wrong: str) -> RunBuilder:
    """Every payment is marked alike by customer and bank, but for these."""
    for records in builder.records.values():
        for record in records:
            if record["r"] == "intent":
                record["payload_hash"] = f"h-{record['key']}"
    for posting in builder.postings:
        posting.payload_hash = f"other-{posting.key}" if posting.key in wrong else f"h-{posting.key}"
    return builder


@pytest.mark.parametrize("restored", [False, True])
def test_a_payment_that_would_be_refused_fails_though_nobody_asks_again(
    tmp_path: Path, restored: bool
) -> None:
    builder = built()
    pay(builder, ZERO - S, "A3", "B3")  # before the release, by which the marks are known to be comparable
    key = pay(builder, ZERO + S, "A1", "B1")
    look(builder, BACK + S, "A1")
    verdict = judged(hashed(builder, *(() if restored else (key,))), tmp_path / "run")
    assert verdict.outcome == ("pass" if restored else "fail"), verdict.reason
    if not restored:
        assert "1 more would be, by the hash that they have in the books" in verdict.reason
        assert verdict.details == (f"key {key}: posted under the release, with another payload's hash",)


def test_who_asked_while_the_books_were_restored_is_not_who_can_never_be_answered(tmp_path: Path) -> None:
    builder = built()
    pay(builder, ZERO + S, "A1", "B1")
    look(builder, BACK + 100 * MS, "B1", outcome="unknown")  # the door is shut, and nobody asks for B1 again
    look(builder, BACK + 2 * S, "A1")
    builder.event(BACK + S, "response.fact", step="restore", fact="restored", service="db", backup="books")
    builder.event(BACK + S + MS, "response.fact", step="reopen", fact="opened", services=["gateway"])
    builder.events.sort(key=lambda one: one[0])
    assert judged(builder, tmp_path / "run").outcome == "pass"


def forwarded(builder: RunBuilder) -> RunBuilder:
    """A fix is put over the release, and the old version does not come back."""
    for _, _, data in builder.events:
        if data.get("fact") == "restored":
            data |= {"fact": "forwarded", "release": "mended", "over": "next"}
    return builder


@pytest.mark.parametrize("mended", [False, True])
def test_what_a_fix_leaves_marked_as_the_old_version_could_not_read_it_fails(
    tmp_path: Path, mended: bool
) -> None:
    builder = forwarded(built())
    pay(builder, ZERO - S, "A3", "B3")
    key = pay(builder, ZERO + S, "A1", "B1")
    look(builder, BACK + S, "A1")
    verdict = judged(hashed(builder, *(() if mended else (key,))), tmp_path / "run")
    if mended:
        assert verdict.outcome == "pass"
        assert (
            verdict.reason
            == "1 accounts that moved under the release were read after it was followed by mended"
        )
    else:
        assert verdict.outcome == "fail"
        assert verdict.reason.startswith(
            "the old version does not read what the new one wrote: 1 more would be"
        )


def test_a_posted_payment_that_the_fix_refuses_fails(tmp_path: Path) -> None:
    builder = forwarded(built())
    key = pay(builder, ZERO + 2 * S, "A1", "B1", outcome="unknown")
    look(builder, BACK + S, "A1")
    values = {"payer": "A1", "payee": "B1"}
    builder.operation(
        "load", "transfer", BACK + 500 * MS, key=key, attempt=2, outcome="fail", values=values, posted=False
    )
    verdict = judged(builder, tmp_path / "run")
    assert verdict.outcome == "fail"
    assert "the fix mended does not read what the new one wrote: 1 posted payments" in verdict.reason


def test_a_fix_that_is_not_in_place_everywhere_is_unknown(tmp_path: Path) -> None:
    builder = forwarded(built())
    pay(builder, ZERO + S, "A1", "B1")
    look(builder, BACK + S, "A1")
    next(data for _, _, data in builder.events if data.get("fact") == "halted")["changed"] = [
        "ledger",
        "gateway",
    ]
    verdict = judged(builder, tmp_path)
    assert (verdict.outcome, "gateway" in verdict.reason) == ("unknown", True)


def test_a_release_that_is_still_there_somewhere_is_unknown(tmp_path: Path) -> None:
    for number, change in enumerate(("a service is missing", "the step failed")):
        builder = built()
        pay(builder, ZERO + S, "A1", "B1")
        look(builder, BACK + S, "A1")
        if number == 0:
            halted = next(data for _, _, data in builder.events if data.get("fact") == "halted")
            halted["changed"] = ["ledger", "gateway"]
        else:
            builder = builder.without("response.done")
            builder.event(BACK + MS, "response.failed", step="back", error="ledger says it is 2")
            builder.events.sort(key=lambda one: one[0])
        verdict = judged(builder, tmp_path / str(number))
        assert (verdict.outcome, "not taken back everywhere" in verdict.reason) == ("unknown", True), change


def test_a_second_release_that_nobody_took_back_is_still_there(tmp_path: Path) -> None:
    """Two were rolled out and both were stopped; only one was taken back."""
    for number, services in enumerate((("ledger",), ("gateway", "ledger"))):
        builder = built()
        pay(builder, ZERO + S, "A1", "B1")
        look(builder, BACK + S, "A1")
        about = {"step": "other-back", "release": "other"}
        builder.event(HALTED - S, "response.fact", fact="halted", changed=["gateway"], **about)
        for service in services[:-1]:
            builder.event(BACK - S, "response.fact", fact="restored", service=service, **about)
        builder.event(BACK, "response.done", **about)
        builder.events.sort(key=lambda one: one[0])
        verdict = judged(builder, tmp_path / str(number))
        assert verdict.outcome == ("unknown", "pass")[number], verdict
        if not number:
            assert verdict.reason == "the release was not taken back everywhere: gateway"


def test_who_asked_the_next_release_did_not_ask_the_old_version(tmp_path: Path) -> None:
    builder = built()
    pay(builder, ZERO + S, "A1", "B1")
    look(builder, BACK + S, "A1", outcome="unknown")
    look(builder, BACK + 3 * S, "A1")
    begun_ = BACK + 2 * S
    builder.event(begun_, "fault.begin", name="upgrade.roll-out", lo=begun_, step="next", target="fixed")
    builder.event(
        begun_ + MS, "fault.witnessed", hi=begun_ + MS, how="it says so", step="next", target="fixed"
    )
    builder.events.sort(key=lambda one: one[0])
    assert judged(builder, tmp_path / "run").outcome != "pass"


def test_what_a_first_try_of_the_release_wrote_is_judged_after_the_second_as_well(tmp_path: Path) -> None:
    builder = built()
    again = {"step": "again", "target": "next"}
    builder.event(ZERO + 2 * S, "fault.begin", name="upgrade.roll-out", lo=ZERO + 2 * S, **again)
    builder.event(
        ZERO + 2 * S + MS, "fault.witnessed", hi=ZERO + 2 * S + MS, how="the service says so", **again
    )
    builder.events.sort(key=lambda one: one[0])
    pay(builder, ZERO - S, "A3", "B3")  # before the release, by which the marks are known to be comparable
    key = pay(builder, ZERO + S, "A1", "B1")
    look(builder, BACK + S, "A1")
    verdict = judged(hashed(builder, key), tmp_path / "run")
    assert verdict.outcome == "fail", verdict.reason
    assert verdict.details == (f"key {key}: posted under the release, with another payload's hash",)


def test_books_that_could_not_be_reconciled_say_nothing_of_marks(tmp_path: Path) -> None:
    builder = built()
    pay(builder, ZERO + S, "A1", "B1")
    look(builder, BACK + S, "A1")
    history = load_history(builder.write(tmp_path / "run"))
    found = measure(history)
    assert OldReadsNew().judge(history, found).outcome == "pass"
    books = {name: one.model_copy(update={"problems": ("torn",)}) for name, one in found.books.items()}
    verdict = OldReadsNew().judge(history, found.model_copy(update={"books": books}))
    assert (verdict.outcome, verdict.reason) == ("unknown", "torn")


def test_there_was_nothing_to_judge(tmp_path: Path) -> None:
    untouched = RunBuilder(plan=plan_for(drill(), {**SYSTEM, "journeys": JOURNEYS}))
    untouched.usual_events()
    begun(untouched)
    before_and_after = built()
    for at in (ZERO - S, HALTED + 100 * MS, BACK + S):
        pay(before_and_after, at, "A1", "B1")
    look(before_and_after, BACK + 2 * S, "A1")
    unasked = built()
    pay(unasked, ZERO + S, "A1", "B1")
    look(unasked, HALTED - 100 * MS, "A1")
    assert BACK + 2 * S < END
    for number, builder in enumerate((untouched, before_and_after, unasked)):
        verdict = judged(builder, tmp_path / str(number))
        assert (verdict.outcome, verdict.exercised) == ("unknown", False), verdict.reason
        assert verdict.reason.startswith("not exercised: ")
