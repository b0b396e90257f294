"""Sets of runs: what is comparable, what is flagged, and what the commands print and exit with."""

from __future__ import annotations

import math
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from chaoskit import judging
from chaoskit.cli.app import run_app
from chaoskit.evidence.manifest import head_of, write_manifest
from chaoskit.evidence.stored_run import StoredRun, load_stored_run
from chaoskit.judge.comparison import UNANSWERED, compare, values_of
from chaoskit.model.measurement import Interval, LostOperation, Measurements
from chaoskit.model.plan import Fidelity
from chaoskit.model.verdict import Outcome
from tests.histories.builder import RunBuilder, drill, plan_for

SECOND = 10**9


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One judged run folder, as a run leaves it."""
    builder = RunBuilder().crash()
    builder.usual_events()
    folder = builder.write(tmp_path_factory.mktemp("runs") / "2026-11-23T0931-primary-crash")
    judging.judge_folder(folder)
    return folder


def copies(run: StoredRun, rtas_s: Sequence[float], side: str) -> list[StoredRun]:
    """The run again and again, with other recovery times of its journeys."""
    made = []
    for number, rta_s in enumerate(rtas_s):
        known = not math.isinf(rta_s)
        rta = Interval(lo=int((rta_s if known else 60) * SECOND), hi=int(rta_s * SECOND) if known else None)
        journeys = {
            name: journey.model_copy(update={"rta": rta})
            for name, journey in run.measurements.journeys.items()
        }
        made.append(
            replace(
                run,
                measurements=run.measurements.model_copy(update={"journeys": journeys}),
                result=run.result.model_copy(update={"run": f"{side}-{number}"}),
            )
        )
    return made


REAL = Fidelity(service="db", kind="real", what="PostgreSQL 15")
USUAL = (1.10, 1.14, 1.17, 1.21, 1.26)


def test_slower_recovery_is_worse_and_quicker_is_not(judged: Path) -> None:
    run = load_stored_run(judged)
    slower = [rta * 2 for rta in USUAL]
    found = compare(copies(run, USUAL, "old"), copies(run, slower, "new"))
    assert found.outcome == "worse"
    assert {shift.metric for shift in found.shifts if shift.flagged} == {"transfer.rta, s", "balance.rta, s"}
    assert compare(copies(run, slower, "old"), copies(run, USUAL, "new")).outcome == "no worse"


def test_books_that_are_right_later_are_worse_where_data_were_destroyed(judged: Path) -> None:
    """The RTO fails by them alone: service is back as soon as ever."""
    run = load_stored_run(judged)

    def restored(side: str, right_s: Sequence[float], by: tuple[str, ...] = ("attack",)) -> list[StoredRun]:
        return [with_books(one, s, by) for one, s in zip(copies(run, USUAL, side), right_s, strict=True)]

    found = compare(restored("old", USUAL), restored("new", [9, 9.1, 9.2, 9.3, math.inf]))
    assert found.outcome == "worse"
    assert [shift.metric for shift in found.shifts if shift.flagged] == ["transfer.reconciled, s"]
    # Where nothing was destroyed nobody waits for them, and the last look is all that is known.
    assert compare(restored("old", USUAL, ()), restored("new", [9] * 5, ())).outcome == "no worse"


def with_books(run: StoredRun, right_s: float, destroyed_by: tuple[str, ...]) -> StoredRun:
    hi = None if math.isinf(right_s) else int(right_s * SECOND)
    update = {"reconciled": Interval(lo=hi or SECOND, hi=hi), "destroyed_by": destroyed_by}
    journeys = dict(run.measurements.journeys)
    journeys["transfer"] = journeys["transfer"].model_copy(update=update)
    return replace(run, measurements=run.measurements.model_copy(update={"journeys": journeys}))


def test_what_fewer_than_half_of_the_new_runs_do_is_worse_though_the_medians_are_equal(judged: Path) -> None:
    """Eight of twenty lose a payment, and none did before: the median of both is 0."""
    run = load_stored_run(judged)
    old, new = copies(run, USUAL * 4, "old"), copies(run, USUAL * 4, "new")
    losing = [replace(one, measurements=losing_one(one)) for one in new[:8]]
    found = compare(old, [*losing, *new[8:]])
    assert [shift.metric for shift in found.shifts if shift.flagged] == ["ledger.lost"]
    assert found.outcome == "worse"
    better = compare([*losing, *new[8:]], old)
    assert [shift.metric for shift in better.shifts if shift.flagged] == ["ledger.lost"]
    assert better.outcome == "no worse"


def losing_one(run: StoredRun) -> Measurements:
    """What was measured, but for one payment that is lost."""
    gone = LostOperation(key="k", journey="transfer", amount=1, currency="CNY", sent=1, done=2)
    loss = run.measurements.losses["ledger"].model_copy(update={"lost": (gone,)})
    return run.measurements.model_copy(update={"losses": {"ledger": loss}})


def test_a_check_that_fails_in_new_runs_alone_is_worse(judged: Path) -> None:
    """Payments that are made twice are in no recovery time, and in no loss."""
    run = load_stored_run(judged)
    new = [with_check(one, "nothing-doubled", "fail") for one in copies(run, USUAL, "new")]
    found = compare(copies(run, USUAL, "old"), new)
    assert [shift.metric for shift in found.shifts if shift.flagged] == ["nothing-doubled, failed"]
    assert found.outcome == "worse"
    unsure = [with_check(one, "nothing-doubled", "unknown") for one in copies(run, USUAL, "new")[:2]]
    found = compare(copies(run, USUAL, "old"), [*unsure, *copies(run, USUAL, "new")[2:]])
    assert found.outcome == "not comparable"
    assert "nothing-doubled, failed: 2 of 5 of the new runs could not measure it" in found.reasons


def with_check(run: StoredRun, name: str, outcome: Outcome) -> StoredRun:
    verdicts = tuple(
        one.model_copy(update={"outcome": outcome}) if one.name == name else one
        for one in run.result.verdicts
    )
    return replace(run, result=run.result.model_copy(update={"verdicts": verdicts}))


def test_never_recovering_is_worse_than_any_time(judged: Path) -> None:
    run = load_stored_run(judged)
    found = compare(copies(run, USUAL, "old"), copies(run, [math.inf] * 5, "new"))
    assert found.outcome == "worse"


def test_runs_without_an_answer_count_and_are_named(judged: Path) -> None:
    run = load_stored_run(judged)
    new = [
        replace(one, result=one.result.model_copy(update={"outcome": "unknown"}))
        for one in copies(run, USUAL, "new")
    ]
    found = compare(copies(run, USUAL, "old"), new)
    assert [shift.metric for shift in found.shifts if shift.flagged] == [UNANSWERED]
    assert found.outcome == "worse"
    assert "new-4" in found.notes[0]


@pytest.mark.parametrize("sides", [("old", "new"), ("old",)])
def test_runs_without_an_answer_are_no_worse_than_nothing(judged: Path, sides: Sequence[str]) -> None:
    """Their numbers may be there, and mean nothing: a run is unknown because something made them so."""
    run = load_stored_run(judged)
    runs = {side: copies(run, USUAL, side) for side in ("old", "new")}
    for side in sides:
        runs[side] = [
            replace(one, result=one.result.model_copy(update={"outcome": "unknown"})) for one in runs[side]
        ]
    found = compare(runs["old"], runs["new"])
    assert found.outcome == "not comparable"
    assert f"{UNANSWERED}: 5 of 5 of the baseline" in found.reasons


def unmeasured(run: StoredRun) -> StoredRun:
    """The run with a prober that was late where balance recovered."""
    journeys = dict(run.measurements.journeys)
    journeys["balance"] = journeys["balance"].model_copy(update={"invalid": ("the prober was late",)})
    return replace(run, measurements=run.measurements.model_copy(update={"journeys": journeys}))


def test_what_one_run_could_not_measure_is_told_and_hides_nothing_of_the_others(judged: Path) -> None:
    run = load_stored_run(judged)
    new = copies(run, [rta * 2 for rta in USUAL], "new")
    found = compare(copies(run, USUAL, "old"), [unmeasured(new[0]), *new[1:]])
    assert found.outcome == "worse"
    assert "balance.rta, s" in [shift.metric for shift in found.shifts if shift.flagged]
    assert any("balance.rta" in note and "new-0" in note for note in found.notes)
    same = copies(run, USUAL, "same")
    assert compare(copies(run, USUAL, "old"), [unmeasured(same[0]), *same[1:]]).outcome == "no worse"


@pytest.mark.parametrize("broken", ["old", "new"])
def test_nothing_flagged_says_nothing_when_many_runs_could_not_measure(judged: Path, broken: str) -> None:
    run = load_stored_run(judged)
    sides = {side: copies(run, USUAL, side) for side in ("old", "new")}
    sides[broken][:2] = [unmeasured(one) for one in sides[broken][:2]]
    found = compare(sides["old"], sides["new"])
    assert found.outcome == "not comparable"
    assert any("2 of 5" in reason and "balance.rta" in reason for reason in found.reasons)


def test_recoveries_that_no_new_run_could_measure_are_worse(judged: Path) -> None:
    run = load_stored_run(judged)
    found = compare(copies(run, USUAL, "old"), [unmeasured(one) for one in copies(run, USUAL, "new")])
    assert found.outcome == "worse"


@pytest.mark.parametrize("what", ["machine", "fidelity", "plan", "seed", "runtime", "pace"])
def test_runs_that_differ_in_what_decides_the_numbers_are_not_comparable(judged: Path, what: str) -> None:
    run = load_stored_run(judged)
    other = {
        "machine": replace(run, machine={"cpus": 64, "processor": "x86_64"}),
        "fidelity": replace(run, plan=run.plan.model_copy(update={"fidelity": (REAL,)})),
        "plan": replace(run, plan=run.plan.model_copy(update={"load": {}})),
        "seed": replace(run, plan=run.plan.model_copy(update={"seed": 99})),
        "runtime": replace(run, plan=run.plan.model_copy(update={"runtime": "docker"})),
        "pace": replace(run, plan=run.plan.model_copy(update={"pace": "real"})),
    }[what]
    found = compare(copies(run, USUAL, "old"), copies(other, USUAL, "new"))
    assert found.outcome == "not comparable"
    assert any(what in reason for reason in found.reasons)


@pytest.mark.parametrize(
    "machine",
    [
        {},
        {"cpus": 2},
        {"processor": "x86_64"},
        {"cpus": None, "processor": "x86_64"},
        {"cpus": 2, "processor": ""},
    ],
)
def test_machines_that_nobody_knows_are_not_alike(judged: Path, machine: dict[str, object]) -> None:
    """Two that say nothing of themselves may be a laptop and a server: unknown is never green."""
    run = replace(load_stored_run(judged), machine=machine)
    found = compare(copies(run, USUAL, "old"), copies(run, USUAL, "new"))
    assert found.outcome == "not comparable"
    assert found.reasons[0].startswith("machine class unknown: old-0, old-1, ")
    known = replace(run, machine={"cpus": 2, "processor": "x86_64"})
    mixed = compare(
        [*copies(known, USUAL[:4], "old"), *copies(run, USUAL[:1], "odd")], copies(known, USUAL, "new")
    )
    assert mixed.reasons == ("machine class unknown: odd-0; its first event does not say",)


@pytest.mark.parametrize(
    ("more", "alike"),
    [
        ({"cpu_quota": None, "model": ""}, True),
        ({"cpu_quota": 2.0, "model": ""}, True),
        ({"cpu_quota": 0.5, "model": ""}, False),
        ({"cpu_quota": None, "model": "another processor"}, False),
    ],
)
def test_a_processor_of_which_less_may_be_used_is_another_machine(
    judged: Path, more: dict[str, object], alike: bool
) -> None:
    """Half the time of the same two processors, or two of another make, fail over more slowly all by themselves."""
    run = load_stored_run(judged)
    known: dict[str, object] = {"cpus": 2, "processor": "x86_64"}
    old = replace(run, machine={**known, "cpu_quota": None, "model": ""})
    new = replace(run, machine={**known, **more})
    found = compare(copies(old, USUAL, "old"), copies(new, USUAL, "new"))
    assert (found.outcome == "not comparable") != alike
    if not alike:
        assert any("machine class" in reason for reason in found.reasons)


def test_run_that_was_altered_or_is_a_control_is_not_comparable(judged: Path, tmp_path: Path) -> None:
    run = load_stored_run(judged)
    control = replace(run, plan=run.plan.model_copy(update={"notes": ("CONTROL: kill not armed",)}))
    assert "control" in compare(copies(run, USUAL, "old"), copies(control, USUAL, "new")).reasons[0]
    edited = Path(shutil.copytree(judged, tmp_path / "edited"))
    edited.joinpath("measurements.json").write_text(judged.joinpath("measurements.json").read_text() + " ")
    assert run_app(["compare", str(edited), "--baseline", str(judged)]) == 3


def test_side_by_side_says_what_was_not_the_same_and_what_was_altered(
    judged: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_app(["compare", str(judged), str(judged)]) == 0
    assert "·" not in capsys.readouterr().out
    other = Path(shutil.copytree(judged, tmp_path / "other"))
    text = other.joinpath("plan.json").read_text()
    assert '"transfer":"40/s"' in text
    other.joinpath("plan.json").write_text(text.replace('"transfer":"40/s"', '"transfer":"41/s"'))
    assert run_app(["compare", str(judged), str(other)]) == 0
    said = capsys.readouterr().out
    assert "not the same load in all of them" in said
    assert f"{other}: altered: " in said


def test_altered_run_is_named_and_shows_no_head(
    judged: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    head = head_of(judged)
    assert run_app(["report", str(judged)]) == 0
    assert str(head) in capsys.readouterr().out
    edited = Path(shutil.copytree(judged, tmp_path / "edited"))
    text = edited.joinpath("result.json").read_text().replace("transfer", "transfers")
    edited.joinpath("result.json").write_text(text)
    run_app(["report", str(edited)])
    shown = capsys.readouterr().out
    assert str(head) not in shown
    assert "NOT VOUCHED FOR" in shown
    run_app(["explain", str(edited), "nothing-lost"])
    assert "NOT VOUCHED FOR" in capsys.readouterr().out
    run_app(["explain", str(judged), "nothing-lost"])
    assert "NOT VOUCHED FOR" not in capsys.readouterr().out
    run_app(["compare", str(edited), "--baseline", str(judged)])
    assert "edited: altered: result.json" in capsys.readouterr().out
    run_app(["judge", str(edited)])
    assert str(head) not in capsys.readouterr().out


def test_too_few_runs_and_the_same_run_twice_are_not_comparable(judged: Path) -> None:
    run = load_stored_run(judged)
    few = compare(copies(run, USUAL[:4], "old"), copies(run, USUAL[:4], "new"))
    assert few.outcome == "not comparable"
    assert "five on each side" in few.reasons[0]
    same = copies(run, USUAL, "old")
    assert "on both sides" in compare(same, same).reasons[0]
    again = compare([same[0]] * 5, copies(run, USUAL, "new"))
    assert again.reasons == ("the same run more than once on one side: old-0",)
    assert compare(copies(run, USUAL, "old"), [same[1]] * 5).reasons == (
        "on both sides: old-1",
        "the same run more than once on one side: old-1",
    )


def test_plan_digest_ignores_where_files_lie_and_the_seed_alone(judged: Path) -> None:
    run = load_stored_run(judged)
    moved = run.plan.model_copy(
        update={
            "drill_path": "/elsewhere/drill.yaml",
            "seed": 5,
            "system": run.plan.system.model_copy(update={"folder": "/elsewhere"}),
        }
    )
    assert replace(run, plan=moved).plan_digest == run.plan_digest
    assert replace(run, plan=run.plan.model_copy(update={"load": {}})).plan_digest != run.plan_digest


def test_values_are_of_the_run(judged: Path) -> None:
    values = values_of(load_stored_run(judged))
    assert values[UNANSWERED] == 0
    assert values["ledger.lost"] == 0
    assert values["transfer.rta, s"] == pytest.approx(4.2, abs=0.2)


def test_commands_print_side_by_side_trends_and_refuse_too_few(
    judged: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_app(["compare", str(judged), str(judged)]) == 0
    shown = capsys.readouterr().out
    assert "transfer: RTA (bounds)" in shown
    assert "nothing-lost" in shown
    assert run_app(["compare", str(judged), "--baseline", str(judged)]) == 3
    assert "not comparable" in capsys.readouterr().out
    assert run_app(["history", "--reports", str(judged.parent)]) == 0
    assert "primary-crash: 1 runs" in capsys.readouterr().out


def test_commands_refuse_what_is_no_run(
    judged: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_app(["compare", str(judged)]) == 2
    assert run_app(["compare", str(judged), str(tmp_path / "none")]) == 2
    assert run_app(["history", "nothing-like-it", "--reports", str(judged.parent)]) == 2
    assert "primary-crash" in capsys.readouterr().err
    assert run_app(["history", "--reports", str(tmp_path / "none")]) == 2


def test_history_tells_of_folders_it_leaves_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "plan.json").write_text("{}")
    assert run_app(["history", "--reports", str(tmp_path)]) == 0
    assert "left out" in capsys.readouterr().out


def test_history_counts_a_copied_run_once(
    judged: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("first", "second"):
        shutil.copytree(judged, tmp_path / name)
    assert run_app(["history", "--reports", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert "primary-crash: 1 runs" in shown
    assert f"left out: {tmp_path / 'second'}: is the run of {tmp_path / 'first'} once more" in shown


def renamed(builder: RunBuilder, name: str, machine: dict[str, object]) -> RunBuilder:
    """The run under another name, on another machine."""
    builder.events = [
        (t, kind, {**data, "run": name, "machine": machine} if kind == "run.begin" else data)
        for t, kind, data in builder.events
    ]
    return builder


def test_history_tells_variants_runtimes_and_machines_apart(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A bad day beside a good one, or a laptop beside a server, would show a trend that nothing had."""
    plan = plan_for(drill())
    small: dict[str, object] = {"cpus": 2, "processor": "x86_64"}
    for name, changed, machine in (
        ("first", plan, small),
        ("second", plan, small),
        (
            "bad-day",
            plan.model_copy(update={"system": plan.system.model_copy(update={"variant": "bad"})}),
            small,
        ),
        ("docker", plan.model_copy(update={"runtime": "docker"}), small),
        ("large", plan.model_copy(update={"load": {}}), {"cpus": 64, "processor": "x86_64"}),
        ("larger", plan, {"cpus": 64, "processor": "x86_64"}),
        ("silent", plan, {}),
    ):
        judging.judge_folder(renamed(RunBuilder(plan=changed).crash(), name, machine).write(tmp_path / name))
    assert run_app(["history", "--reports", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    heads = [line.partition("; ")[2] for line in shown.splitlines() if line.startswith("primary-crash: ")]
    assert sorted(head.partition(" (")[0] for head in heads) == [
        "docker, 2 × x86_64",
        "local, 2 × x86_64",
        "local, 64 × x86_64",
        "local, machine unknown",
        "variant bad, local, 2 × x86_64",
    ]
    assert shown.count(": 2 runs, ") == 2
    assert shown.count("the plan changed: 2 of them") == 1


def test_history_leaves_out_what_would_be_no_trend_of_the_drill(
    judged: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A proof's controls lie beside the drill's runs: a primary that nobody promoted a standby for never recovers."""
    shutil.copytree(judged, tmp_path / "run")
    builder = RunBuilder(plan=plan_for(drill()).model_copy(update={"notes": ("CONTROL: crash not armed",)}))
    for name in ("control", "edited", "unvouched"):
        builder = builder if name == "control" else RunBuilder()
        builder.crash()
        builder.events = [
            (t, kind, {**data, "run": name} if kind == "run.begin" else data)
            for t, kind, data in builder.events
        ]
        judging.judge_folder(builder.write(tmp_path / name))
    edited = tmp_path / "edited" / "measurements.json"
    edited.write_text(edited.read_text().replace('"transfer": {', '"trans\\u001b[31mfer": {', 1))
    (tmp_path / "unvouched" / "manifest.json").unlink()
    assert run_app(["history", "--reports", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert "primary-crash: 1 runs" in shown
    assert f"left out: {tmp_path / 'control'}: CONTROL: crash not armed" in shown
    assert f"left out: {tmp_path / 'edited'}: altered: measurements.json: is not the file" in shown
    assert f"left out: {tmp_path / 'unvouched'}: altered: manifest.json: is missing" in shown
    assert "\x1b" not in shown


def test_names_of_metrics_drive_no_terminal(
    judged: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder that was made anew as a whole vouches for itself."""
    folder = Path(shutil.copytree(judged, tmp_path / "run"))
    path = folder / "measurements.json"
    text = path.read_text().replace('"transfer": {', '"trans\\u001b[31mfer": {', 1)
    assert text != path.read_text()
    path.write_text(text)
    write_manifest(folder)
    assert run_app(["history", "--reports", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert "rta, s" in shown
    assert "\x1b" not in shown
