"""Mistakes in drill files: each told at its place, with the value, what is allowed and the nearest word."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaoskit import spec
from chaoskit.errors import InputError
from tests.spec import sample_files
from tests.spec.fake_members import FakeRegistry


def load(folder: Path, **files: str) -> spec.Loaded:
    return spec.load(sample_files.write(folder, **files), FakeRegistry(), {})


def refusal(folder: Path, **files: str) -> str:
    with pytest.raises(InputError) as caught:
        load(folder, **files)
    return str(caught.value).replace(f"{folder}/", "").replace(str(folder), "")


def test_a_right_drill_is_frozen_types(tmp_path: Path) -> None:
    loaded = load(tmp_path)
    step = loaded.drill.timeline[0]
    assert (step.fault, step.on, step.at and step.at.ns) == ("process.kill", ("db",), 0)
    assert str(loaded.drill.load["transfer"]) == "40/s"
    assert loaded.system.services["app"].ports == (8080,)
    assert loaded.system.journeys["transfer"].url == "app/transfers"
    assert str(loaded.places.at("timeline", 1, "when")).endswith("drill.yaml:11:11")


def test_links_are_spaced_alike_and_parameters_stand_beside_on(tmp_path: Path) -> None:
    text = sample_files.DRILL.replace(
        "    fault: process.kill\n    on: db\n",
        "    fault: link.latency\n    on: [app->db, 'app ->   db2']\n    latency: 400ms\n    stream-side: down\n",
    )
    step = load(tmp_path, drill=text).drill.timeline[0]
    assert step.on == ("app -> db", "app -> db2")
    assert step.params == {"latency": "400ms", "stream-side": "down"}
    member = spec.build(FakeRegistry().members("faults")["link.latency"], step.params)
    assert (str(member.latency), member.stream_side) == ("400ms", "down")


ONE_MISTAKE = [
    ("title: The database dies\n", "", "drill.yaml:1:1: `title` is missing"),
    (
        "title:",
        "titel:",
        "drill.yaml:1:1: `title` is missing",
    ),
    ("seed: 7", "seed: no", "drill.yaml:4:7: `seed`: 'no' is no whole number"),
    ("seed: 7", "seed: -1", "drill.yaml:4:7: `seed`: -1 is out of range: at least 0"),
    ("seed: 7", "seed: 7.0", "drill.yaml:4:7: `seed`: 7.0 is no whole number"),
    ("drill: db-crash", "drill: Db crash", "drill.yaml:1:8: `drill`: 'Db crash' does not fit"),
    ("40/s,", "40,", "drill.yaml:5:18: `transfer`: 40 is no rate; write it with its unit, like 40/s"),
    ("balance: 20/s", "ballance: 20/s", "drill.yaml:5:24: no journey is called 'ballance'"),
    (
        "for: 5s, succ",
        "for: 5, succ",
        "drill.yaml:6:15: `for`: 5 is no duration; write it with its unit, like 90s",
    ),
    ("for: 5s, succ", "for: 0s, succ", "drill.yaml:6:15: `for` is 0"),
    ("99.5%", "995%", "drill.yaml:6:28: `success`: '995%' is more than 100%"),
    ("p99: 250ms", "p98: 250ms", "drill.yaml:6:35: unknown key `p98`"),
    ("process.kill", "process.kil", "drill.yaml:9:12: no fault is called 'process.kil'"),
    (
        "on: db\n",
        "on: dbb\n",
        "drill.yaml:10:9: no service or site is called 'dbb'\n        on: dbb\n            ^\n    did you mean `db`",
    ),
    ("on: db\n", "on: [db, db]\n", "drill.yaml:10:5: 'db' is named twice"),
    (
        "on: db\n",
        "on: app -> db\n",
        "drill.yaml:10:9: `process.kill` hits a service, not the link 'app -> db'",
    ),
    ("on: db\n", "on: db\n    power: 3\n", "drill.yaml:11:5: `process.kill` has no parameter `power`"),
    ("    on: db\n", "", "drill.yaml:9:5: 'process.kill' needs `on:`, what it hits"),
    (
        "on: db\n",
        "on: db\n    decision: {role: a, takes: 1s}\n",
        "drill.yaml:11:5: `decision` stands before a response",
    ),
    ("on: db\n", "on: db\n    for: 0ms\n", "drill.yaml:11:10: `for` is 0"),
    ("at: 0s", "after: 0s", "drill.yaml:8:5: `after` alone follows the step before, and there is none"),
    (
        "- at: 0s",
        "- at: 0s\n    after: 1s",
        "drill.yaml:8:5: `at` and `when`/`after` are two ways to start a step",
    ),
    ("- at: 0s\n    fault", "- fault", "drill.yaml:8:5: nothing starts this step"),
    ("down: db", "down: dbb", "drill.yaml:11:18: no service is called 'dbb'"),
    ("down: db", "down: db, recovered: balance", "drill.yaml:11:11: `when` names exactly one event"),
    (
        "down: db, every",
        "recovered: balance, every",
        "drill.yaml:11:32: `every` belongs to `when: {down: …}`",
    ),
    (
        "{down: db, every: 100ms, misses: 3}",
        "{done: nothing}",
        "drill.yaml:11:18: no step is called 'nothing'",
    ),
    (
        "{down: db, every: 100ms, misses: 3}",
        "{done: promote-standby}",
        "drill.yaml:11:11: `promote-standby` waits for",
    ),
    ("misses: 3", "misses: 0", "drill.yaml:11:44: `misses`: 0 is out of range: at least 1"),
    ("every: 100ms", "every: 0s", "drill.yaml:11:29: `every` is 0"),
    ("promote-standby", "promote-standbye", "drill.yaml:12:14: no response is called 'promote-standbye'"),
    ("takes: 2m", "takes: 2", "drill.yaml:13:43: `takes`: 2 is no duration"),
    (
        "takes: 2m}",
        "takes: 2m}\n    for: 3s",
        "drill.yaml:14:5: `for` undoes a fault; nothing else is undone",
    ),
    (
        "    fault: process.kill\n",
        "    fault: process.kill\n    probe: alive\n",
        "drill.yaml:10:5: a step has exactly one of `fault`, `respond`, `probe`",
    ),
    ("fault: process.kill", "probe: alife", "drill.yaml:9:12: no probe is called 'alife'"),
    ("fault: process.kill", "probe: alive\n    lag: 2", "drill.yaml:10:10: `lag`: 2 is no duration"),
    ("fault: process.kill", "probe: alive\n    for: 2s", "drill.yaml:10:5: `for` undoes a fault"),
    (
        "fault: process.kill\n    on: db",
        "probe: alive",
        "drill.yaml:9:5: 'alive' needs `on:`, what it looks at",
    ),
    (
        "fault: process.kill\n    on: db",
        "probe: alive\n    on: app -> db",
        "drill.yaml:10:9: `alive` looks at a service, not the link 'app -> db'",
    ),
    ("takes: 2m}", "takes: 2m}\n    catch-up: soon", "drill.yaml:14:15: `catch-up`: 'soon' is no duration"),
    ("transfer: {rto: 5m", "transfer: {rot: 5m", "drill.yaml:15:14: unknown key `rot`"),
    ("lost: 0", "lost: -1", "drill.yaml:15:29: `lost`: -1 is out of range: at least 0"),
    (
        "balance: {rto: 3m}",
        "balance: {lost: 0}",
        "drill.yaml:16:13: `lost`: no books say what `balance` moved",
    ),
    ("balance: {rto: 3m}", "balance: {}", "drill.yaml:16:3: `balance` asks for nothing"),
    ("balance: 20/s}", "}", "drill.yaml:16:3: nothing drives the journey `balance`"),
    ("[books-balance]", "[books-balanse]", "drill.yaml:18:10: no check is called 'books-balanse'"),
    ("system: system.yaml", "system: nowhere.yaml", "drill.yaml:3:9: 'nowhere.yaml': no such system file"),
    (
        "seed: 7",
        "variant: fats",
        "drill.yaml:4:10: the system has no variant 'fats'\n    variant: fats\n             ^\n    did",
    ),
    ("checks:", "expect: fail\nchecks:", "drill.yaml:18:9: `expect`: 'fail' is not allowed"),
    (
        "checks:",
        "expect: {fail: transfer.rpo}\nchecks:",
        "drill.yaml:18:16: 'transfer.rpo' is neither an objective nor",
    ),
    ("checks:", "expect: {fail: []}\nchecks:", "drill.yaml:18:16: `fail`: at least one entry is needed"),
    (
        "seed: 7",
        "variant: fast\nexpect: {fast: pass, fats: pass}",
        "drill.yaml:5:22: the system has no variant 'fats'\n    expect",
    ),
    (
        "misses: 3}",
        "misses: 3, within: 200ms}",
        "drill.yaml:11:55: `within`: 200ms is over before it can be seen",
    ),
    (
        "checks:",
        "abort: {if: latency > 3, for: 1m}\nchecks:",
        "drill.yaml:18:13: `if`: 'latency > 3' does not fit",
    ),
    (
        "checks:",
        "abort: {if: success < 0.0%, for: 1m}\nchecks:",
        "drill.yaml:18:13: `if`: 'success < 0.0%': no share is less",
    ),
    (
        "checks:",
        "abort: {if: success < 101%, for: 1m}\nchecks:",
        "drill.yaml:18:13: `if`: 'success < 101%': every share is less",
    ),
    ("checks:", "matrix: {sed: [1]}\nchecks:", "drill.yaml:18:10: `matrix` cannot vary `sed`"),
    ("checks:", "matrix: {seed: []}\nchecks:", "drill.yaml:18:16: `seed` has no values"),
    (
        "checks:",
        "matrix: {timeline.7.at: [1s]}\nchecks:",
        "drill.yaml:18:10: `timeline.7.at` leads nowhere in this",
    ),
]


@pytest.mark.parametrize(
    ("old", "new", "says"), ONE_MISTAKE, ids=[says.split(": ")[1][:40] for *_, says in ONE_MISTAKE]
)
def test_one_mistake_is_told_at_its_place(tmp_path: Path, old: str, new: str, says: str) -> None:
    assert old in sample_files.DRILL
    said = refusal(tmp_path, drill=sample_files.DRILL.replace(old, new, 1))
    assert said.startswith(says)


@pytest.mark.parametrize(
    ("old", "new", "says"), ONE_MISTAKE, ids=[says.split(": ")[1][:40] for *_, says in ONE_MISTAKE]
)
def test_one_mistake_is_told_once(tmp_path: Path, old: str, new: str, says: str) -> None:
    with pytest.raises(InputError) as caught:
        load(tmp_path, drill=sample_files.DRILL.replace(old, new, 1))
    places = [str(problem).split(": ")[0] for problem in caught.value.problems]
    assert len(places) == len(set(places)) or "title" in says


def test_the_only_step_that_is_wrong_does_not_leave_its_timeline_empty(tmp_path: Path) -> None:
    lines = sample_files.DRILL.splitlines(keepends=True)
    begin = next(n for n, line in enumerate(lines) if line.startswith("timeline:"))
    end = next(n for n, line in enumerate(lines) if n > begin and not line.startswith(" "))
    only = [*lines[: begin + 1], "  - at: -1s\n", "    fault: process.kill\n", "    on: db\n", *lines[end:]]
    with pytest.raises(InputError) as caught:
        load(tmp_path, drill="".join(only))
    assert ["`at`: '-1s' is no duration" in str(one) for one in caught.value.problems] == [True]


def test_every_mistake_of_every_file_is_told_at_once(tmp_path: Path) -> None:
    said = refusal(
        tmp_path,
        drill=sample_files.DRILL.replace("seed: 7", "seed: x").replace("on: db\n", "on: dd\n"),
        system=sample_files.SYSTEM.replace("app -> db2", "app -> db3").replace(
            "db: {postgresql: primary}", "db: {}"
        ),
        compose=sample_files.COMPOSE.replace("[db]", "[dbx]").replace("expose: [5432]", "expose: [99999]"),
    )
    for place in (
        "drill.yaml:4:7: `seed`: 'x' is no whole number",
        "drill.yaml:10:9: no service or site is called 'dd'",
        "system.yaml:10:5: no service is called 'db3'",
        "system.yaml:31:3: `db` needs exactly one of run, postgresql",
        "compose.yaml:4:14: `expose`: '99999' is no port",
        "compose.yaml:14:17: `app` depends on 'dbx': no such service",
    ):
        assert place in said


def test_problems_come_in_file_order(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        load(
            tmp_path, drill=sample_files.DRILL.replace("seed: 7", "seed: x").replace("drill: db", "drill: DB")
        )
    lines = [problem.location.line for problem in caught.value.problems if not isinstance(problem, str)]
    assert lines == sorted(lines) == [1, 4]


def test_anchors_and_merge_keys_work_in_drills(tmp_path: Path) -> None:
    text = sample_files.DRILL.replace("  balance: {rto: 3m}", "  balance: {<<: *x, rto: 3m}").replace(
        "transfer: {rto: 5m, lost: 0}", "transfer: {<<: &x {success: 10%}, rto: 5m, lost: 0}"
    )
    assert str(load(tmp_path, drill=text).drill.objectives["balance"].success) == "10%"


def test_an_unknown_key_comes_with_its_caret_and_the_nearest_word(tmp_path: Path) -> None:
    said = refusal(tmp_path, drill=sample_files.DRILL.replace("seed: 7", "sed: 7"))
    assert said == (
        "drill.yaml:4:1: unknown key `sed`\n"
        "    sed: 7\n"
        "    ^\n"
        "    did you mean `seed` or `steady`? allowed: abort, absent, checks, drill, expect, load, matrix, objectives, "
        "repeat, seed, settle, steady, system, tags, timeline, title, variant, why"
    )


MATRIX = sample_files.DRILL + "matrix: {seed: [1, 2], steady.p99: [100ms], variant: [fast, ~]}\n"


def test_a_matrix_makes_cells(tmp_path: Path) -> None:
    cells = spec.cells(load(tmp_path, drill=MATRIX))
    assert [name for name, _ in cells] == [
        "seed=1,steady.p99=100ms,variant=fast",
        "seed=1,steady.p99=100ms,variant=",
        "seed=2,steady.p99=100ms,variant=fast",
        "seed=2,steady.p99=100ms,variant=",
    ]
    drill = cells[2][1].drill
    assert (drill.seed, str(drill.steady.p99), drill.variant, drill.matrix) == (2, "100ms", "fast", {})
    assert cells[2][1].system.services["app"].environment["SPEED"] == "fast"
    assert "SPEED" not in cells[3][1].system.services["app"].environment


def test_a_cell_that_does_not_fit_is_told_in_the_matrix(tmp_path: Path) -> None:
    loaded = load(tmp_path, drill=sample_files.DRILL + "matrix:\n  seed:\n    - 1\n    - x\n")
    with pytest.raises(
        InputError, match=r"drill.yaml:22:7: in the cell seed=x: `seed`: 'x' is no whole number"
    ):
        spec.cells(loaded)


def test_without_a_matrix_the_drill_is_its_only_cell(tmp_path: Path) -> None:
    loaded = load(tmp_path)
    assert spec.cells(loaded) == (("", loaded),)
