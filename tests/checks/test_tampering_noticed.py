"""tampering-noticed: histories that it rejects, the green twin, and what it cannot know."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaoskit import registry
from chaoskit.evidence import load_history
from chaoskit.metrics import measure
from chaoskit.model.verdict import Verdict
from tests.histories.builder import KILL_HI, KILL_LO, MS, RunBuilder, S, drill, plan_for


def tampered(
    *alerts: tuple[int, str], read: int | None = KILL_HI + 9 * S, fault: str = "attack.rogue-admin"
) -> RunBuilder:
    """The usual run, its fault rows that were changed, with alerts (instant, kind) and the last look at the feed."""
    builder = RunBuilder(plan=plan_for(drill(checks=[]))).crash()
    for _, kind, data in builder.events:
        if kind == "fault.begin":
            data["name"] = fault
    for at, kind in alerts:
        told = {"service": "auditor", "says": kind, "what": "2 rows are not in the trail", "at": at}
        builder.event(at + 40 * MS, "response.fact", step="read", fact="attack-alert", **told)
    if read is not None:
        builder.event(read, "response.fact", step="read", fact="attack-counts", service="auditor", busy=False)
    return builder


def verdict_of(builder: RunBuilder, folder: Path) -> Verdict:
    history = load_history(builder.write(folder / "run"))
    found: Verdict = registry.member("checks", "tampering-noticed")().judge(history, measure(history))
    return found


@pytest.mark.parametrize("fault", ["attack.rogue-admin", "mistake.wrong-command"])
@pytest.mark.parametrize(
    ("alerts", "read", "outcome", "words"),
    [
        ([(KILL_HI + 200 * MS, "alert")], KILL_HI + S, "pass", "auditor raised an alert 0.2"),
        ([], KILL_HI + 9 * S, "fail", "no alert, though the feed was read for 5s"),
        ([(KILL_HI + 200 * MS, "block")], KILL_HI + 9 * S, "fail", "no alert"),
        ([(KILL_HI + 6 * S, "alert")], KILL_HI + 9 * S, "fail", "raised an alert 6.00"),
        ([], KILL_HI + 4 * S, "unknown", "no feed of the system's own was read for 5s"),
        ([], None, "unknown", "no feed"),
        ([(KILL_LO + 5 * S + 1, "alert")], KILL_HI + 9 * S, "unknown", "raised an alert"),
        (
            [(KILL_LO - S, "alert"), (KILL_HI + 200 * MS, "alert")],
            KILL_HI + 9 * S,
            "unknown",
            "an alert before anything was changed: 2 rows",
        ),
    ],
)
def test_whether_the_system_itself_said_so_in_time(
    alerts: list[tuple[int, str]], read: int | None, outcome: str, words: str, fault: str, tmp_path: Path
) -> None:
    verdict = verdict_of(tampered(*alerts, read=read, fault=fault), tmp_path)
    assert (verdict.outcome, words in verdict.reason) == (outcome, True), verdict.reason


def test_a_change_that_nobody_saw_is_not_noticed(tmp_path: Path) -> None:
    builder = tampered((KILL_HI + 200 * MS, "alert")).without("fault.witnessed")
    assert verdict_of(builder, tmp_path).outcome == "unknown"


@pytest.mark.parametrize("about", [{"source": "198.51.100.1"}, {"source": "", "customer": "ACC-00001"}])
def test_an_alert_about_somebody_outside_is_not_about_the_records(
    about: dict[str, str], tmp_path: Path
) -> None:
    builder = tampered((KILL_HI + 200 * MS, "alert"))
    for _, _, data in builder.events:
        if data.get("fact") == "attack-alert":
            data.update(about, service="gateway")
    assert verdict_of(builder, tmp_path).outcome == "fail"


def test_a_word_of_its_own_that_cannot_be_true_does_not_count(tmp_path: Path) -> None:
    builder = tampered((KILL_HI + 7 * S, "alert"))
    for _, _, data in builder.events:
        if data.get("fact") == "attack-alert":
            data["at"] = KILL_HI + 900 * S  # later than it was read
    assert verdict_of(builder, tmp_path).outcome == "fail"


def test_a_word_that_the_look_before_contradicts_is_an_interval(tmp_path: Path) -> None:
    """Said 20 s late, with the instant of the change for its own: between the two looks, which is too late."""
    for seen, since, outcome in ((20 * S, 19 * S, "fail"), (6 * S, 4 * S, "unknown"), (4 * S, 3 * S, "pass")):
        builder = tampered((KILL_HI + seen, "alert"), read=KILL_HI + 30 * S)
        for _, _, data in builder.events:
            if data.get("fact") == "attack-alert":
                data["since"] = KILL_HI + since
        assert verdict_of(builder, tmp_path / outcome).outcome == outcome


@pytest.mark.parametrize("since", [None, KILL_LO - 30 * MS])
def test_an_alert_that_may_have_been_there_before_is_no_word_about_the_change(
    since: int | None, tmp_path: Path
) -> None:
    """A feed without instants: the first look had it already, or the last look without it was before the change."""
    builder = tampered((KILL_HI + 200 * MS, "alert"))
    for _, _, data in builder.events:
        if data.get("fact") == "attack-alert":
            data["since"] = since
    verdict = verdict_of(builder, tmp_path)
    assert (verdict.outcome, "there before anything was changed is not known" in verdict.reason) == (
        "unknown",
        True,
    )


@pytest.mark.parametrize("fault", ["process.kill", "mistake.wrong-command"])
def test_where_no_row_was_changed_there_is_nothing_to_judge(fault: str, tmp_path: Path) -> None:
    """A setting that an operator pushes changes none."""
    builder = tampered(fault=fault)
    crash, *others = builder.plan.steps
    pushed = crash.model_copy(update={"name": fault, "params": {"setting": "work_mem", "value": "64kB"}})
    builder.plan = builder.plan.model_copy(update={"steps": (pushed, *others)})
    verdict = verdict_of(builder, tmp_path)
    assert (verdict.outcome, verdict.exercised) == ("unknown", False)


@pytest.mark.parametrize(
    ("alerts", "outcome", "words"),
    [
        # Of which of the two it speaks nobody knows.
        ([KILL_HI + 2 * S], "unknown", "no word of which"),
        ([KILL_HI + 2 * S, KILL_HI + 3 * S], "unknown", "no word of which"),
        # It came before the second change, so that the next may say the same thing again.
        ([KILL_HI + 200 * MS, KILL_HI + 2 * S], "unknown", "second: there was an alert before"),
        # Whichever it is about: it comes too late for the first.
        ([KILL_HI + 6 * S], "fail", "crash: auditor raised an alert 6.00"),
        ([], "fail", "no alert"),
    ],
)
def test_one_alert_after_two_changes_is_not_a_word_about_each(
    alerts: list[int], outcome: str, words: str, tmp_path: Path
) -> None:
    builder = tampered(*((at, "alert") for at in alerts))
    crash, *others = builder.plan.steps
    second = crash.model_copy(update={"id": "second", "name": "attack.rogue-admin"})
    builder.plan = builder.plan.model_copy(update={"steps": (crash, second, *others)})
    about = {"step": "second", "name": "attack.rogue-admin", "target": "db"}
    builder.event(KILL_LO + S, "fault.begin", **about, lo=KILL_LO + S)
    builder.event(KILL_HI + S, "fault.witnessed", **about, hi=KILL_HI + S, how="seen")
    verdict = verdict_of(builder, tmp_path)
    assert (verdict.outcome, words in verdict.reason) == (outcome, True), verdict.reason
