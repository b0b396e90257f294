"""Attacks from outside in a history: when they were noticed and turned away, whom it cost, and what is rejected."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from chaoskit import evidence, registry
from chaoskit.judge import judge
from chaoskit.metrics import measure
from chaoskit.model.measurement import AttackMeasure
from chaoskit.model.outsiders import NETWORKS
from chaoskit.model.verdict import Result, Verdict
from tests.histories.builder import KILL_HI, KILL_LO, MS, ZERO, Posting, RunBuilder, S, drill, plan_for

ALERT = {
    "service": "db",
    "says": "alert",
    "what": "too many",
    "source": "198.51.100.1",
    "customer": None,
}
BLOCK = {**ALERT, "says": "block", "what": "far too many"}
COUNTS = {"service": "db", "busy": False, "asked": 100, "refused": 80, "failed": 20, "let_in": 0}
SOON, LATER = KILL_LO + 500 * MS, KILL_LO + 900 * MS


def attacked(*told: dict[str, Any], counts: dict[str, Any] | None = COUNTS) -> RunBuilder:
    """The usual run, its fault an attack from outside."""
    plan = plan_for(drill(checks=["attack-repelled"]))
    first = plan.steps[0].model_copy(update={"requires": ("outsiders",), "name": "attack.flood"})
    run = RunBuilder(plan=plan.model_copy(update={"steps": (first, *plan.steps[1:])})).crash()
    for number, one in enumerate(told):
        at = one.get("at", SOON)
        facts = {"seen": at + MS, **one, "at": at}
        run.event(at + 2 * MS + number, "response.fact", step="read", fact="attack-alert", **facts)
    if counts is not None:
        run.event(ZERO + 8 * S, "response.fact", step="read", fact="attack-counts", **counts)
    return run


def judged(folder: Path, run: RunBuilder) -> tuple[Verdict, AttackMeasure, Result]:
    history = evidence.load_history(run.write(folder / "run"))
    measurements = measure(history)
    result = judge(history, measurements, registry)
    verdict = next(v for v in result.verdicts if v.name == "attack-repelled")
    (attack,) = measurements.attacks
    return verdict, attack, result


def test_noticed_turned_away_and_nothing_moved(tmp_path: Path) -> None:
    run = attacked({**BLOCK, "at": LATER}, {**ALERT, "at": SOON}, {**ALERT, "at": LATER + S})
    for outcome in ("blocked: 423 locked", "blocked: 429 too-many", "409 conflict", "unblocked: yes"):
        key = run.operation(
            "load", "transfer", LATER, outcome="fail", posted=False, values={"payer": outcome}
        )
        record = next(r for r in run.records["load"] if r["r"] == "intent" and r["key"] == key)
        done = next(r for r in run.records["load"] if r["r"] == "done" and r["id"] == record["id"])
        done["error"] = outcome
    verdict, attack, result = judged(tmp_path, run)
    assert (verdict.outcome, verdict.details) == ("pass", ())
    assert "100 of 100 requests" in verdict.reason
    assert attack.alerted is not None
    assert attack.blocked is not None
    # From somewhere between the command and the witness, to the feed's own instant.
    assert (attack.alerted.lo, attack.alerted.hi) == (SOON - KILL_HI, SOON - KILL_LO)
    assert (attack.blocked.lo, attack.blocked.hi) == (LATER - KILL_HI, LATER - KILL_LO)
    assert attack.wrongly_blocked == ("blocked: 423 locked", "blocked: 429 too-many")
    assert attack.operations == 2
    rows = {row["clock"]: row for row in result.clocks}
    assert rows["alert: crash"]["after the fault"] == "0.49 – 0.50 s"
    assert rows["alert: crash"]["what"] == "too many"
    assert rows["blocked: crash"]["what"] == (
        "far too many; 80 of 100 requests turned away, 20 log-ins failed, 0 worked"
    )
    assert rows["wrongly blocked"]["what"].startswith("2 customers, 2 operations: ")
    assert rows["money moved"]["what"] == "nothing that no customer asked for"


def test_an_alert_between_two_looks_is_as_early_and_as_late_as_they_are(tmp_path: Path) -> None:
    late = {"at": KILL_LO + 6 * S, "since": KILL_LO + 4 * S}
    verdict, attack, _ = judged(tmp_path, attacked({**ALERT, **late}, {**BLOCK, **late}))
    assert attack.alerted is not None
    assert (attack.alerted.lo, attack.alerted.hi) == (KILL_LO + 4 * S - KILL_HI, 6 * S)
    assert (verdict.outcome, "first alert came within 5s is not known" in verdict.reason) == ("unknown", True)


def test_statuses_of_http_say_that_a_customer_was_turned_away(tmp_path: Path) -> None:
    run = attacked(ALERT, BLOCK)
    for at, status in ((LATER, 429), (LATER, 423), (LATER, 403), (ZERO - S, 429)):
        run.operation(
            "load", "transfer", at, outcome="fail", posted=False, values={"payer": f"{at}/{status}"}
        )
        run.records["load"][-1]["status"] = status
    _, attack, _ = judged(tmp_path, run)
    assert attack.wrongly_blocked == (f"{LATER}/423", f"{LATER}/429")


def test_an_alert_before_the_witness_begins_at_nothing(tmp_path: Path) -> None:
    _, attack, _ = judged(tmp_path, attacked({**ALERT, "at": KILL_LO + MS}, BLOCK))
    assert attack.alerted is not None
    assert (attack.alerted.lo, attack.alerted.hi) == (0, MS)


@pytest.mark.parametrize(
    ("told", "counts", "detail"),
    [
        ((), COUNTS, "crash: no alert"),
        ((ALERT,), COUNTS, "crash: no block"),
        (({**ALERT, "at": KILL_LO + 6 * S}, BLOCK), COUNTS, None),
        (({**ALERT, "at": KILL_LO + 6 * S}, {**BLOCK, "at": KILL_LO + 6 * S}), COUNTS, "later than 5s"),
        (({**ALERT, "at": ZERO - S}, {**BLOCK, "at": ZERO - S}), COUNTS, "crash: no alert"),
        # Alerts about customers are none about the attacker.
        (({**ALERT, "source": "10.0.0.7"}, {**BLOCK, "source": "10.0.0.7"}), COUNTS, "crash: no block"),
        # Nor is what another service says, which was attacked as well and is well guarded.
        (({**ALERT, "service": "web"}, {**BLOCK, "service": "web"}), COUNTS, "crash: no alert"),
        ((ALERT, BLOCK), {**COUNTS, "let_in": 2}, "crash: 2 log-ins from its addresses worked"),
    ],
)
def test_rejected(
    told: tuple[dict[str, Any], ...], counts: dict[str, Any], detail: str | None, tmp_path: Path
) -> None:
    verdict, _, _ = judged(tmp_path, attacked(*told, counts=counts))
    if detail is None:  # a block is an alert as well
        assert verdict.outcome == "pass", verdict.details
    else:
        assert verdict.outcome == "fail"
        assert any(detail in one for one in verdict.details), verdict.details


def test_money_that_nobody_asked_for_is_rejected(tmp_path: Path) -> None:
    run = attacked(ALERT, BLOCK)
    run.postings.append(Posting(900_001, "the-attackers-own", "A1", "B1", 10_000))
    verdict, attack, result = judged(tmp_path, run)
    assert verdict.outcome == "fail"
    assert len(attack.moved) == 1
    assert "the-attackers-own" in verdict.details[0]
    rows = {row["clock"]: row["what"] for row in result.clocks}
    assert rows["money moved"] == "1 transactions that no customer asked for"


def test_money_of_which_nobody_says_where_it_came_from_may_be_the_attackers(tmp_path: Path) -> None:
    run = attacked(ALERT, BLOCK)
    for one in run.postings:
        one.source = None  # a customer asked for it: whose it is needs no telling
    assert judged(tmp_path / "asked", run)[0].outcome == "pass"
    run.postings.append(Posting(900_001, "the-attackers-own", "A1", "B1", 10_000, source=None))
    verdict, attack, result = judged(tmp_path / "unasked", run)
    assert (verdict.outcome, attack.unsaid, attack.moved) == ("unknown", 1, ())
    (moved,) = (row["what"] for row in result.clocks if row["clock"] == "money moved")
    assert (
        moved == "unknown: 1 transactions that no customer asked for do not say that they are no customer's"
    )
    assert "do not say that they are no customer's (`source`)" in verdict.reason


@pytest.mark.parametrize(
    ("customers", "his", "unsaid"),
    [
        ("client", "", 1),
        ("client", " ", 1),
        ("online", "online", 1),  # what that bank calls its customers' own
        ("client", "interest", 0),  # known not to be a customer's
        ("online", "interest", 0),
    ],
)
def test_what_is_marked_as_customers_are_and_nobody_asked_for_may_be_the_attackers(
    customers: str, his: str, unsaid: int, tmp_path: Path
) -> None:
    run = attacked(ALERT, BLOCK)
    for one in run.postings:
        one.source = customers
    run.postings.append(Posting(900_001, "the-attackers-own", "A1", "B1", 10_000, source=his))
    verdict, attack, result = judged(tmp_path, run)
    assert (attack.unsaid, verdict.outcome) == (unsaid, "unknown" if unsaid else "pass")
    (moved,) = (row["what"] for row in result.clocks if row["clock"] == "money moved")
    assert moved.startswith("unknown: 1 transactions" if unsaid else "nothing that no customer")


def test_whom_it_let_in_counts_though_a_later_reading_knows_nothing_of_it(tmp_path: Path) -> None:
    run = attacked(ALERT, BLOCK, counts={**COUNTS, "let_in": 3})
    run.event(ZERO + 9 * S, "response.fact", step="again", fact="attack-counts", **{**COUNTS, "asked": 5})
    verdict, attack, _ = judged(tmp_path, run)
    assert (verdict.outcome, attack.let_in, attack.asked) == ("fail", 3, 100)


@pytest.mark.parametrize(
    ("kind", "data", "outcome"),
    [
        ("service.exit", {"service": "db", "status": -9, "at": LATER}, "unknown"),
        ("service.exit", {"service": "db", "status": -9, "at": KILL_LO - S}, "pass"),
        ("service.exit", {"service": "web", "status": -9, "at": LATER}, "pass"),
        ("response.begin", {"step": "again", "name": "restart-service", "on": ["db"]}, "unknown"),
        ("fault.begin", {"step": "kill", "name": "process.kill", "target": "db", "lo": LATER}, "unknown"),
    ],
)
def test_a_service_that_ended_may_have_forgotten_whom_it_let_in(
    tmp_path: Path, kind: str, data: dict[str, Any], outcome: str
) -> None:
    run = attacked(ALERT, BLOCK)
    run.event(LATER, kind, **data)
    history = evidence.load_history(run.write(tmp_path / "run"))
    verdict = registry.member("checks", "attack-repelled")().judge(history, measure(history))
    assert verdict.outcome == outcome, verdict
    if outcome == "unknown":
        assert "db ended meanwhile" in verdict.reason


def by_source(*asked_and_refused: tuple[int, int]) -> dict[str, dict[str, int]]:
    zero = {"failed": 0, "let_in": 0}
    return {
        f"198.51.100.{n}": {"asked": asked, "refused": refused, **zero}
        for n, (asked, refused) in enumerate(asked_and_refused, 1)
    }


@pytest.mark.parametrize(
    ("at_block", "at_end", "outcome", "words"),
    [
        (by_source((30, 1), (30, 0)), by_source((600, 560), (600, 560)), "pass", ""),
        # One address is blocked, and the other goes on as before.
        (
            by_source((30, 1), (30, 0)),
            by_source((600, 560), (600, 0)),
            "fail",
            "198.51.100.2 asked 570 times",
        ),
        # The block was said, and did not last.
        (by_source((30, 5), (30, 5)), by_source((600, 5), (600, 5)), "fail", "198.51.100.1 asked 570 times"),
        # Too few to tell: such a rate may be one that the service has declared to take.
        (by_source((30, 1), (30, 0)), by_source((600, 560), (49, 0)), "pass", ""),
        # Read once, at the end: the whole attack counts.
        (None, by_source((600, 560), (600, 0)), "fail", "198.51.100.2 asked 600 times"),
        # It began anew, and counts from nothing: what it had counted by then says nothing.
        (by_source((300, 1)), by_source((30, 0), (30, 25)), "fail", "198.51.100.1 asked 30 times"),
    ],
)
def test_an_address_that_goes_on_after_the_block_is_not_turned_away(
    at_block: Any, at_end: Any, outcome: str, words: str, tmp_path: Path
) -> None:
    run = attacked(ALERT, BLOCK, counts={**COUNTS, "sources": at_end})
    if at_block is not None:
        busy = {**COUNTS, "busy": True, "sources": at_block}
        run.event(SOON + 5 * MS, "response.fact", step="read", fact="attack-counts", **busy)
    run.events.sort(key=lambda one: one[0])
    verdict, _, _ = judged(tmp_path, run)
    assert verdict.outcome == outcome, verdict
    assert any(words in one for one in (verdict.reason, *verdict.details)), verdict


def test_what_several_attacks_came_to_is_said_once_of_all(tmp_path: Path) -> None:
    """No customer and no book can tell which of two attacks it was: neither row may look as if it were of one."""
    run = attacked(ALERT, BLOCK)
    crash, *others = run.plan.steps
    second = crash.model_copy(update={"id": "second"})
    run.plan = run.plan.model_copy(update={"steps": (crash, second, *others)})
    about = {"step": "second", "name": "attack.flood", "target": "db"}
    run.event(LATER, "fault.begin", **about, lo=LATER)
    run.event(LATER + MS, "fault.witnessed", **about, hi=LATER + MS, how="seen")
    for at in (SOON, LATER + MS):
        run.operation("load", "transfer", at, outcome="fail", posted=False, values={"payer": f"P{at}"})
        run.records["load"][-1]["status"] = 429
    run.postings.append(Posting(900_001, "the-attackers-own", "A1", "B1", 10_000))
    history = evidence.load_history(run.write(tmp_path / "run"))
    result = judge(history, measure(history), registry)
    told = [(row["clock"], row["what"]) for row in result.clocks]
    assert [what for clock, what in told if clock == "money moved"] == [
        "by all 2 attacks together: 1 transactions that no customer asked for"
    ]
    (blocked,) = (what for clock, what in told if clock == "wrongly blocked")
    assert blocked.startswith("by all 2 attacks together: 2 customers, 2 operations: ")
    verdict = next(v for v in result.verdicts if v.name == "attack-repelled")
    (moved,) = (said for said in verdict.details if "money moved" in said)
    assert moved.startswith("all 2 attacks together: money moved: ")


def test_what_nobody_knows_is_unknown(tmp_path: Path) -> None:
    verdict, attack, result = judged(tmp_path / "unread", attacked(ALERT, BLOCK, counts=None))
    (row,) = (row["what"] for row in result.clocks if row["clock"] == "blocked: crash")
    assert "how many requests is unknown" in row
    assert (verdict.outcome, attack.read) == ("unknown", False)
    assert "was not read until the attack had ended" in verdict.reason
    for number, counts in enumerate(({**COUNTS, "busy": True}, {**COUNTS, "service": "web"})):
        # Read while he went on, or somewhere else: he may have got in since.
        verdict, attack, _ = judged(tmp_path / f"early-{number}", attacked(ALERT, BLOCK, counts=counts))
        assert (verdict.outcome, attack.read) == ("unknown", False)
        assert "was not read until the attack had ended" in verdict.reason
    verdict, _, _ = judged(tmp_path / "words", attacked(ALERT, BLOCK, counts={**COUNTS, "refused": 0}))
    assert verdict.outcome == "unknown"
    assert verdict.reason == "crash: db says that it blocked, and turned away none of 100 requests"
    edge = {"at": KILL_LO + 5 * S + MS}  # within the limit from the witness on, not from the command on
    verdict, _, _ = judged(tmp_path / "edge", attacked({**ALERT, **edge}, {**BLOCK, **edge}))
    assert verdict.outcome == "unknown"
    assert verdict.details == (
        "crash: whether the first alert came within 5s is not known",
        "crash: whether the first block came within 5s is not known",
    )
    run = attacked(ALERT, BLOCK)
    run.members = {}
    verdict, attack, _ = judged(tmp_path / "no-books", run)
    assert (verdict.outcome, attack.books) == ("unknown", False)
    run = attacked(ALERT, BLOCK).without("fault.witnessed")
    verdict, _, _ = judged(tmp_path / "unseen", run)
    assert (verdict.outcome, verdict.exercised) == ("unknown", False)


def test_without_an_attack_there_is_nothing_to_judge(tmp_path: Path) -> None:
    run = RunBuilder(plan=plan_for(drill(checks=["attack-repelled"]))).crash()
    history = evidence.load_history(run.write(tmp_path / "run"))
    measurements = measure(history)
    assert measurements.attacks == ()
    verdict = registry.member("checks", "attack-repelled")().judge(history, measurements)
    assert (verdict.outcome, verdict.exercised) == ("unknown", False)


@pytest.mark.parametrize(
    ("told", "outcome", "words"),
    [
        # After both began, from addresses that both have: nobody knows which of them was noticed.
        ((LATER + S,), "unknown", "of which attack"),
        # The first was turned away, and a service may not say so again of the same address.
        ((SOON,), "unknown", "of which attack"),
        ((SOON, LATER + S), "unknown", "of which attack"),
        ((), "fail", "crash: no alert"),
        # Whichever it is about, it is too late for the first.
        ((KILL_HI + 6 * S,), "fail", "crash: the first alert came later"),
    ],
)
def test_a_word_about_one_of_two_attacks_on_a_service_is_no_word_about_the_other(
    told: tuple[int, ...], outcome: str, words: str, tmp_path: Path
) -> None:
    run = attacked(*({**BLOCK, "at": at} for at in told))
    crash, *others = run.plan.steps
    second = crash.model_copy(update={"id": "second"})
    run.plan = run.plan.model_copy(update={"steps": (crash, second, *others)})
    about = {"step": "second", "name": "attack.injection", "target": "db"}
    run.event(LATER, "fault.begin", **about, lo=LATER)
    run.event(LATER + MS, "fault.witnessed", **about, hi=LATER + MS, how="seen")
    history = evidence.load_history(run.write(tmp_path / "run"))
    verdict = registry.member("checks", "attack-repelled")().judge(history, measure(history))
    assert verdict.outcome == outcome, verdict
    assert any(words in one for one in (verdict.reason, *verdict.details)), verdict


def of_three(**of: dict[str, int]) -> dict[str, Any]:
    """Counts of a run in which each kind of attack has addresses of its own."""
    zero = dict.fromkeys(("asked", "refused", "failed", "let_in"), 0)
    sources = {f"{NETWORKS[f'attack.{kind}']}1": {**zero, **counts} for kind, counts in of.items()}
    together = {name: sum(counts[name] for counts in sources.values()) for name in zero}
    return {"service": "db", "busy": False, **together, "sources": sources, "networks": NETWORKS}


FLOOD, INJECTION = (f"{NETWORKS[f'attack.{kind}']}1" for kind in ("flood", "injection"))
BOTH = of_three(flood={"asked": 300, "refused": 290}, injection={"asked": 10, "failed": 8, "refused": 2})


@pytest.mark.parametrize(
    ("told", "counts", "outcome", "words"),
    [
        (((FLOOD, SOON), (INJECTION, LATER + S)), BOTH, "pass", "300 of 310 requests"),
        # About both at one time: each by its own address.
        (((FLOOD, LATER + S), (INJECTION, LATER + S)), BOTH, "pass", ""),
        # What was done about the first may have been enough for the second, and the other way round.
        (((FLOOD, SOON),), BOTH, "unknown", "second: there was no alert about it"),
        (((INJECTION, LATER + S),), BOTH, "unknown", "crash: there was no alert about it"),
        ((), BOTH, "fail", "crash: no alert"),
        (((INJECTION, KILL_HI + 7 * S),), BOTH, "fail", "crash: no alert"),
        # Whom it let in is told of the one that was let in.
        (
            ((FLOOD, SOON), (INJECTION, LATER + S)),
            of_three(flood={"asked": 300, "refused": 290}, injection={"asked": 10, "let_in": 1}),
            "fail",
            "second: 1 log-ins from its addresses worked",
        ),
        # Nothing of the second was turned away: what was of the first says nothing of it.
        (
            ((FLOOD, SOON), (INJECTION, LATER + S)),
            of_three(flood={"asked": 300, "refused": 290}, injection={"asked": 10}),
            "unknown",
            "second: db says that it blocked, and turned away none of 10",
        ),
    ],
)
def test_two_kinds_of_attack_on_a_service_are_told_apart_by_their_addresses(
    told: tuple[tuple[str, int], ...], counts: dict[str, Any], outcome: str, words: str, tmp_path: Path
) -> None:
    run = attacked(*({**BLOCK, "at": at, "source": source} for source, at in told), counts=counts)
    crash, *others = run.plan.steps
    second = crash.model_copy(update={"id": "second", "name": "attack.injection"})
    run.plan = run.plan.model_copy(update={"steps": (crash, second, *others)})
    for _, kind, data in run.events:
        if kind == "fault.begin":
            data["name"] = "attack.flood"
    about = {"step": "second", "name": "attack.injection", "target": "db"}
    run.event(LATER, "fault.begin", **about, lo=LATER)
    run.event(LATER + MS, "fault.witnessed", **about, hi=LATER + MS, how="seen")
    history = evidence.load_history(run.write(tmp_path / "run"))
    verdict = registry.member("checks", "attack-repelled")().judge(history, measure(history))
    assert verdict.outcome == outcome, verdict
    assert any(words in one for one in (verdict.reason, *verdict.details)), verdict


def test_two_of_one_kind_have_the_same_addresses_and_cannot_be_told_apart(tmp_path: Path) -> None:
    run = attacked({**BLOCK, "source": FLOOD}, counts=BOTH)
    crash, *others = run.plan.steps
    run.plan = run.plan.model_copy(
        update={"steps": (crash, crash.model_copy(update={"id": "again"}), *others)}
    )
    for _, kind, data in run.events:
        if kind == "fault.begin":
            data["name"] = "attack.flood"
    about = {"step": "again", "name": "attack.flood", "target": "db"}
    run.event(LATER, "fault.begin", **about, lo=LATER)
    run.event(LATER + MS, "fault.witnessed", **about, hi=LATER + MS, how="seen")
    history = evidence.load_history(run.write(tmp_path / "run"))
    verdict = registry.member("checks", "attack-repelled")().judge(history, measure(history))
    assert (verdict.outcome, "of which attack" in verdict.reason) == ("unknown", True), verdict
