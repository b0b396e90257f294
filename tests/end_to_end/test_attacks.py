"""The drills of data that is destroyed, each cell once: exactly the outcome that it names, and for its reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from chaoskit import judging, pipeline, registry, spec
from chaoskit.checks.attack_contained import facts
from chaoskit.model.measurement import AttackMeasure
from chaoskit.runtimes.local.runtime import LocalRuntime
from chaoskit.spec import Loaded

DRILLS = Path(__file__).parents[2] / "drills" / "attack"
REACHED, APART = "variant=backups-in-reach", "variant=backups-apart"


def cells() -> dict[str, Loaded]:
    return dict(spec.cells(spec.load(DRILLS / "ledger-ransomware.yaml", registry)))


def run(
    loaded: Loaded, folder: Path, monkeypatch: pytest.MonkeyPatch, runtime: str = "local"
) -> tuple[judging.Run, dict[str, Any]]:
    monkeypatch.setenv("CHAOSKIT_STATE_DIR", str(folder / "state"))
    made = pipeline.run(loaded, runtime_name=runtime, reports=folder / "reports")
    assert made.result.as_expected, made.result.reason
    return made, {verdict.name: verdict for verdict in made.result.verdicts}


def test_the_two_differ_in_nothing_but_where_the_backups_lie() -> None:
    plans = {name: pipeline.make_plan(cell, "local") for name, cell in cells().items()}
    assert set(plans) == {REACHED, APART}
    one, other = plans[REACHED], plans[APART]
    for name in ("load", "seed", "steps", "probes", "criteria", "deadline", "wirings"):
        assert getattr(one, name) == getattr(other, name), name
    for name in ("objectives", "checks", "steady", "settle", "timeline"):
        assert getattr(one.drill, name) == getattr(other.drill, name), name
    told = one.system.local["ledger"].environment
    assert told.pop("BACKUP_SHARE") == "{backups}"
    assert one.system.local == other.system.local
    # The same in containers: a volume of the store's that the ledger mounts, and may write to as root.
    services = [{**each.system.services} for each in (one, other)]
    mounting, without = (each.pop("ledger").compose for each in services)
    assert services[0] == services[1]
    assert [each.target for each in mounting.mounts] == [
        plans[REACHED].system.services["ledger"].environment["BACKUP_SHARE"]
    ]
    assert (
        mounting.model_copy(update={"mounts": (), "user": None, "environment": without.environment})
        == without
    )
    assert one.system.links == other.system.links
    kept = [each.system.backups["books"] for each in (one, other)]
    assert [each.volume for each in kept] == ["backup-share", None]
    assert kept[0].model_copy(update={"volume": None}) == kept[1]
    # Where the runtime cannot truly confine him, the report says so.
    (said,) = [each.what for each in LocalRuntime().fidelity(one) if each.service == "ledger"]
    assert "kept to the run's addresses and folders by his own code alone" in said


@pytest.mark.timeout(240)
def test_backups_within_reach_are_gone_with_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, found = run(cells()[REACHED], tmp_path, monkeypatch)
    assert "nothing was touched" in found["restored-from-backup"].reason
    assert found["attack-contained"].outcome == "pass"
    # The standby was no way out: it has followed into every wrecked row.
    (radius,) = found["attack-contained"].details
    assert radius.startswith("blast radius: 2 of 2 database members")


@pytest.mark.timeout(240)
def test_backups_apart_bring_the_bank_back_with_nothing_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, found = run(cells()[APART], tmp_path, monkeypatch)
    restored = found["restored-from-backup"]
    assert "same digest" in restored.reason
    before = next(one for one in restored.details if one.startswith("lost by the restore: "))
    assert int(before.split()[4]) > 0, before
    assert "lost after they were sent again: 0" in restored.details
    assert "log-ins with the old secret refused since" in found["attack-contained"].reason
    assert found["transfer.lost"].outcome == "pass"
    assert made.measurements.journeys["transfer"].rta is not None


def differing(name: str) -> tuple[Any, Any]:
    """The plan of a drill, and that of the bank which is restored and reopened as it should be."""
    return pipeline.make_plan(spec.load(DRILLS / f"{name}.yaml", registry), "local"), pipeline.make_plan(
        cells()[APART], "local"
    )


def test_the_reflex_and_the_late_secrets_meet_the_same_bank_and_the_same_attacker() -> None:
    for name in ("ransomware-promoted", "ransomware-secrets-kept"):
        one, other = differing(name)
        assert (one.system, one.load, one.seed, one.wirings) == (
            other.system,
            other.load,
            other.seed,
            other.wirings,
        ), name
        assert one.drill.steady == other.drill.steady, name
    promoted, kept = (
        {step.name: step for step in differing(name)[0].steps}
        for name in ("ransomware-promoted", "ransomware-secrets-kept")
    )
    assert list(promoted) == ["attack.ransomware", "isolate", "promote-standby", "reopen"]
    assert list(kept) == ["attack.ransomware", "isolate", "restore-backup", "reopen", "resubmit"]
    assert kept["reopen"].params["rotate"] is False
    assert promoted["reopen"].params.get("rotate", True) is True


def opened(made: judging.Run, fact: str) -> dict[str, Any]:
    (found,) = [one.data for one in facts(made.history, fact)]
    return dict(found)


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_standby_that_is_promoted_has_the_damage_though_the_attacker_stays_outside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, found = run(spec.load(DRILLS / "ransomware-promoted.yaml", registry), tmp_path, monkeypatch)
    assert found["attack-contained"].outcome == "pass"
    assert "log-ins with the old secret refused since" in found["attack-contained"].reason
    cut = opened(made, "isolated")["damage"]
    assert cut["ledger-db"] == cut["ledger-db-standby"]
    # What customers are served from then on is what he left: the same rows, none more.
    watched = opened(made, "watched")
    assert watched["before"] == {"ledger-db-standby": cut["ledger-db"]}
    assert watched["damage"] == {}
    assert opened(made, "not-backed-up")["writer"] == "ledger-db-standby"


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_bank_that_reopens_with_the_old_secrets_is_wrecked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, found = run(spec.load(DRILLS / "ransomware-secrets-kept.yaml", registry), tmp_path, monkeypatch)
    assert opened(made, "restored")["redundant"]  # it was all good when it opened
    assert opened(made, "watched")["before"] == {}
    assert "he came back after the opening: ledger-db: " in found["attack-contained"].reason
    assert "the secrets he knew were still valid" in found["attack-contained"].reason


@pytest.mark.timeout(240)
def test_a_table_emptied_by_mistake_is_back_with_what_was_paid_since(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, found = run(spec.load(DRILLS / "operator-truncates.yaml", registry), tmp_path, monkeypatch)
    assert "same digest" in found["restored-from-backup"].reason
    assert "rows of the audit trail are not in the books" in found["tampering-noticed"].reason


@pytest.mark.timeout(240)
def test_a_setting_pushed_by_mistake_is_told_by_the_banks_own_rule_and_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, _ = run(spec.load(DRILLS / "operator-misconfigures.yaml", registry), tmp_path, monkeypatch)
    (mistake,) = made.measurements.faults
    assert mistake.witness is not None
    assert (
        "a new session of bank is told default_transaction_read_only = 'on', before 'off'" in mistake.witness
    )
    facts = [event.data for event in made.history.events if event.kind == "response.fact"]
    (reset,) = [fact for fact in facts if fact["fact"] == "setting-reset"]
    assert (reset["service"], reset["was"], reset["now"]) == ("ledger-db", "on", "off")
    assert not made.measurements.journeys["transfer"].never_bad


ROGUE = dict(spec.cells(spec.load(DRILLS / "rogue-admin.yaml", registry)))


def test_the_two_differ_in_nothing_but_the_audit_trail() -> None:
    one, other = (pipeline.make_plan(cell, "local") for cell in ROGUE.values())
    for name in ("load", "seed", "steps", "probes", "criteria", "deadline", "wirings"):
        assert getattr(one, name) == getattr(other, name), name
    for name in ("objectives", "checks", "steady", "settle", "timeline"):
        assert getattr(one.drill, name) == getattr(other.drill, name), name
    assert one.system.local == other.system.local
    changed = {
        name for name in one.system.services if one.system.services[name] != other.system.services[name]
    }
    assert changed == {"ledger-db", "auditor"}
    # On `local` the files that the Compose file puts into volumes lie in a service's own home.
    for service, name in (("auditor", "AUDIT_HEADS"), ("gateway", "INTAKE_JOURNAL")):
        assert one.system.local[service].environment[name].startswith("{home}/")


@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ("variant=audit-trail", "1 rows of the audit trail are not in the books"),
        pytest.param("variant=no-audit-trail", "no alert, though the feed was read", marks=pytest.mark.slow),
    ],
)
def test_an_administrator_who_covers_his_tracks_is_seen_by_the_audit_trail_alone(
    cell: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, found = run(ROGUE[cell], tmp_path, monkeypatch)
    assert [one.never_bad for one in made.measurements.journeys.values()] == [True, True]
    assert words in found["tampering-noticed"].reason
    assert found["books-balance"].outcome == "pass"  # the books agree with themselves


@pytest.mark.slow
@pytest.mark.docker
@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    "drill",
    [
        REACHED,
        APART,
        "ransomware-promoted",
        "ransomware-secrets-kept",
        "operator-truncates",
        "operator-misconfigures",
        "variant=audit-trail",
    ],
)
def test_each_has_the_same_outcome_on_docker(
    drill: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = {**cells(), **ROGUE}.get(drill) or spec.load(DRILLS / f"{drill}.yaml", registry)
    _, found = run(loaded, tmp_path, monkeypatch, "docker")
    if "attack-contained" in found:
        let_in = drill == "ransomware-secrets-kept"
        assert found["attack-contained"].outcome == ("fail" if let_in else "pass")
    if drill == APART:
        assert "log-ins with the old secret refused since" in found["attack-contained"].reason
    if drill == REACHED:
        assert "nothing was touched" in found["restored-from-backup"].reason


def repelled(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> AttackMeasure:
    made, found = run(spec.load(DRILLS / f"{name}.yaml", registry), folder, monkeypatch)
    assert found["attack-repelled"].outcome == "pass"
    (attack,) = made.measurements.attacks
    assert attack.alerted is not None
    assert attack.blocked is not None
    assert (attack.let_in, attack.moved) == (0, ())
    return attack


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_whoever_tries_passwords_is_locked_out_before_the_right_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    attack = repelled("credential-stuffing", tmp_path, monkeypatch)
    # Four failures for each of eight customers, then nothing more; the customers it cost are those, and no other.
    assert (attack.asked, attack.failed, attack.refused) == (48, 32, 16)
    assert set(attack.wrongly_blocked) <= {f"ACC-{number:05d}" for number in range(393, 401)}


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.parametrize(("name", "asked"), [("flood", range(600, 1201)), ("injection", range(10, 11))])
def test_whoever_asks_too_much_or_in_sql_is_turned_away_and_nobody_else(
    name: str, asked: range, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    attack = repelled(name, tmp_path, monkeypatch)
    assert attack.asked in asked  # a busy machine does not get all of a flood away in its time
    assert attack.wrongly_blocked == ()
