"""attack-contained and restored-from-backup: histories that they reject, green twins, and nothing to judge."""

from __future__ import annotations

from hashlib import md5, sha256
from pathlib import Path
from typing import Any

import pytest

from chaoskit import registry
from chaoskit.evidence import load_history
from chaoskit.judge import judge
from chaoskit.metrics import measure
from chaoskit.model.plan import PlannedStep
from chaoskit.model.verdict import Result, Verdict
from tests.histories.builder import KILL_HI, KILL_LO, MS, ZERO, RunBuilder, S, drill, plan_for

Facts = dict[str, dict[str, Any]]
DAMAGE = {"db": {"entries": 25}, "standby": {"entries": 25}}
WORDS = {"db": "25 rows (25 of entries)", "standby": "25 rows (25 of entries)"}
ISOLATED = {"damage": DAMAGE, "words": WORDS, "services": ["db"]}
OUTSIDE = {"damage": {}, "words": {}, "refused": 7, "rotated": True}
VERIFIED = {"sound": True, "files": 3, "bytes": 5_000_000, "age_s": 0.4, "after_ms": 300}
RESTORED = {
    "proof": "40:abc",
    "expected": "40:abc",
    "lsn": "0/5000000",
    "at_ns": KILL_LO - 300 * MS,
    "after_ms": 2_800,
}


def attacked(name: str = "attack.ransomware", **facts: Any) -> RunBuilder:
    """The usual run, its fault an attack, with facts that responses have recorded in this order."""
    builder = RunBuilder(plan=plan_for(drill(checks=[]))).crash()
    for _, kind, data in builder.events:
        if kind == "fault.begin":
            data["name"] = name
    for number, (fact, data) in enumerate(facts.items()):
        t = ZERO + 800 * MS + number * MS
        builder.event(t, "response.fact", step="promote", fact=fact.replace("_", "-"), **data)
    return builder


def restoring(builder: RunBuilder) -> RunBuilder:
    """Its response is a restore."""
    for _, kind, data in builder.events:
        if kind == "response.begin":
            data["name"] = "restore-backup"
    return builder


def verdict_of(check: str, builder: RunBuilder, folder: Path) -> Verdict:
    history = load_history(builder.write(folder / "run"))
    found: Verdict = registry.member("checks", check)().judge(history, measure(history))
    return found


@pytest.mark.parametrize(
    ("facts", "outcome", "words"),
    [
        ({"isolated": ISOLATED, "watched": OUTSIDE}, "pass", "7 log-ins with the old secret refused"),
        ({"isolated": ISOLATED}, "pass", "was not opened again"),
        ({}, "fail", "nobody cut the attacker in db off"),
        (
            {
                "isolated": ISOLATED,
                "watched": {**OUTSIDE, "damage": DAMAGE, "words": WORDS, "rotated": False},
            },
            "fail",
            "he came back after the opening: db: 25 rows (25 of entries), standby: 25 rows (25 of entries); the",
        ),
        ({"isolated": ISOLATED, "watched": {**OUTSIDE, "refused": 0}}, "unknown", "nobody tried"),
    ],
)
def test_whether_he_was_kept_out(tmp_path: Path, facts: Facts, outcome: str, words: str) -> None:
    verdict = verdict_of("attack-contained", attacked(**facts), tmp_path)
    assert (verdict.outcome, words in verdict.reason) == (outcome, True), verdict.reason
    if "isolated" in facts:
        assert "2 of 2 database members" in verdict.details[0]


OPENED = {"services": ["db"], "links": [], "rotated": ["bank"], "after_ms": 3}


def test_cutting_off_somebody_else_is_no_containment(tmp_path: Path) -> None:
    verdict = verdict_of(
        "attack-contained", attacked(isolated={**ISOLATED, "services": ["portal"]}), tmp_path
    )
    assert (verdict.outcome, verdict.reason) == ("fail", "nobody cut the attacker in db off")


def test_cutting_off_before_the_attack_is_no_containment(tmp_path: Path) -> None:
    builder = attacked()
    builder.event(ZERO - 2 * S, "response.fact", step="promote", fact="isolated", **ISOLATED)
    assert verdict_of("attack-contained", builder, tmp_path).outcome == "fail"


