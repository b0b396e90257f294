"""Plans: steps, probes, criteria, deadline, wiring, and what is refused by name and place."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaoskit import planner, spec
from chaoskit.errors import InputError
from chaoskit.model.plan import Plan
from tests.spec import sample_files
from tests.spec.fake_members import FakeRegistry, FakeRuntime

DRILL, SYSTEM, COMPOSE = sample_files.DRILL, sample_files.SYSTEM, sample_files.COMPOSE


def plan(folder: Path, *capabilities: str, pace: str = "drill", **files: str) -> Plan:
    loaded = spec.load(sample_files.write(folder, **files), FakeRegistry(), {})
    return planner.plan(
        loaded, FakeRuntime(*capabilities), FakeRegistry(), pace="real" if pace == "real" else "drill"
    )


def refusal(folder: Path, *capabilities: str, **files: str) -> str:
    with pytest.raises(InputError) as caught:
        plan(folder, *capabilities, **files)
    return str(caught.value).replace(f"{folder}/", "")


def test_a_plan_is_a_pure_function_and_survives_its_json(tmp_path: Path) -> None:
    first, second = plan(tmp_path), plan(tmp_path)
    assert first == second
    assert Plan.model_validate_json(first.model_dump_json()) == first


def test_the_seed_alone_moves_the_phase(tmp_path: Path) -> None:
    phases = [
        [probe.phase_ns for probe in plan(tmp_path, drill=DRILL.replace("seed: 7", f"seed: {seed}")).probes]
        for seed in (1, 2)
    ]
    assert phases[0] != phases[1]
    assert all(0 <= phase < 100_000_000 for pair in phases for phase in pair)


TWO_FAULTS = DRILL.replace(
    "  - when: {down: db",
    "  - at: 0ms\n    fault: link.cut\n    on: db2 -> db\n"
    "  - at: 1s\n    fault: link.cut\n    on: app -> db\n    for: 9s\n"
    "  - after: 2s\n    fault: process.kill\n    on: app\n  - when: {down: db",
)


def test_faults_of_one_instant_are_one_volley_and_ids_are_unique(tmp_path: Path) -> None:
    steps = plan(tmp_path, drill=TWO_FAULTS).steps
    assert [step.id for step in steps] == [
        "process.kill",
        "link.cut",
        "link.cut-2",
        "process.kill-2",
        "promote-standby",
    ]
    assert [step.volley for step in steps] == [0, 0, 1, 2, 3]
    assert steps[3].after_step == "link.cut-2"
    assert steps[0].place.line == 8


def test_the_deadline_counts_faults_recovery_people_and_hold(tmp_path: Path) -> None:
    assert plan(tmp_path).deadline.s == 120 + 5
    assert plan(tmp_path, pace="real").deadline.s == 120 + 120 + 5
    assert plan(tmp_path, drill=TWO_FAULTS).deadline.s == 10 + 120 + 5
    short = DRILL.replace("rto: 5m", "rto: 150s").replace("rto: 3m", "rto: 150s")
    assert plan(tmp_path, drill=short).deadline.s == 30 + 5
    assert any(
        "without recovery the run ends 35s after" in note for note in plan(tmp_path, drill=short).notes
    )


def test_recovery_criteria(tmp_path: Path) -> None:
    made = plan(tmp_path)
    assert (made.criteria["transfer"].window_ns, made.criteria["transfer"].hold_ns) == (2 * 10**9, 5 * 10**9)
    assert made.criteria["transfer"].shortened
    whole = plan(tmp_path, drill=DRILL.replace("hold: 5s, ", "").replace("rto: 5m", "rto: 10m"))
    assert whole.criteria["transfer"].hold_ns == 60 * 10**9
    assert whole.criteria["balance"].hold_ns == 30 * 10**9
    assert not whole.criteria["transfer"].shortened


def test_warnings_about_people(tmp_path: Path) -> None:
    notes = plan(tmp_path, drill=DRILL.replace("takes: 2m", "takes: 4m")).notes
    assert "balance: its RTO of 3m cannot be met, people alone take 4m" in notes
    assert not any("transfer: its RTO" in note for note in notes)


def test_wirings_and_what_is_not_applied(tmp_path: Path) -> None:
    made = plan(
        tmp_path, compose=COMPOSE.replace("    depends_on: [db]", "    depends_on: [db]\n    restart: always")
    )
    (wiring,) = made.wirings
    assert wiring.template == "postgresql://app:db@{link:app -> db}:5432,{link:app -> db2}:5432/db"
    (note,) = [note for note in made.notes if "does not apply" in note]
    assert "`restart` of app" in note
    assert any(note.startswith("db2 -> db: no variable names it") for note in made.notes)


REFUSED = [
    (
        {"system": SYSTEM.replace("  - app -> db2\n", "")},
        "system.yaml:7:1: `DATABASE_URL` of `app` names `db2`, and no link leads there\n    links:\n    ^\n"
        "    declare a link 'app -> db2'",
    ),
    (
        {"compose": COMPOSE.replace(",db2:5432", "")},
        "system.yaml:10:5: no variable of `app` names `db2`, so nothing can be pointed at this link\n",
    ),
    (
        {"system": SYSTEM.replace("  db2: {postgresql: standby}\n", "")},
        "system.yaml:30:1: nothing says how `db2` runs on `local`",
    ),
    (
        {"compose": COMPOSE.replace("    image: app:1", "    network_mode: host")},
        "compose.yaml:10:5: `app`: the runtime `local` cannot honour `network_mode`",
    ),
    (
        {"compose": COMPOSE.replace('    ports: ["127.0.0.1:8080:8080"]\n', "")},
        "system.yaml:8:5: nothing says on which port `app` listens",
    ),
    (
        {"drill": DRILL.replace("{rto: 3m}", "{rto: 5s}")},
        "system.yaml:24:3: `balance` is probed every 100ms, too slowly for an RTO of 5s",
    ),
    ({"drill": DRILL.replace("hold: 5s", "hold: 1s")}, "drill.yaml:17:16: `hold`: 1s is shorter than the window of"),
    (
        {
            "system": SYSTEM.replace("  - app -> db2\n", "").replace(
                '{LISTEN_HOST: "{address}"}', "{X_URL: 'http://elsewhere', Y_URL: 'http://db2'}"
            )
        },
        ": `Y_URL` of `app` names `db2`, and no link leads there",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("files", "says"), REFUSED, ids=[says[:60] for _, says in REFUSED])
def test_what_cannot_run_here_is_refused_by_name(tmp_path: Path, files: dict[str, str], says: str) -> None:
    assert says in refusal(tmp_path, **files)


def test_a_missing_capability_is_told_at_the_step(tmp_path: Path) -> None:
    assert refusal(tmp_path, "links").startswith(
        "drill.yaml:9:12: `process.kill` needs processes, which the runtime `local` does not offer\n"
        "        fault: process.kill\n               ^\n    `local` offers: links"
    )


def test_runbooks_and_roles_are_resolved(tmp_path: Path) -> None:
    system = SYSTEM + "runbooks:\n  fail-over: {database: promote, on: database.standby}\n"
    step = plan(tmp_path, system=system, drill=DRILL.replace("promote-standby", "fail-over")).steps[1]
    assert (step.id, step.name, step.on) == ("fail-over", "promote-standby", ("db2",))
    plain = plan(
        tmp_path,
        drill=DRILL.replace("respond: promote-standby", "respond: promote-standby\n    on: database.standby"),
    )
    assert plain.steps[1].on == ("db2",)


def test_a_fault_on_a_site_hits_every_service_of_it_in_one_instant(tmp_path: Path) -> None:
    drill = DRILL.replace("on: db\n", "on: [north, db]\n")
    assert drill != DRILL
    assert plan(tmp_path, drill=drill).steps[0].on == ("db", "app")


def test_a_response_is_not_on_a_site(tmp_path: Path) -> None:
    drill = DRILL.replace("respond: promote-standby", "respond: promote-standby\n    on: north")
    assert "no service is called 'north'" in refusal(tmp_path, drill=drill)


def test_a_plan_is_read_aloud(tmp_path: Path) -> None:
    text = planner.read_aloud(plan(tmp_path, drill=TWO_FAULTS))
    for line in (
        "db-crash: The database dies",
        "  0s: process.kill on db, until the drill's end",
        "  in the same instant: link.cut on db2 -> db, until the drill's end",
        "  1s: link.cut on app -> db, for 9s [link.cut-2]",
        "  2s after the step link.cut-2: process.kill on app, until the drill's end [process.kill-2]",
        "  when db misses 3 looks 100ms apart: the duty-manager decides (2m, modelled, not waited for), "
        "then promote-standby",
        "      direct looks, 200ms each; detection takes at most 500ms; given up after 2m: then the run is unknown",
        "  transfer: 99% of probes good in every 2s, held for 5s (shortened)",
        "  checks: books-balance",
        "  expected: pass",
        "  app        DATABASE_URL  app -> db, app -> db2",
    ):
        assert line in text.splitlines(), text


LOOK = DRILL.replace(
    "  - at: 0s\n", "  - {at: 0s, id: check, probe: alive, on: database.standby, lag: 1s}\n  - at: 2s\n"
)


def test_a_look_is_a_step_of_its_own_kind_and_a_role_is_its_service(tmp_path: Path) -> None:
    step = plan(tmp_path, drill=LOOK).steps[0]
    assert (step.kind, step.name, step.on, step.params) == ("probe", "alive", ("db2",), {"lag": "1s"})


def test_a_probe_that_cannot_look_there_is_refused_at_its_step(tmp_path: Path) -> None:
    said = refusal(tmp_path, drill=LOOK.replace("database.standby", "app"))
    assert said.startswith("drill.yaml:8:5: app is no database")
