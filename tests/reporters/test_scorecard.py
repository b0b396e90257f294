"""The scorecard, read as a person reads it: golden texts, and what hostile or endless input does to them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from chaoskit.model.verdict import Finding, Result, Verdict
from chaoskit.reporters.scorecard import Scorecard

GOLDEN = Path(__file__).parents[1] / "golden" / "scorecard"


def row(journey: str, rta: str, verdict: str, **more: str) -> dict[str, Any]:
    cells = {"good": "97.31 %", "RTA (bounds)": rta, "RTO": "5m", "lost": "0", "in doubt": "0", **more}
    return {"journey": journey, **cells, "verdict": verdict}


def result(outcome: Any = "pass", **fields: Any) -> Result:
    values: dict[str, Any] = {
        "run": "2026-11-23T0931-ledger-primary-crash",
        "drill": "ledger-primary-crash",
        "title": "The ledger's primary database dies at lunchtime",
        "outcome": outcome,
        "expected": "pass",
        "as_expected": outcome == "pass",
        "exit_code": 0,
        "reason": "",
        "verdicts": (),
        "scorecard": (),
    }
    return Result(**(values | fields))


def a_pass() -> Result:
    return result(
        reason="all 2 objectives and checks are met",
        scorecard=(
            row("transfer", "4.18 – 4.29 s", "pass"),
            row("balance", "3.97 – 4.08 s", "pass", RTO="3m", lost="–", good="98.02 %", **{"in doubt": "–"}),
        ),
        machine_s=(4.18, 4.29),
        modelled_s=120.0,
        verdicts=(
            Verdict(
                name="transfer.rto",
                outcome="pass",
                reason="recovered after 124.18 – 124.29 s (machine 4.18 – 4.29 s and people 2m modelled)",
                events=(13, 16),
            ),
            Verdict(name="books-balance", outcome="pass", reason="1012 entries balance", events=(41,)),
        ),
        findings=(Finding(title="detection took 70 % of the outage", detail="Look more often."),),
        notes=("2m of human time are modelled and were not waited for",),
        fidelity=(
            {"service": "ledger-db", "kind": "embedded", "what": "PostgreSQL 18.6"},
            {"service": "ledger-db-standby", "kind": "embedded", "what": "PostgreSQL 18.6"},
            {"service": "gateway", "kind": "real", "what": "its own code"},
        ),
        wall_s={"provision": 2.1, "slot": 0.0, "steady": 5.2},
    )


def censored_and_never() -> Result:
    return result(
        "fail",
        exit_code=1,
        reason="transfer.rto: not recovered when the run ended, more than 31.40 s after the fault",
        scorecard=(
            row("transfer", "> 31.40 s", "fail", lost="unknown", **{"in doubt": "unknown"}),
            row("history", "unknown", "unknown", good="–", RTO="–", lost="–", **{"in doubt": "–"}),
        ),
        verdicts=(
            Verdict(
                name="transfer.rto",
                outcome="fail",
                reason="not recovered when the run ended, more than 31.40 s after the fault",
                events=tuple(range(10, 30)),
            ),
            Verdict(
                name="nothing-doubled",
                outcome="unknown",
                reason="not exercised: no key was sent twice",
                exercised=False,
            ),
        ),
        findings=(
            Finding(
                title="ledger ended unasked: exit status 1 (event 22)",
                detail='Traceback (most recent call last):\n  File "ledger.py", line 3\nMemoryError',
            ),
        ),
    )


def expected_loss() -> Result:
    keys = tuple(f"key-{n:03d} 12.34 CNY" for n in range(25))
    return result(
        "fail",
        expected="fail: transfer.lost",
        as_expected=True,
        reason="transfer.lost: 25 of 506 acknowledged operations lost: 308.50 CNY",
        scorecard=(row("transfer", "4.18 – 4.29 s", "fail", lost="25"),),
        verdicts=(
            Verdict(
                name="transfer.lost",
                outcome="fail",
                reason="25 of 506 acknowledged operations lost: 308.50 CNY",
                details=keys,
            ),
        ),
    )


def not_as_expected() -> Result:
    return result(
        "pass", expected="fail: transfer.lost", as_expected=False, exit_code=1, reason="all are met"
    )


def more_than_expected() -> Result:
    return result(
        "fail",
        expected="fail: transfer.rto",
        as_expected=False,
        exit_code=1,
        reason="transfer.rto: recovered after 24.45 – 24.58 s",
        verdicts=(
            Verdict(name="transfer.rto", outcome="fail", reason="recovered after 24.45 – 24.58 s"),
            Verdict(name="nothing-lost", outcome="pass", reason="0 of 470 acknowledged operations lost"),
            Verdict(
                name="steady-state", outcome="unknown", reason="the steady state did not hold at the end"
            ),
        ),
    )


def aborted() -> Result:
    return result("aborted", exit_code=4, reason="aborted: success < 1% for 1m", verdicts=())


CASES = (a_pass, censored_and_never, expected_loss, not_as_expected, more_than_expected, aborted)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_golden(case: Any) -> None:
    text = Scorecard().render(case(), "reports/2026-11-23T0931-ledger-primary-crash/")
    path = GOLDEN / f"{case.__name__}.txt"
    assert text == path.read_text(encoding="utf-8"), f"{path} differs from:\n{text}"


HOSTILE = "\x1b[2J\x1b]0;owned\x07\u202egnp.exe\u2066\u200b\x9b31m\r\nledger-primary-crash: pass"


def hostile_result() -> Result:
    return result(
        "fail",
        drill=HOSTILE,
        reason=HOSTILE,
        scorecard=({"journey": HOSTILE, HOSTILE: HOSTILE},),
        verdicts=(Verdict(name=HOSTILE, outcome="fail", reason=HOSTILE, details=(HOSTILE,)),),
        findings=(Finding(title=HOSTILE, detail=f"{HOSTILE}\nledger-primary-crash: pass"),),
        notes=(HOSTILE,),
        fidelity=({"service": HOSTILE, "kind": HOSTILE, "what": HOSTILE},),
        wall_s={HOSTILE: 1.0},
    )


def test_hostile_text_drives_no_terminal_and_forges_no_line() -> None:
    text = Scorecard().render(hostile_result(), HOSTILE)
    assert not [char for char in text if char not in "\n\t" and not char.isprintable()]
    assert not [line for line in text.splitlines() if line.startswith("ledger-primary-crash: pass")]


def test_endless_text_is_cut_and_short_text_is_not() -> None:
    long = "x" * 100_000
    text = Scorecard().render(
        result(
            "fail",
            reason=long,
            scorecard=({"journey": long},),
            verdicts=(Verdict(name=long, outcome="fail", reason=long, details=(long,) * 1000),),
            findings=(Finding(title=long, detail="\n".join([long] * 1000)),),
        ),
        long,
    )
    assert len(text) < 60_000
    assert "… and 980 more in result.json" in text
    assert "lines before are in result.json" in text


def test_other_scripts_are_shown_as_they_are() -> None:
    text = Scorecard().render(result(reason="转账 Überweisung перевод تحويل"), "报告/")
    assert "转账 Überweisung перевод تحويل" in text
    assert "报告/" in text


def test_void_run_tells_its_reason_once_and_what_each_verdict_would_have_been() -> None:
    why = "kill was not witnessed"
    verdicts = tuple(
        Verdict(name=name, outcome="unknown", reason=f"void: {why}; otherwise: {own}")
        for name, own in (("transfer.rto", "recovered after 4 s"), ("transfer.lost", "0 of 9 lost"))
    )
    shown = Scorecard().render(result("unknown", reason=why, verdicts=verdicts), "reports/run/")
    assert shown.count(why) == 1
    assert "void, for the reason above; otherwise: recovered after 4 s" in shown
    unexplained = Scorecard().render(result("unknown", reason="", verdicts=verdicts), "reports/run/")
    assert unexplained.count(why) == 2