def test_a_second_attack_needs_an_isolation_of_its_own(tmp_path: Path) -> None:
    builder = attacked(isolated=ISOLATED)
    again = {"step": "again", "target": "db"}
    builder.event(ZERO + 3 * S, "fault.begin", name="attack.ransomware", lo=ZERO + 3 * S, **again)
    builder.event(ZERO + 3 * S + MS, "fault.applied", **again)
    builder.event(ZERO + 3 * S + 5 * MS, "fault.witnessed", hi=ZERO + 3 * S + 5 * MS, how="rows", **again)
    assert verdict_of("attack-contained", builder, tmp_path).outcome == "fail"


def test_damage_without_a_mark_cannot_be_counted(tmp_path: Path) -> None:
    verdict = verdict_of("attack-contained", attacked("attack.rogue-admin", isolated=ISOLATED), tmp_path)
    assert (verdict.outcome, "bears no mark" in verdict.reason) == ("unknown", True)


@pytest.mark.parametrize(
    ("name", "witnessed", "outcome"),
    [
        # Nobody sits in a service whom one could cut off: `attack-repelled` judges it.
        ("attack.flood", True, "pass"),
        ("attack.credential-stuffing", True, "pass"),
        ("attack.flood", False, "pass"),
        ("attack.injection", True, "unknown"),  # it may have written rows, without a mark
        ("attack.rogue-admin", True, "unknown"),
    ],
)
def test_an_attack_from_outside_beside_it_needs_no_cutting_off(
    name: str, witnessed: bool, outcome: str, tmp_path: Path
) -> None:
    builder = attacked(isolated=ISOLATED, watched=OUTSIDE)
    about, at = {"step": "besides", "name": name, "target": "web"}, KILL_LO - S
    builder.event(at, "fault.begin", **about, lo=at)
    if witnessed:
        builder.event(at + MS, "fault.witnessed", **about, hi=at + MS, how="seen")
    verdict = verdict_of("attack-contained", builder, tmp_path)
    assert verdict.outcome == outcome, verdict


def test_of_attacks_from_outside_alone_there_is_nobody_to_contain(tmp_path: Path) -> None:
    verdict = verdict_of("attack-contained", attacked("attack.flood", isolated=ISOLATED), tmp_path)
    assert (verdict.outcome, verdict.exercised) == ("unknown", False)
    assert "attack-repelled" in verdict.reason


def test_an_opening_that_nobody_watched_is_unknown(tmp_path: Path) -> None:
    verdict = verdict_of("attack-contained", attacked(isolated=ISOLATED, opened=OPENED), tmp_path)
    assert (verdict.outcome, "nobody looked" in verdict.reason) == ("unknown", True)
    watched = attacked(isolated=ISOLATED, opened=OPENED, watched=OUTSIDE)
    assert verdict_of("attack-contained", watched, tmp_path / "watched").outcome == "pass"


@pytest.mark.parametrize(
    ("second", "words"),
    [
        ({**OUTSIDE, "refused": 0}, "standby: after the opening nobody tried"),
        (None, "standby was opened again"),
    ],
)
def test_log_ins_refused_elsewhere_say_nothing_of_another_attackers_old_secrets(
    tmp_path: Path, second: dict[str, Any] | None, words: str
) -> None:
    """Two services were attacked, cut off and opened again, one after the other; only one attacker tried again."""

    def opened(second: dict[str, Any] | None) -> RunBuilder:
        builder = attacked(isolated={**ISOLATED, "services": ["db", "standby"]})
        about = {"step": "crash", "target": "standby"}
        builder.event(KILL_LO, "fault.begin", name="attack.ransomware", lo=KILL_LO, **about)
        builder.event(KILL_HI, "fault.witnessed", hi=KILL_HI, how="rows", **about)
        order = [("standby", "open-standby", second), ("db", "open-db", OUTSIDE)]
        for number, (service, step, seen) in enumerate(order):
            at = ZERO + (2 + number) * S
            builder.event(at, "response.fact", step=step, fact="opened", **{**OPENED, "services": [service]})
            if seen is not None:
                builder.event(at + MS, "response.fact", step=step, fact="watched", **seen)
        return builder

    verdict = verdict_of("attack-contained", opened(second), tmp_path / "one")
    assert (verdict.outcome, words in verdict.reason) == ("unknown", True), verdict.reason
    assert verdict_of("attack-contained", opened(OUTSIDE), tmp_path / "both").outcome == "pass"


