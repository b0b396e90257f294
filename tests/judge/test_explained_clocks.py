"""Every row among the clocks can be explained, and the bounds on its paper are those that the scorecard shows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import get_args

import pytest

from chaoskit import evidence, registry
from chaoskit.errors import InputError
from chaoskit.judge import judge
from chaoskit.judge.clock_row import ClockRow, Kind, row_name
from chaoskit.judge.clocks import clock_rows
from chaoskit.judge.explanation import explain, names
from chaoskit.judge.paper import Paper
from chaoskit.judge.wording import bounds
from chaoskit.metrics import measure
from chaoskit.model.measurement import Interval
from tests.checks.test_attack_repelled import ALERT, BLOCK, LATER, attacked
from tests.checks.test_warned_before_failure import watched
from tests.histories.builder import (
    BACK,
    KILL_HI,
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
from tests.histories.destroyed import destroyed
from tests.judge.test_decisions import ALERT as DETECTED
from tests.judge.test_decisions import decided
from tests.metrics import test_roll_outs as roll_outs
from tests.metrics.test_stand_in import a_run, promise, replayed


def suspects() -> RunBuilder:
    run = RunBuilder().crash()
    for number, suspect in enumerate(("ledger", "db")):
        at = ZERO + (900 + number) * MS
        run.event(at, "response.fact", step="look", fact="suspect", suspect=suspect, evidence=["refused"])
    return run


def nobody_alerted() -> RunBuilder:
    return suspects().without("detect.alert")


def told() -> RunBuilder:
    run = RunBuilder().crash()
    about = {"fact": "notice", "text": "transfer and balance: back in 10s", "back_in": "10s"}
    for number, channel in enumerate(("app", "branch screens")):
        at = ZERO + (900 + 100 * number) * MS
        told = {**about, "channel": channel, "delivered": at, "expected": ZERO + 10 * S}
        run.event(ZERO + 2 * S, "response.fact", step="tell", **told)
    return run


def besieged() -> RunBuilder:
    run = attacked({**ALERT, "since": ZERO - S}, {**BLOCK, "at": LATER})
    run.operation(
        "load", "transfer", LATER, outcome="fail", posted=False, key="turned", values={"payer": "P"}
    )
    run.records["load"][-1]["status"] = 429
    run.postings.append(Posting(900_001, "the-attackers-own", "A1", "B1", 10_000))
    return run


def agreed() -> RunBuilder:
    minimum = {"journeys": ["transfer", "balance"], "share": "80%", "for": "3s"}
    return RunBuilder(plan=plan_for(drill(), {**SYSTEM, "minimum-service": minimum})).crash()


def redundant() -> RunBuilder:
    asked = drill(objectives={"transfer": {"rto": "30s"}, "redundancy-restored": {"rto": "10s"}})
    run = RunBuilder(plan=plan_for(asked)).crash()
    for at in range(ZERO - 2 * S, ZERO + 10 * S, 250 * MS):
        gone = KILL_HI <= at < ZERO + 5 * S
        about = {"role": "database", "asked": at, "answered": at + 20 * MS, "seen": True}
        place = {"writer": "standby", "position": 1_000, "replayed": None if gone else 1_000}
        run.event(at + 20 * MS, "redundancy.look", **about, **place)
    switched = {"service": "standby", "follows": "db", "paused_ms": 12.5}
    run.event(ZERO + 8 * S, "response.fact", step="switch back", fact="switched", **switched)
    return run


def taken_back() -> RunBuilder:
    run = roll_outs.built()
    run.crash()
    for number, (fact, data) in enumerate((roll_outs.CODE, roll_outs.DATA)):
        run.event(roll_outs.HALTED + S + number, "response.fact", fact=fact, **data)
    return run


def kept() -> RunBuilder:
    run = a_run()
    promise(run, "p0")
    replayed(run)
    run.usual_events()
    return run


def modelled() -> RunBuilder:
    about = {"takes_ns": 120 * S, "slept_ns": 0, "who": None}
    return decided("decision.end", DETECTED + 5 * MS, asked=False, **about)


def before_the_fault() -> RunBuilder:
    return watched(above=KILL_LO - MS, below=KILL_LO - 2 * MS)


HISTORIES: dict[str, Callable[[], RunBuilder]] = {
    "suspects": suspects,
    "nobody alerted": nobody_alerted,
    "told": told,
    "attacked": besieged,
    "not noticed": attacked,
    "minimum": agreed,
    "redundancy": redundant,
    "warned": watched,
    "never past the mark": lambda: watched(above=None),
    "past it before the fault": before_the_fault,
    "taken back": taken_back,
    "stopped": roll_outs.built,
    "stand-in": kept,
    "decided": modelled,
    "refused": lambda: decided("decision.refused", DETECTED + S, drop=True, who="Kim"),
    "missed": lambda: decided("decision.missed", DETECTED + 5 * S, drop=True, reason="nobody answered"),
    "data destroyed": destroyed,
    "data destroyed, and no look": lambda: destroyed().without("collect.snapshot"),
}
"""Together they have every kind of row; whoever adds a kind adds a history."""


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Paper]:
    found = {}
    for name, build in HISTORIES.items():
        run = build()
        run.events.sort(key=lambda one: one[0])
        history = evidence.load_history(run.write(tmp_path_factory.mktemp("history") / "run"))
        measurements = measure(history)
        found[name] = Paper(history, measurements, judge(history, measurements, registry))
    return found


def rows(papers: dict[str, Paper]) -> Iterator[tuple[Paper, ClockRow]]:
    return ((paper, row) for paper in papers.values() for row in clock_rows(paper.measurements))


def test_the_histories_have_every_kind_of_row(papers: dict[str, Paper]) -> None:
    assert {row.kind for _, row in rows(papers)} == set(get_args(Kind))


def test_every_row_is_explained_by_its_name_and_by_its_own_text(papers: dict[str, Paper]) -> None:
    seen = 0
    for paper in papers.values():
        for shown in paper.result.clocks:
            name, after = row_name(shown["clock"]), shown["after the fault"]
            assert name in names(paper)
            assert " " not in name
            text = explain(paper, name)
            assert explain(paper, shown["clock"]) == text
            assert f"{name}: {after}\n" in text
            assert f"  {shown['what']}\n" in text
            assert "NOT ADD UP" not in text, text
            seen += 1
    assert seen > 20


def test_every_interval_is_an_event_less_the_fault_or_a_number_that_is_explained(
    papers: dict[str, Paper],
) -> None:
    for paper, row in rows(papers):
        text = explain(paper, row.name)
        for number in (*row.events, *([row.until] if row.until is not None else [])):
            assert f"event {number} at " in text
        if row.same:
            assert text.partition("is explained below")[2].count("\n") > 1, row
        elif row.after is not None:
            assert row.since is not None
            assert f"f_lo {paper.at(row.since.lo)}" in text
            assert f"rounded outward to 10 ms: {bounds(row.after)}" in text
            assert "upper bound = " in text


def test_a_decision_says_what_people_add(papers: dict[str, Paper]) -> None:
    paper = papers["decided"]
    text = explain(paper, "decided: promote")
    lower, upper = DETECTED + 5 * MS - KILL_HI, DETECTED + 5 * MS - KILL_LO
    assert f"lower bound = 0.705000 s − f_hi 0.003000 s = {lower / 1e9:g} s" in text
    assert f"upper bound = 0.705000 s − f_lo 0.001000 s = {upper / 1e9:g} s" in text
    assert "process.kill on db" in text
    assert "2m of it are modelled and were not waited for" in text
    assert "transfer + 2m" in text
    assert explain(paper, "decided.promote") == explain(paper, "decided:promote") == text


def test_a_notice_is_dated_by_the_inbox_and_its_announcement_is_compared_on_paper(
    papers: dict[str, Paper],
) -> None:
    text = explain(papers["told"], "told: branch screens")
    assert "delivered 1.000000 s, expected 10.000000 s" in text
    assert "its instant: 1.000000 s" in text
    late, rta = (
        papers["told"].measurements.notices[0].late,
        papers["told"].measurements.journeys["transfer"].rta,
    )
    assert f"how wrong, {bounds(late)}: " in text
    assert f"(transfer {bounds(rta)}, balance " in text
    assert explain(papers["told"], "told.branch-screens") == text


def test_what_an_attack_came_to_names_the_operations_and_the_transactions(papers: dict[str, Paper]) -> None:
    paper = papers["attacked"]
    assert "operation turned: transfer, asked for at 0.901000 s: fail, 429" in explain(
        paper, "wrongly blocked"
    )
    assert "key the-attackers-own, which nobody sent" in explain(paper, "money moved")
    assert "its instant: between -1.000000 s and 0.501000 s" in explain(paper, "alert.crash")


def test_a_number_that_was_tampered_with_does_not_add_up(papers: dict[str, Paper]) -> None:
    paper = papers["decided"]
    shown = ({**paper.result.clocks[0], "after the fault": "0.10 – 0.20 s"},)
    printed = replace(paper, result=paper.result.model_copy(update={"clocks": shown}))
    text = explain(printed, "decided.promote")
    assert "the scorecard shows 0.10 – 0.20 s" in text
    assert "DOES NOT ADD UP" in text
    invented = ({"clock": "told: radio", "after the fault": "0.10 – 0.20 s", "what": ""},)
    printed = replace(paper, result=paper.result.model_copy(update={"clocks": invented}))
    assert "told.radio" in names(printed)
    text = explain(printed, "told: radio")
    assert "the history gives no such row" in text
    assert "DOES NOT ADD UP" in text
    (one,) = paper.measurements.decisions
    forged = one.model_copy(update={"after": Interval(lo=0, hi=BACK - ZERO)})
    measured = paper.measurements.model_copy(update={"decisions": (forged,)})
    assert "DOES NOT ADD UP with" in explain(replace(paper, measurements=measured), "decided.promote")


def test_a_row_that_names_nothing_it_was_made_from_is_refused() -> None:
    with pytest.raises(ValueError, match="does not say what it is made from"):
        ClockRow("money moved", "", "nothing")
    with pytest.raises(ValueError, match="does not say what it is made from"):
        ClockRow("decided", "promote", "somebody", after=Interval(lo=1, hi=2), events=(3,))


def test_an_unknown_row_lists_those_that_there_are(papers: dict[str, Paper]) -> None:
    with pytest.raises(InputError, match=r"'decided: rejoin'.*there are: .*decided\.promote"):
        explain(papers["decided"], "decided: rejoin")


def test_who_was_good_again_last_is_told_by_the_clock_and_not_by_the_longest_outage(
    papers: dict[str, Paper],
) -> None:
    """Two faults: the first one's outage is longer, the second one's ends later."""
    measured = papers["suspects"].measurements
    started = measured.clocks.started
    assert started is not None
    assert started.hi is not None
    later = Interval(lo=started.lo + 60 * S, hi=started.hi + 60 * S)
    journeys = dict(measured.journeys)
    update = {"rta": Interval(lo=S, hi=2 * S), "clock": later, "started_by": ("second",)}
    journeys["balance"] = journeys["balance"].model_copy(update=update)
    rows = clock_rows(measured.model_copy(update={"journeys": journeys}))
    row = next(one for one in rows if one.kind == "repaired")
    assert row.what == "balance was good again last, counted from a later fault (second)"
    assert (row.same, row.cell) == ("balance.rta", "1.00 – 2.00 s")
