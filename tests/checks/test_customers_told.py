"""What customers were told, in a history: in time, complete, wrong, late, and the histories the check rejects."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from chaoskit import evidence, registry
from chaoskit.judge import judge
from chaoskit.metrics import measure
from chaoskit.metrics.notices import names
from chaoskit.model.measurement import NoticeMeasure
from chaoskit.model.verdict import Result, Verdict
from tests.histories.builder import BACK, MS, ZERO, RunBuilder, S, drill, plan_for

ALL = "Not available: transfer, balance. Expected back in 10s."
AT = ZERO + 900 * MS


def judged(
    folder: Path,
    *notices: dict[str, Any],
    channels: tuple[str, ...] = ("app", "sms"),
    run: RunBuilder | None = None,
) -> tuple[Verdict, tuple[NoticeMeasure, ...], Result]:
    plan = plan_for(drill(checks=["customers-told"]))
    tell = plan.steps[1].model_copy(update={"params": {"channels": list(channels)}})
    plan = plan.model_copy(update={"steps": (plan.steps[0], tell)})
    run = run or RunBuilder().crash()
    run.plan = plan
    for notice in notices:
        facts = {"delivered": AT, "text": ALL, "back_in": "10s", "expected": ZERO + 10 * S, **notice}
        run.event(ZERO + 2 * S, "response.fact", step="promote", fact="notice", **facts)
    history = evidence.load_history(run.write(folder / "run"))
    measurements = measure(history)
    result = judge(history, measurements, registry)
    verdict = next(v for v in result.verdicts if v.name == "customers-told")
    return verdict, measurements.notices, result


def test_told_on_every_channel(tmp_path: Path) -> None:
    verdict, told, result = judged(tmp_path, {"channel": "app"}, {"channel": "sms", "delivered": AT + S})
    assert verdict.outcome == "pass"
    app, sms = told
    assert app.after is not None
    assert sms.after is not None
    assert (sms.after.lo - app.after.lo, app.missing, app.announced) == (S, (), "10s")
    assert app.late is not None
    assert app.late.hi is not None
    # Back at BACK; announced for ten seconds after the zero: by so much earlier, to within the recovery's own bounds.
    assert app.late.lo <= BACK - ZERO - 10 * S <= app.late.hi < 0
    rows = {row["clock"]: row["what"] for row in result.clocks}
    assert rows["told: app"].startswith("names all that was hurt; announces 10s, and it was back ")
    assert rows["told: app"].endswith("earlier")


@pytest.mark.parametrize(
    ("notice", "detail"),
    [
        ({"text": "Not available: transfer. Expected back in 10s."}, "sms: does not name balance"),
        ({"text": "We have technical problems."}, "sms: does not name transfer and balance"),
        ({"text": "Not available: transfer, balance."}, "sms: announces no expected recovery"),
        ({"expected": None, "back_in": None}, "sms: announces no expected recovery"),
        ({"text": ALL.replace("10s", "110s")}, "sms: announces no expected recovery"),
        ({"text": "Not available: transfers, balance. Back in 10s."}, "sms: does not name transfer"),
        ({"delivered": BACK + 6 * S}, "sms: it came when everything was back"),
        ({"delivered": ZERO - 3 * S}, "sms: nothing reached the inbox"),
    ],
)
def test_what_leaves_something_out_is_rejected(tmp_path: Path, notice: dict[str, Any], detail: str) -> None:
    verdict, _, result = judged(tmp_path, {"channel": "app"}, {"channel": "sms", **notice})
    assert (verdict.outcome, verdict.details[0], result.exit_code) == ("fail", detail, 1)


def test_a_journey_of_unknown_state_leaves_it_unknown(tmp_path: Path) -> None:
    # Two probes were bad before anything struck; one alone may have been on its way when it did.
    before = RunBuilder().crash(good=lambda t: not ZERO - 200 * MS <= t < BACK)
    text = {"text": "Something. Back in 10s."}
    verdict, _, _ = judged(tmp_path, {"channel": "app", **text}, {"channel": "sms", **text}, run=before)
    assert (verdict.outcome, "is not known" in verdict.reason) == ("unknown", True)


@pytest.mark.parametrize(
    ("text", "outcome"), [("Not available: transfer. Expected back in 10s.", "unknown"), (ALL, "pass")]
)
def test_a_journey_that_nobody_watched_meanwhile_may_have_been_hurt(
    text: str, outcome: str, tmp_path: Path
) -> None:
    blind = RunBuilder().crash()
    for records in blind.records.values():
        gone = {
            r["id"]
            for r in records
            if r.get("journey") == "balance" and ZERO - 100 * MS <= r["intended"] < BACK + 100 * MS
        }
        records[:] = [r for r in records if r["id"] not in gone]
    notices = ({"channel": "app", "text": text}, {"channel": "sms", "text": text})
    verdict, _, _ = judged(tmp_path, *notices, run=blind)
    assert verdict.outcome == outcome, verdict
    assert ("whether balance was hurt is not known" in verdict.reason) is (outcome == "unknown")


def test_a_channel_with_nothing_is_rejected(tmp_path: Path) -> None:
    verdict, _, _ = judged(tmp_path, {"channel": "app"})
    assert (verdict.outcome, verdict.details) == ("fail", ("sms: nothing reached the inbox",))


def test_the_first_notice_of_a_channel_counts(tmp_path: Path) -> None:
    poor = {"channel": "app", "text": "We have technical problems."}
    verdict, told, _ = judged(
        tmp_path, poor, {"channel": "app", "delivered": AT + S}, {"channel": "sms"}, channels=("app", "sms")
    )
    assert (verdict.outcome, told[0].missing) == ("fail", ("transfer", "balance"))


def test_back_later_than_announced(tmp_path: Path) -> None:
    _, (app,), result = judged(tmp_path, {"channel": "app", "expected": ZERO + 500 * MS}, channels=("app",))
    assert app.late is not None
    assert app.late.lo > 0
    assert result.clocks[0]["what"].endswith("later")


def test_never_back_is_open(tmp_path: Path) -> None:
    gone = RunBuilder().crash(good=lambda t: t < ZERO)
    _, (app,), result = judged(tmp_path, {"channel": "app"}, channels=("app",), run=gone)
    assert app.late is not None
    assert app.late.hi is None
    assert "and it took at least" in result.clocks[0]["what"]


def test_nobody_was_to_be_told(tmp_path: Path) -> None:
    verdict, _, _ = judged(tmp_path, channels=())
    assert (verdict.outcome, verdict.exercised) == ("unknown", False)


def test_a_journey_is_named_by_its_title_or_its_name() -> None:
    assert names("NOT AVAILABLE: look up a balance", "saldo", "Look up a balance")
    assert names("transfer is down", "transfer", "")
    assert not names("all is well", "transfer", "")