@pytest.mark.parametrize(("step", "explained"), [("promote", True), ("other", False)])
def test_the_opening_that_let_him_in_again_is_accounted_for_and_no_other_failure(
    tmp_path: Path, step: str, explained: bool
) -> None:
    seen = {**OUTSIDE, "damage": DAMAGE, "words": WORDS, "rotated": False}
    builder = attacked(isolated=ISOLATED, watched=seen).without("response.done")
    builder.plan = plan_for(drill(checks=["attack-contained"], expect={"fail": ["attack-contained"]}))
    builder.event(ZERO + 900 * MS, "response.failed", step=step, error="the attacker is back: db: 25 rows")
    history = load_history(builder.write(tmp_path / "run"))
    result = judge(history, measure(history), registry)
    said = {verdict.name: verdict.outcome for verdict in result.verdicts}
    assert said["attack-contained"] == "fail"
    assert ("timeline" not in said) == explained


def test_an_unrelated_failure_is_not_accounted_for_by_an_expected_one(tmp_path: Path) -> None:
    builder = attacked().without("response.done")
    builder.plan = plan_for(drill(checks=["attack-contained"], expect={"fail": ["attack-contained"]}))
    builder.event(ZERO + 900 * MS, "response.failed", step="promote", error="the standby was not promoted")
    history = load_history(builder.write(tmp_path / "run"))
    result = judge(history, measure(history), registry)
    found = {one.name: one for one in result.verdicts}
    assert found["attack-contained"].outcome == "fail"
    assert found["timeline"].outcome == "unknown"
    assert result.exit_code != 0


def test_an_attack_that_nobody_saw_is_not_contained(tmp_path: Path) -> None:
    builder = attacked(isolated=ISOLATED).without("fault.witnessed")
    assert verdict_of("attack-contained", builder, tmp_path).outcome == "unknown"


def test_without_an_attack_or_a_restore_there_is_nothing_to_judge(tmp_path: Path) -> None:
    for number, check in enumerate(("attack-contained", "restored-from-backup")):
        verdict = verdict_of(check, attacked("process.kill"), tmp_path / str(number))
        assert (verdict.outcome, verdict.exercised) == ("unknown", False)


@pytest.mark.parametrize(
    ("change", "outcome", "words"),
    [
        ({}, "pass", "same digest of the 40 entries from before in 2.8 s to 0/5000000, 0.30 – "),
        ({"proof": "39:abd"}, "fail", "the restored database says 39:abd, not 40:abc"),
        ({"at_ns": KILL_HI + 5 * MS}, "fail", "lies after the damage by crash was seen"),
        ({"at_ns": KILL_LO + 1}, "pass", "not known to be before the first damage"),
        ({"proof": "None", "expected": "None"}, "unknown", "the proof covers nothing"),
        ({"proof": "0:d41d8", "expected": "0:d41d8"}, "unknown", "the proof covers nothing"),
        ({"proof": "0", "expected": "0"}, "unknown", "the proof covers nothing"),  # a count
        ({"proof": md5(b"").hexdigest(), "expected": md5(b"").hexdigest()}, "unknown", "covers nothing"),
        ({"proof": sha256().hexdigest(), "expected": sha256().hexdigest()}, "unknown", "covers nothing"),
        (
            {"proof": "\\x" + sha256().hexdigest(), "expected": "\\x" + sha256().hexdigest()},
            "unknown",
            "nothing",
        ),
        ({"proof": "10", "expected": "10"}, "pass", "restored as it was before"),
    ],
)
def test_what_was_restored(tmp_path: Path, change: dict[str, Any], outcome: str, words: str) -> None:
    before = {"sound": True, "age_s": 0.2}
    builder = restoring(attacked(backup_verified=before, verified=VERIFIED, restored={**RESTORED, **change}))
    verdict = verdict_of("restored-from-backup", builder, tmp_path)
    assert (verdict.outcome, words in verdict.reason) == (outcome, True), verdict.reason
    if outcome == "pass":
        assert "looked at before: sound, its log 0.2 s old" in verdict.details
        assert "the backup: 3 files, 5 MB, every checksum right, log 0.4 s old" in verdict.details
        assert verdict.details[-1].startswith("nothing was sent again")


