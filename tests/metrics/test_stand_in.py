"""What was accepted to be done later: minimum service, never full; kept, double-spent, forgotten or over the limit."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaoskit import registry
from chaoskit.evidence import load_history
from chaoskit.judge.judge import judge
from chaoskit.judge.objectives import judge_objectives
from chaoskit.judge.stand_in import in_words, row
from chaoskit.metrics import measure
from chaoskit.model.measurement import LossMeasure, LostOperation, Measurements, StandInMeasure
from chaoskit.model.verdict import Result, Verdict
from tests.histories.builder import (
    BACK,
    END,
    KILL_LO,
    MS,
    PERIOD,
    SYSTEM,
    ZERO,
    RunBuilder,
    S,
    drill,
    plan_for,
)

REPLAY = BACK + 3 * S
TRANSFER = {
    **SYSTEM["journeys"]["transfer"],
    "parties": {"from": "payer", "to": "payee"},
    "accepted": {"status": [202], "limit": "3.00 CNY", "replay": "ledger/replay"},
}
BALANCE = {**SYSTEM["journeys"]["balance"], "read": {"value": "v", "position": "p", "age": "a"}}
CHECKS = ("nothing-lost", "nothing-doubled", "keys-are-bound", "stand-in-within-limit")


def a_run(limit: str | None = "3.00 CNY") -> RunBuilder:
    """The usual crash; whoever pays meanwhile is only promised it from a second after the kill on."""
    accepted = {"status": [202], "replay": "ledger/replay"} | ({"limit": limit} if limit else {})
    journeys = {"transfer": {**TRANSFER, "accepted": accepted}, "balance": BALANCE}
    asked = drill(checks=list(CHECKS))
    made = RunBuilder(plan=plan_for(asked, {**SYSTEM, "journeys": journeys}))
    made.operation("prober", "transfer", ZERO - S)
    made.operation("load", "transfer", ZERO - S, key="twice")
    made.operation("load", "transfer", ZERO - S + 50 * MS, key="twice", attempt=2, tap=True)
    return made


def promise(made: RunBuilder, key: str, booked: bool = True, payer: str = "A0", amount: int = 100) -> str:
    values = {"payer": payer, "payee": "B0"}
    made._parties[key] = (payer, "B0")
    at = ZERO + S + 10 * MS * len(made.postings)
    return made.operation(
        "load", "transfer", at, outcome="accepted", key=key, posted=booked, values=values, amount=amount
    )


def replayed(made: RunBuilder, *double_spent: str, at: int = REPLAY, **lists: list[str]) -> RunBuilder:
    facts = {"step": "replay", "fact": "stand-in-replayed", "journey": "transfer"}
    made.event(at, "response.fact", **facts, **{"double-spent": list(double_spent)}, **lists)
    return made


def poor(made: RunBuilder, payer: str, opening: int) -> None:
    """The payer opened with so little; his balance is what that makes with the entries."""
    made.balances = made.stored(made.legs())
    for row_ in made.balances:
        if row_["account"] == payer:
            row_["balance"] += opening - row_["opening"]
            row_["opening"] = opening


def measured(made: RunBuilder, folder: Path) -> tuple[Measurements, Result, dict[str, Verdict]]:
    made.usual_events()
    history = load_history(made.write(folder / "run"))
    assert history.problems == ()
    found = measure(history)
    checks = {name: registry.member("checks", name)().judge(history, found) for name in CHECKS}
    return found, judge(history, found, registry), checks


def stood(found: Measurements) -> StandInMeasure:
    return found.stand_ins["transfer"]


def test_a_promise_that_is_booked_is_kept(tmp_path: Path) -> None:
    made = a_run()
    for number in range(3):
        promise(made, f"p{number}")
    found, result, checks = measured(replayed(made), tmp_path)
    one = stood(found)
    assert (one.accepted, one.booked, one.amount, one.limit) == (3, 3, {"CNY": 300}, 300)
    assert (one.double_spent, one.unbooked, one.over_limit, one.healed) == ((), (), (), ())
    assert one.replayed is not None
    assert one.replayed.lo <= REPLAY - KILL_LO <= (one.replayed.hi or 0)
    assert checks["nothing-lost"].outcome == checks["stand-in-within-limit"].outcome == "pass"
    assert "3 were accepted to be done later" in checks["nothing-lost"].reason
    assert row(one, found.clocks.started).cells in result.clocks
    assert "3 accepted (3.00 CNY): 3 booked" in in_words(one)


def test_a_promise_that_nobody_booked_is_lost(tmp_path: Path) -> None:
    made = a_run()
    promise(made, "kept")
    promise(made, "forgotten", booked=False)
    found, result, checks = measured(replayed(made), tmp_path)
    assert [p.key for p in stood(found).unbooked] == ["forgotten"]
    assert checks["nothing-lost"].outcome == "fail"
    assert checks["nothing-lost"].details == ("not booked: forgotten transfer 1.00 CNY",)
    lost = next(one for one in result.verdicts if one.name == "transfer.lost")
    assert lost.measured == "1"
    assert "1 of 2 that were accepted to be done later not booked" in lost.reason
    assert next(r for r in result.scorecard if r["journey"] == "transfer")["lost"] == "1"


def test_no_recovery_point_covers_a_promise_that_nobody_booked(tmp_path: Path) -> None:
    for booked in (False, True):
        made = a_run()
        promise(made, "kept")
        promise(made, "forgotten", booked=booked)
        found, _, _ = measured(replayed(made), tmp_path / str(booked))
        (rpo,) = judge_objectives(drill(objectives={"transfer": {"rpo": "1m"}}), made.plan, found)
        assert (rpo.name, rpo.outcome) == ("transfer.rpo", "pass" if booked else "fail"), rpo


def test_a_promise_is_double_spent_in_books_that_name_no_currency_as_in_others(tmp_path: Path) -> None:
    for number, opening in enumerate((50, 10**6)):
        made = a_run()
        promise(made, "spent", booked=False)
        poor(made, "A0", opening)
        assert made.balances is not None
        made.entries = [{**one, "currency": None} for one in made.legs()]
        made.balances = [{**one, "currency": None} for one in made.balances]
        for one in made.postings:
            one.currency = None  # type: ignore[assignment]
        found, _, checks = measured(replayed(made, "spent"), tmp_path / str(number))
        assert [p.key for p in stood(found).double_spent] == ["spent"][number:]
        assert checks["nothing-lost"].outcome == ("pass", "fail")[number]


def test_what_was_promised_and_then_acknowledged_is_lost_once(tmp_path: Path) -> None:
    """The customer asked again under the same key once the ledger was back, and had his answer before it was gone."""
    made = a_run()
    promise(made, "kept")
    promise(made, "both", booked=False)
    made.operation(
        "load",
        "transfer",
        BACK + S,
        key="both",
        attempt=2,
        posted=False,
        values={"payer": "A0", "payee": "B0"},
    )
    found, result, checks = measured(replayed(made), tmp_path)
    assert [o.key for o in found.losses["ledger"].lost] == ["both"]
    assert [p.key for p in stood(found).unbooked] == ["both"]
    lost = next(one for one in result.verdicts if one.name == "transfer.lost")
    assert (lost.measured, len(lost.details)) == ("1", 1)
    assert "0 of 2 that were accepted to be done later not booked" in lost.reason
    assert checks["nothing-lost"].details[0] == "lost: both transfer 1.00 CNY"
    assert not any(said.startswith("not booked") for said in checks["nothing-lost"].details)


def test_without_a_replay_every_promise_is_open(tmp_path: Path) -> None:
    made = a_run()
    promise(made, "open", booked=False)
    found, _, checks = measured(made, tmp_path)
    assert stood(found).replayed is None
    assert "never replayed" in in_words(stood(found))
    assert checks["nothing-lost"].outcome == "fail"


def test_what_is_no_longer_covered_is_counted_and_is_no_loss(tmp_path: Path) -> None:
    made = a_run()
    promise(made, "covered")
    promise(made, "spent", booked=False, amount=120)
    poor(made, "A0", 200)
    found, _, checks = measured(replayed(made, "spent"), tmp_path)
    one = stood(found)
    assert [(p.key, p.amount) for p in one.double_spent] == [("spent", 120)]
    assert (one.booked, one.unbooked) == (1, ())
    assert checks["nothing-lost"].outcome == "pass"
    verdict = checks["stand-in-within-limit"]
    assert (verdict.outcome, verdict.details) == ("pass", ("double-spent: spent transfer 1.20 CNY",))
    assert "1 double-spent (1.20 CNY)" in in_words(one)


def test_an_excuse_that_the_books_contradict_is_none(tmp_path: Path) -> None:
    made = a_run()
    promise(made, "covered")
    promise(made, "excused", booked=False)
    found, _, checks = measured(replayed(made, "excused", "covered"), tmp_path)
    one = stood(found)
    assert (one.double_spent, [p.key for p in one.unbooked]) == ((), ["excused"])
    assert one.booked == 1, "whatever the list says of it"
    assert checks["nothing-lost"].outcome == "fail"


@pytest.mark.parametrize("without", ["parties", "account"])
def test_an_excuse_that_nobody_can_check_is_none(without: str, tmp_path: Path) -> None:
    made = a_run(limit=None)
    if without == "parties":
        journeys = {"transfer": {**TRANSFER, "accepted": {"status": [202], "replay": "ledger/replay"}}}
        del journeys["transfer"]["parties"]
        made.plan = plan_for(
            drill(checks=list(CHECKS)), {**SYSTEM, "journeys": {**journeys, "balance": BALANCE}}
        )
    promise(made, "excused", booked=False, payer="A0" if without == "parties" else "nobody")
    found, _, checks = measured(replayed(made, "excused"), tmp_path)
    assert stood(found).double_spent == ()
    assert [p.least for p in stood(found).unbooked] == [None]
    assert checks["nothing-lost"].outcome == "fail"


@pytest.mark.parametrize(("wages_at", "excused"), [(ZERO - S, False), (ZERO + 5 * S, True)])
def test_that_the_payer_was_poor_once_excuses_nothing_later(
    wages_at: int, excused: bool, tmp_path: Path
) -> None:
    """He opened with nothing and was paid 9.00: before his payment was promised, or only after that."""
    made = a_run()
    made._parties["wages"] = ("A1", "A9")
    made.operation(
        "load", "transfer", wages_at, key="wages", amount=900, values={"payer": "A1", "payee": "A9"}
    )
    promise(made, "booked", payer="A9", amount=1)
    promise(made, "open", payer="A9", booked=False)
    poor(made, "A9", 0)
    found, _, checks = measured(replayed(made, "open", booked=["booked"]), tmp_path)
    one = stood(found)
    (judged,) = (*one.double_spent, *one.unbooked)
    assert (judged.key, judged.least, judged in one.double_spent) == ("open", 0 if excused else 899, excused)
    assert checks["nothing-lost"].outcome == ("pass" if excused else "fail")


def test_promises_alone_can_be_forgotten(tmp_path: Path) -> None:
    loss = LossMeasure(books="ledger", survivor="standby", acknowledged=0, lost=())
    forgotten = LostOperation(key="p", journey="transfer", amount=1, currency="CNY", sent=1, done=2)
    made = a_run()
    made.usual_events()
    history = load_history(made.write(tmp_path / "run"))
    check = registry.member("checks", "nothing-lost")()
    for unbooked, outcome in (((), "unknown"), ((forgotten,), "fail")):
        found = measure(history).model_copy(
            update={"losses": {"ledger": loss.model_copy(update={"unbooked": unbooked})}}
        )
        assert check.judge(history, found).outcome == outcome


def test_money_that_was_kept_back_for_another_payment_was_not_there_either(tmp_path: Path) -> None:
    made = a_run()
    promise(made, "excused", booked=False)
    other = made.operation("load", "transfer", ZERO + S, outcome="unknown", posted=False, key="other")
    payer = made._parties[other][0]
    made.records["load"][-2]["values"]["payer"] = payer = "A0"
    poor(made, payer, 150)
    made.holds.append({"hold_id": 1, "key": other, "state": "expired", "amount": 100, "currency": "CNY"})
    found, _, _ = measured(replayed(made, "excused"), tmp_path)
    assert [p.key for p in stood(found).double_spent] == ["excused"]


@pytest.mark.parametrize(
    ("per_customer", "over"),
    [
        ([("A0", 300)], []),
        ([("A0", 200), ("A1", 200), ("A2", 200)], []),
        ([("A0", 200), ("A0", 101)], [("p1", 301, 1)]),
        ([("A0", 301), ("A0", 100)], [("p0", 301, 1), ("p1", 401, 100)]),
    ],
)
def test_each_customer_has_a_limit(
    per_customer: list[tuple[str, int]], over: list[tuple[str, int, int]], tmp_path: Path
) -> None:
    made = a_run()
    for number, (payer, amount) in enumerate(per_customer):
        promise(made, f"p{number}", payer=payer, amount=amount)
    found, _, checks = measured(replayed(made), tmp_path)
    assert [(o.key, o.promised, o.over) for o in stood(found).over_limit] == over
    verdict = checks["stand-in-within-limit"]
    assert verdict.outcome == ("fail" if over else "pass")
    assert [detail.split()[3] for detail in verdict.details] == [key for key, _, _ in over]


@pytest.mark.parametrize("settled", [True, False])
def test_a_replay_gives_back_the_limit_of_what_it_settled(settled: bool, tmp_path: Path) -> None:
    made = a_run()
    promise(made, "before", amount=200)
    replayed(made, at=ZERO + S + 500 * MS, booked=["before"] if settled else [])
    made.operation(
        "load",
        "transfer",
        ZERO + 2 * S,
        outcome="accepted",
        key="after",
        posted=True,
        amount=200,
        values={"payer": "A0", "payee": "B0"},
    )
    found, _, _ = measured(replayed(made), tmp_path)
    assert stood(found).accepted == 2
    assert [(o.key, o.promised) for o in stood(found).over_limit] == ([] if settled else [("after", 400)])


def test_a_loss_that_the_replay_healed_is_told(tmp_path: Path) -> None:
    made = a_run()
    key = made.operation("load", "transfer", ZERO - 100 * MS, key="healed", posted=True)
    promise(made, "p")
    found, _, _ = measured(replayed(made, booked=["healed", "p"]), tmp_path)
    assert stood(found).healed == (key,)
    assert "1 had been acknowledged before, lost, and are back by it" in in_words(stood(found))


def test_a_used_key_that_is_promised_for_another_payment_is_caught(tmp_path: Path) -> None:
    made = a_run()
    promise(made, "p")
    made.operation(
        "load",
        "transfer",
        ZERO + S,
        key="twice",
        attempt=3,
        tap=True,
        other=True,
        outcome="accepted",
        amount=7,
    )
    found, _, checks = measured(replayed(made), tmp_path)
    assert stood(found).accepted == 1
    assert checks["keys-are-bound"].outcome == "fail"
    assert "acknowledged again for another payload" in checks["keys-are-bound"].details[0]


def test_without_promises_or_a_limit_nothing_was_exercised(tmp_path: Path) -> None:
    for number, made in enumerate((a_run(), a_run(limit=None))):
        if number:
            promise(made, "p")
        found, _, checks = measured(replayed(made), tmp_path / str(number))
        verdict = checks["stand-in-within-limit"]
        assert (verdict.outcome, verdict.exercised) == ("unknown", False)
        assert bool(found.stand_ins) is bool(number)


def test_without_a_surviving_ledger_nobody_knows(tmp_path: Path) -> None:
    made = a_run()
    promise(made, "p")
    made.members["standby"]["writable"] = False
    _, _, checks = measured(replayed(made), tmp_path)
    assert checks["stand-in-within-limit"].outcome == "unknown"
    assert checks["nothing-lost"].outcome == "unknown"


@pytest.mark.parametrize("how", ["promised", "old"])
def test_it_is_minimum_service_and_not_full(how: str, tmp_path: Path) -> None:
    made = a_run(limit=None)
    journey = "transfer" if how == "promised" else "balance"

    def each(source: str, every: int, shift: int) -> None:
        for at in range(ZERO - 6 * S + shift, END, every):
            if not KILL_LO <= at < BACK:
                made.operation(source, journey, at, read={"value": "1.00", "position": 0})
            elif at < KILL_LO + S:
                made.operation(source, journey, at, outcome="unknown", took=1_200 * MS)
            elif how == "promised":
                made.operation(source, journey, at, outcome="accepted", posted=True)
            else:
                made.operation(source, journey, at, read={"value": "1.00", "position": 0, "age": 9.5})

    each("load", 50 * MS, 0)
    each("prober", PERIOD, 7 * MS)
    found, _, _ = measured(replayed(made), tmp_path)
    one = found.journeys[journey]
    assert one.rta is not None
    assert one.minimum_service is not None
    assert one.rta.lo > 4 * S, "until it is done, and not only promised; fresh, and not only told to be old"
    assert one.minimum_service.hi is not None
    assert one.minimum_service.hi < 2 * S
    assert one.accepted == (63 if how == "promised" else 0)
    assert one.good < one.scheduled - 60


@pytest.mark.parametrize(
    ("fields", "unknown", "told"),
    [
        ({"v": ZERO - S, "stale": KILL_LO + S}, True, True),
        ({"v": ZERO - S, "p": ZERO - S}, False, True),
        ({"v": ZERO - S, "a": ZERO - S}, False, False),
        ({}, False, False),
    ],
    ids=[
        "a field that only answers after the fault have",
        "the same fields all along",
        "an age that is 0",
        "not told",
    ],
)
def test_an_age_that_no_answer_has_is_told(
    fields: dict[str, int], unknown: bool, told: bool, tmp_path: Path
) -> None:
    """`read: age` names "a". An answer that says its age by another name is taken for a new one."""
    asked = {"balance": {"rto": "30s", "success": "10%"}, "transfer": {"success": "100%"}}
    plan = plan_for(
        drill(objectives=asked), {**SYSTEM, "journeys": {**SYSTEM["journeys"], "balance": BALANCE}}
    )
    made = RunBuilder(plan=plan, fields={"balance": fields}).crash()
    history = load_history(made.write(tmp_path / "run"))
    result = judge(history, measure(history), registry)
    (rto,) = (one for one in result.verdicts if one.name == "balance.rto")
    assert ("answers had 'stale', which none had before" in rto.reason) is unknown
    assert rto.outcome == ("unknown" if unknown else "pass")
    findings = [
        one for one in result.findings if "no answer had the field that `read: age` names" in one.title
    ]
    assert bool(findings) is told
    (success,) = (one for one in result.verdicts if one.name == "balance.success")
    assert success.outcome == ("unknown" if unknown else "pass"), success.reason
    assert ("'stale', which none had before" in success.reason) is unknown
    (missed,) = (one for one in result.verdicts if one.name == "transfer.success")
    assert missed.outcome == "fail"
    assert not told or f"Answers had: {', '.join(sorted(fields))}." in findings[0].detail


def test_hostile_lists_are_no_lists(tmp_path: Path) -> None:
    made = a_run()
    promise(made, "p", booked=False)
    facts = {"step": "replay", "fact": "stand-in-replayed", "journey": "transfer"}
    made.event(REPLAY, "response.fact", **facts, **{"double-spent": 7, "booked": "p"})
    found, _, _ = measured(made, tmp_path)
    assert [p.key for p in stood(found).unbooked] == ["p"]