def restored_twice(*outcomes: str, backups: tuple[str, str] = ("books", "books")) -> RunBuilder:
    """Two steps of the drill restore, one after the other: each fails, comes to its end, or does not end."""
    builder = attacked().without("response.begin", "response.applied", "response.done")
    crash, promote = builder.plan.steps[0], builder.plan.steps[-1]
    steps = []
    for number, (outcome, backup) in enumerate(zip(outcomes, backups, strict=True)):
        at, step = ZERO + (1 + 2 * number) * S, f"restore-{number}"
        steps.append(
            promote.model_copy(update={"id": step, "name": "restore-backup", "params": {"backup": backup}})
        )
        builder.event(at, "response.begin", step=step, name="restore-backup", on=[])
        if outcome == "done":
            about = {"step": step, "fact": "restored", **RESTORED, "backup": backup}
            builder.event(at + S, "response.fact", **about)
            builder.event(at + S + MS, "response.done", step=step)
        elif outcome == "failed":
            builder.event(at + S, "response.failed", step=step, error="no answer from the auditor")
    builder.plan = builder.plan.model_copy(update={"steps": (crash, *steps)})
    return builder


@pytest.mark.parametrize(
    ("outcomes", "backups", "outcome"),
    [
        (("failed", "done"), ("books", "books"), "pass"),  # it was tried again
        (("failed", "done"), ("books", "cards"), "fail"),  # another database
        (("done", "failed"), ("books", "books"), "fail"),  # what is there now is not what the first left
        (("done", "open"), ("books", "books"), "fail"),
        (("open", "done"), ("books", "books"), "fail"),  # it may go on over what the second left
        (("failed", "failed"), ("books", "books"), "fail"),
    ],
)
def test_of_several_tries_to_restore_a_backup_the_last_one_counts(
    outcomes: tuple[str, str], backups: tuple[str, str], outcome: str, tmp_path: Path
) -> None:
    verdict = verdict_of("restored-from-backup", restored_twice(*outcomes, backups=backups), tmp_path)
    assert verdict.outcome == outcome, verdict
    if outcome == "pass":
        assert "tried before, and failed: no answer from the auditor" in verdict.details


def test_a_failed_try_that_was_made_good_is_no_reason_to_know_nothing(tmp_path: Path) -> None:
    def timeline(builder: RunBuilder, folder: Path) -> list[str]:
        asked = drill(checks=["restored-from-backup"])
        builder.plan = builder.plan.model_copy(update={"drill": asked})
        history = load_history(builder.write(folder))
        result = judge(history, measure(history), registry)
        return [one.reason for one in result.verdicts if one.name == "timeline"]

    assert timeline(restored_twice("failed", "done"), tmp_path / "again") == []
    # What waited for the first try's success has never begun all the same.
    builder = restored_twice("failed", "done")
    follower = {**builder.plan.steps[-1].model_dump(), "id": "open", "name": "reopen"}
    follower["when"] = {"done": "restore-0"}
    steps = (*builder.plan.steps, PlannedStep.model_validate(follower))
    builder.plan = builder.plan.model_copy(update={"steps": steps})
    (reason,) = timeline(builder, tmp_path / "follower")
    assert reason == "planned responses never began: open"


def test_another_database_that_came_back_right_makes_none_of_this_one_right(tmp_path: Path) -> None:
    def both(at_ns: int) -> RunBuilder:
        first = {**RESTORED, "backup": "cards", "at_ns": at_ns}
        builder = restoring(attacked(restored=first))
        second = {"step": "promote", "fact": "restored", **RESTORED, "backup": "books"}
        builder.event(ZERO + 900 * MS, "response.fact", **second)
        return builder

    assert verdict_of("restored-from-backup", both(RESTORED["at_ns"]), tmp_path / "right").outcome == "pass"
    late = verdict_of("restored-from-backup", both(KILL_HI + 5 * MS), tmp_path / "late")
    assert (late.outcome, "lies after the damage" in late.reason) == ("fail", True), late


def rolled_out(at_ns: int) -> RunBuilder:
    """A release is rolled out in the fault's place and its books are restored; its services came back before."""
    builder = restoring(attacked("upgrade.roll-out", restored={**RESTORED, "at_ns": at_ns, "before": "db"}))
    builder.event(
        ZERO + 790 * MS, "response.fact", step="back", fact="restored", service="app", says="1", after_ms=900
    )
    builder.events.sort(key=lambda one: one[0])
    return builder


@pytest.mark.parametrize(
    ("at_ns", "outcome", "words"),
    [
        (KILL_LO + 1, "pass", ", noted before db was rolled out, 0.0"),
        (KILL_HI + MS, "fail", "lies after the damage by crash was seen"),
    ],
)
def test_a_restore_to_before_a_release_lies_before_its_first_change(
    tmp_path: Path, at_ns: int, outcome: str, words: str
) -> None:
    verdict = verdict_of("restored-from-backup", rolled_out(at_ns), tmp_path)
    assert (verdict.outcome, words in verdict.reason) == (outcome, True), verdict.reason
    assert "restored after 0.90 s" not in verdict.details, "that is the service, not the books"


def test_a_release_is_no_damage_where_an_attack_was_restored_from(tmp_path: Path) -> None:
    builder = restoring(attacked(restored={**RESTORED, "at_ns": KILL_LO - MS}))
    late = {"step": "roll-out", "target": "next"}
    builder.event(ZERO - 4 * S, "fault.begin", name="upgrade.roll-out", lo=ZERO - 4 * S, **late)
    builder.event(ZERO - 3 * S, "fault.witnessed", hi=ZERO - 3 * S, how="the service says so", **late)
    builder.events.sort(key=lambda one: one[0])
    assert verdict_of("restored-from-backup", builder, tmp_path).outcome == "pass"


def test_a_restore_that_was_not_finished_fails(tmp_path: Path) -> None:
    verdict = verdict_of("restored-from-backup", restoring(attacked(verified=VERIFIED)), tmp_path)
    assert (verdict.outcome, verdict.reason) == ("fail", "the restore was not finished")


def test_a_point_after_damage_that_nobody_witnessed_is_unknown(tmp_path: Path) -> None:
    late = attacked(restored={**RESTORED, "at_ns": ZERO + 5 * S}).without("fault.witnessed")
    verdict = verdict_of("restored-from-backup", restoring(late), tmp_path)
    assert (verdict.outcome, "nobody witnessed crash" in verdict.reason) == ("unknown", True)


def test_books_that_do_not_balance_are_no_restore(tmp_path: Path) -> None:
    builder = restoring(attacked(restored=RESTORED))
    builder.entries = builder.legs()
    next(entry for entry in builder.entries if entry["amount"] > 0)["amount"] += 1
    verdict = verdict_of("restored-from-backup", builder, tmp_path)
    assert verdict.outcome == "fail"
    assert "the books do not balance" in verdict.reason


def test_a_restore_of_which_no_books_tell_is_not_known_to_balance(tmp_path: Path) -> None:
    builder = restoring(attacked(restored=RESTORED))
    builder.postings.clear()
    verdict = verdict_of("restored-from-backup", builder, tmp_path)
    assert (verdict.outcome, verdict.reason) == (
        "unknown",
        "restored, and no books were collected that hold anything",
    )


def test_what_was_sent_again_is_told_by_currency(tmp_path: Path) -> None:
    builder = restoring(attacked(restored=RESTORED))
    keys = [posting.key for posting in builder.postings[:2]]
    record = next(r for r in builder.records["load"] if r["r"] == "intent" and r["key"] == keys[1])
    record["currency"] = "EUR"
    lists = {"resubmitted": keys, "replayed": [], "refused": [], "unknown": []}
    builder.event(ZERO + S, "response.fact", step="promote", fact="resubmitted", **lists)
    verdict = verdict_of("restored-from-backup", builder, tmp_path)
    told = "lost by the restore: 2 accepted operations, 1.00 CNY and 1.00 EUR of them sent again by key"
    assert told in verdict.details


def test_loss_is_told_before_and_after_it_was_sent_again(tmp_path: Path) -> None:
    builder = restoring(attacked(restored=RESTORED))
    keys = [posting.key for posting in builder.postings[:2]]
    amount = sum(posting.amount for posting in builder.postings[:2])
    lists = {"resubmitted": keys, "replayed": [], "refused": ["gone"], "unknown": []}
    builder.event(ZERO + S, "response.fact", step="promote", fact="resubmitted", **lists)
    verdict = verdict_of("restored-from-backup", builder, tmp_path)
    assert (
        f"lost by the restore: 3 accepted operations, {amount / 100:.2f} CNY of them sent again by key"
        in (verdict.details)
    )
    assert "lost after they were sent again: 0" in verdict.details
    assert "refused when it was sent again: gone" in verdict.details


def test_what_is_in_doubt_again_was_lost_by_the_restore_too(tmp_path: Path) -> None:
    builder = restoring(attacked(restored=RESTORED))
    lists = {"resubmitted": [], "replayed": [], "refused": [], "unknown": ["perhaps"]}
    builder.event(ZERO + S, "response.fact", step="promote", fact="resubmitted", **lists)
    verdict = verdict_of("restored-from-backup", builder, tmp_path)
    assert "lost by the restore: 1 accepted operations" in verdict.details
    assert "in doubt when it was sent again: perhaps" in verdict.details


@pytest.mark.parametrize(
    ("name", "target", "outcome"),
    [
        ("attack.flood", "web", "pass"),  # it damages no row: a restore has nothing to take back
        ("attack.credential-stuffing", "web", "pass"),
        ("attack.injection", "web", "fail"),  # whatever it has written may lie in any database
        ("mistake.wrong-command", "elsewhere", "pass"),  # in another database than the one that was restored
        ("attack.rogue-admin", "elsewhere", "pass"),
        ("mistake.wrong-command", "db", "fail"),
        ("attack.ransomware", "web", "fail"),
    ],
)
def test_the_restore_point_must_lie_before_damage_to_that_database(
    name: str, target: str, outcome: str, tmp_path: Path
) -> None:
    builder = restoring(attacked(restored={**RESTORED, "service": "db"}))
    about, at = {"step": "early", "name": name, "target": target}, KILL_LO - S
    builder.event(at, "fault.begin", **about, lo=at)
    builder.event(at + MS, "fault.witnessed", **about, hi=at + MS, how="seen")
    verdict = verdict_of("restored-from-backup", builder, tmp_path)
    assert verdict.outcome == outcome, verdict
    assert ("by early was seen" in verdict.reason) is (outcome == "fail")


def test_a_setting_that_was_pushed_is_no_damage_to_any_row(tmp_path: Path) -> None:
    builder = restoring(attacked(restored={**RESTORED, "service": "db"}))
    name, at = "mistake.wrong-command", KILL_LO - S
    about = {"step": "early", "name": name, "target": "db"}
    step = builder.plan.steps[0].model_copy(
        update={
            "id": "early",
            "name": name,
            "on": ("db",),
            "params": {"setting": "work_mem", "value": "64kB"},
        }
    )
    builder.plan = builder.plan.model_copy(update={"steps": (step, *builder.plan.steps)})
    builder.event(at, "fault.begin", **about, lo=at)
    builder.event(at + MS, "fault.witnessed", **about, hi=at + MS, how="seen")
    assert verdict_of("restored-from-backup", builder, tmp_path).outcome == "pass"


def failed_restore(checks: list[str], folder: Path) -> Result:
    """The restore failed, and the step that follows it never began."""
    builder = restoring(attacked(isolated=ISOLATED)).without("response.done")
    builder.plan = plan_for(drill(checks=checks))
    follower = PlannedStep.model_validate(
        {**builder.plan.steps[-1].model_dump(), "id": "open", "name": "reopen", "when": {"done": "promote"}}
    )
    builder.plan = builder.plan.model_copy(update={"steps": (*builder.plan.steps, follower)})
    builder.event(
        ZERO + 900 * MS, "response.failed", step="promote", error="the backup cannot be used: wrecked"
    )
    history = load_history(builder.write(folder / "run"))
    return judge(history, measure(history), registry)


def test_a_failure_that_a_check_has_judged_is_an_outcome_and_not_an_unknown(tmp_path: Path) -> None:
    result = failed_restore(["restored-from-backup"], tmp_path / "judged")
    found = {one.name: one for one in result.verdicts}
    assert found["restored-from-backup"].outcome == "fail"
    assert found["restored-from-backup"].reason == "the backup cannot be used: wrecked"
    assert "timeline" not in found
    # Nobody asked about it: then nobody knows what that run says.
    unasked = failed_restore(["attack-contained"], tmp_path / "unasked")
    found = {one.name: one for one in unasked.verdicts}
    assert found["timeline"].outcome == "unknown"
    assert "open" in found["timeline"].reason
