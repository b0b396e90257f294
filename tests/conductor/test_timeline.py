"""Volleys, triggers, deadlines, `for:` and what fails: each against a run that has it."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from chaoskit import registry
from chaoskit.conductor.leases import read
from chaoskit.model.drill import When
from chaoskit.model.member import Witness
from tests.conductor.fake_estate import World
from tests.conductor.staging import DECISION, down, fault, plan_of, play, response, seconds


def test_a_volley_is_armed_whole_before_anything_is_applied_and_hits_in_one_instant(tmp_path: Path) -> None:
    steps = (
        fault("cut", "gateway -> db", name="fake.latency", at=seconds(1)),
        fault("crash", "db", "db-standby", at=seconds(1)),
    )
    played = play(tmp_path, plan_of(*steps, response(when=down())))
    held = [i for i, kind in enumerate(played.kinds) if kind == "lease.held"]
    begun = [i for i, kind in enumerate(played.kinds) if kind == "fault.begin"]
    assert len(held) == len(begun) == 3
    assert max(held) < min(begun)
    los = [data["lo"] for data in played.of("fault.begin")]
    assert max(los) - min(los) < 1_000_000
    assert los[0] - played.at("timeline.zero") == pytest.approx(1e9, abs=2e6)
    assert {data["target"] for data in played.of("fault.witnessed")} == {"gateway -> db", "db", "db-standby"}
    assert sorted(lease.id for lease in read(tmp_path / "state")) == ["crash.1", "crash.2", "cut.1"]


def test_the_baseline_is_from_before_the_fault(tmp_path: Path) -> None:
    played = play(tmp_path, plan_of(fault(at=seconds(1)), response(when=down())))
    assert played.world.done.index("baseline db") < played.world.done.index("apply db")


def test_a_baseline_that_can_no_longer_be_had_quickly_is_the_one_from_the_beginning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[int] = []

    async def slow_later(self: Any, target: str, estate: Any) -> str:
        looks.append(estate.world.loop.clock())
        await asyncio.sleep(0 if len(looks) == 1 else 5)
        return "before"

    monkeypatch.setattr("tests.conductor.staging.FakeKill.baseline", slow_later)
    played = play(tmp_path, plan_of(fault(at=seconds(2)), response(when=down())))
    begun = played.at("fault.begin") - played.at("timeline.zero")
    assert begun == pytest.approx(2e9, abs=2e6)
    assert len(looks) == 2
    assert "fault.witnessed" in played.kinds


@pytest.mark.parametrize(("took_s", "seen"), [(2.0, ["fresh"]), (60.0, [])])
def test_a_baseline_that_must_be_from_just_before_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, took_s: float, seen: list[str]
) -> None:
    """Processes that ended long ago are no sign of a kill."""
    looks, witnessed = list[str](), list[str]()

    async def slow_later(self: Any, target: str, estate: Any) -> str:
        looks.append(target)
        await asyncio.sleep(0 if len(looks) == 1 else took_s)
        return "stale" if len(looks) == 1 else "fresh"

    async def witness(self: Any, target: str, estate: Any, baseline: str) -> Witness:
        witnessed.append(baseline)
        return Witness(True, estate.world.loop.clock(), "the kernel")

    monkeypatch.setattr("tests.conductor.staging.FakeKill.baseline", slow_later)
    monkeypatch.setattr("tests.conductor.staging.FakeKill.witness", witness)
    monkeypatch.setattr("tests.conductor.staging.FakeKill.renewed", True, raising=False)
    played = play(tmp_path, plan_of(fault(at=seconds(2)), response(when=down())))
    assert witnessed == seen
    assert played.one("run.end")["ended"] == ("complete" if seen else "broken")


def test_faults_that_are_known_by_processes_that_are_gone_renew_what_they_know() -> None:
    known_by = {"process.kill", "service.stop", "host.loss", "upgrade.roll-out"}
    assert {
        name for name, one in registry.members("faults").items() if getattr(one, "renewed", False)
    } == known_by


def test_a_look_is_a_fact_that_others_can_wait_for_and_decides_nothing(tmp_path: Path) -> None:
    looks = [
        fault("before", kind="probe", name="fake", volley=2, at=seconds(0)),
        fault("after", "db", "db-standby", kind="probe", name="fake", volley=3, when=When(begun="crash")),
    ]
    steps = (*looks, fault(at=seconds(1)), response(when=When(done="before"), after=seconds(1.5)))
    played = play(tmp_path, plan_of(*steps))
    told = [(data["step"], data["target"], data["ok"]) for data in played.of("probe.looked")]
    assert told == [("before", "db", True), ("after", "db", False), ("after", "db-standby", False)]
    assert played.at("probe.looked", step="before") < played.at("fault.begin")
    assert "response.done" in played.kinds
    assert played.one("run.end")["ended"] == "complete"


def test_a_look_that_cannot_be_had_is_not_ok_and_the_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unreachable(self: Any, service: str, estate: Any, timeout_s: float) -> Any:
        raise ConnectionRefusedError("nobody is there")

    monkeypatch.setattr("tests.conductor.staging.FakeProbe.look", unreachable)
    look = fault("look", kind="probe", name="fake", volley=2, at=seconds(0))
    later = response(when=When(begun="crash"), after=seconds(0.5))
    played = play(tmp_path, plan_of(look, fault(at=seconds(1)), later))
    assert played.one("probe.looked")["ok"] is False
    assert "nobody is there" in played.one("probe.looked")["detail"]
    assert played.one("run.end")["ended"] == "complete"


def test_detection_knows_no_injector_and_says_its_period(tmp_path: Path) -> None:
    played = play(tmp_path, plan_of(fault(at=seconds(1)), response(when=down())))
    alert = played.one("detect.alert")
    misses = played.of("detect.miss")
    assert (alert["misses"], alert["period_ns"], alert["false_alarm"]) == (3, 100_000_000, False)
    assert len(misses) == 3
    assert alert["first_miss"] == misses[0]["sent"]
    gaps = [b["sent"] - a["sent"] for a, b in pairwise(misses)]
    assert gaps == pytest.approx([1e8, 1e8], abs=2e6)
    # Looks before the fault went out on the same schedule: the first is told, the others only counted.
    assert played.of("detect.ok")[0]["sent"] < played.at("fault.begin")


def test_one_good_look_starts_the_count_again(tmp_path: Path) -> None:
    async def flap(world: World, stop: asyncio.Event) -> None:
        while "apply db" not in world.done:  # noqa: ASYNC110 - time is virtual
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.22)
        world.alive = True
        await asyncio.sleep(0.1)
        world.alive = False

    played = play(tmp_path, plan_of(fault(), response(when=down())), flap)
    assert played.of("detect.ok")[-1]["sent"] > played.at("fault.begin")
    alert = played.one("detect.alert")
    assert alert["first_miss"] > played.of("detect.ok")[-1]["sent"]


def test_a_false_alarm_before_any_fault_ends_the_run_without_an_answer(tmp_path: Path) -> None:
    async def blink(world: World, stop: asyncio.Event) -> None:
        await asyncio.sleep(4)
        world.alive = False

    played = play(tmp_path, plan_of(fault(at=seconds(5)), response(when=down())), blink)
    assert played.one("detect.alert")["false_alarm"] is True
    end = played.one("run.end")
    assert end["ended"] == "broken"
    assert "false alarm" in end["reason"]
    assert "fault.begin" not in played.kinds


def test_what_was_down_before_any_fault_was_not_found_by_the_fault(tmp_path: Path) -> None:
    """The first misses came before it: a time to detect from the fault on would be too short, or none at all."""

    async def blink(world: World, stop: asyncio.Event) -> None:
        await asyncio.sleep(7.85)  # 1 s to provision and 2 s steady: 0.15 s before the fault
        world.alive = False

    played = play(tmp_path, plan_of(fault(at=seconds(5)), response(when=down())), blink)
    alert = played.one("detect.alert")
    assert alert["first_miss"] < played.at("fault.begin") < played.at("detect.alert")
    assert alert["false_alarm"] is True
    end = played.one("run.end")
    assert end["ended"] == "broken"
    assert "false alarm" in end["reason"]


def test_a_wait_that_passes_is_a_failed_step_and_a_timeout(tmp_path: Path) -> None:
    steps = (
        fault("slow", "gateway -> db", name="fake.latency"),
        response(when=down(within=seconds(1.5))),
    )
    played = play(tmp_path, plan_of(*steps))
    assert played.one("step.failed")["error"] == "promote: db down did not happen within 1.5s"
    assert played.one("run.end")["ended"] == "timeout"
    assert played.at("run.end") - played.at("timeline.zero") < 3e9
    assert played.one("lease.undone") == {"id": "slow.1"}


def test_within_counts_from_the_latest_planned_fault(tmp_path: Path) -> None:
    played = play(
        tmp_path, plan_of(fault(at=seconds(4)), response(when=down(within=seconds(1)))), provision_s=0.1
    )
    assert played.one("run.end")["ended"] == "complete"
    assert "step.failed" not in played.kinds


def test_a_wait_has_patience_with_what_the_drill_itself_takes_its_time_for(tmp_path: Path) -> None:
    """A lived decision of two minutes and an `after` of one: the steps that wait for them have 5 s each."""
    steps = (
        fault(),
        response("decided", when=down(within=seconds(5)), decision=DECISION),
        response("later", when=When(done="decided", within=seconds(5)), after=seconds(60)),
        response("last", when=When(begun="later", within=seconds(5))),
    )
    played = play(tmp_path, plan_of(*steps, pace="real", deadline=seconds(400)))
    assert "step.failed" not in played.kinds
    assert [data["step"] for data in played.of("response.done")] == ["decided", "last", "later"]


def test_for_undoes_the_fault_after_its_time(tmp_path: Path) -> None:
    steps = (fault("slow", "gateway -> db", name="fake.latency", for_=seconds(3)),)
    played = play(tmp_path, plan_of(*steps))
    lasted = played.at("fault.undone") - played.at("fault.applied")
    assert lasted == pytest.approx(3e9, abs=5e6)
    # What the lifting does to the customers is still observed for W.
    assert played.at("measurer.end") - played.at("fault.undone") >= 2e9
    assert [lease.state for lease in read(tmp_path / "state")] == ["undone"]


def test_for_thaws_a_fenced_service_too_for_the_drill_says_so(tmp_path: Path) -> None:
    steps = (fault("freeze", "db", name="fake.freeze", for_=seconds(4)), response(when=down()))
    played = play(tmp_path, plan_of(*steps))
    assert played.at("lease.superseded") < played.at("lease.undone")
    assert played.at("fault.undone") - played.at("fault.applied") == pytest.approx(4e9, abs=5e6)
    assert played.one("run.end")["ended"] == "complete"


def test_a_superseded_lease_is_never_undone_by_the_drills_end(tmp_path: Path) -> None:
    played = play(tmp_path, plan_of(fault("freeze", "db", name="fake.freeze"), response(when=down())))
    assert "lease.undone" not in played.kinds
    assert not any(note.startswith("undo") for note in played.world.done)
    assert [lease.state for lease in read(tmp_path / "state")] == ["superseded"]


def test_when_done_and_after_order_steps(tmp_path: Path) -> None:
    steps = (
        fault("slow", "gateway -> db", name="fake.latency", for_=seconds(1)),
        fault("crash", "db", volley=2, when=When(done="slow"), after=seconds(0.5)),
        response("first", when=When(begun="crash")),
        response("second", after_step="first", after=seconds(1)),
    )
    played = play(tmp_path, plan_of(*steps))
    crash = played.at("fault.begin", step="crash") - played.at("fault.undone", step="slow")
    assert crash == pytest.approx(0.5e9, abs=5e6)
    assert played.at("response.begin", step="first") >= played.at("fault.applied", step="crash")
    gap = played.at("response.begin", step="second") - played.at("response.done", step="first")
    assert gap == pytest.approx(1e9, abs=5e6)


def test_when_recovered_waits_for_the_journeys_whole_window(tmp_path: Path) -> None:
    steps = (fault(), response(when=down()), response("again", when=When(recovered="pay")))
    played = play(tmp_path, plan_of(*steps, deadline=seconds(30)))
    back = played.at("response.begin", step="again") - played.at("response.done", step="promote")
    assert 2e9 <= back < 2.4e9
    assert played.one("run.end")["ended"] == "complete"


def test_a_response_that_fails_is_a_finding_and_the_run_goes_on(tmp_path: Path) -> None:
    steps = (
        fault(),
        response(when=down(), params={"fails": True}),
        response("next", when=When(done="promote")),
    )
    played = play(tmp_path, plan_of(*steps))
    assert played.one("response.failed") == {
        "step": "promote",
        "error": "the standby would not leave recovery",
    }
    assert played.one("step.skipped")["step"] == "next"
    end = played.one("run.end")
    assert (end["ended"], "not recovered: pay" in end["reason"]) == ("complete", True)


def test_a_fault_that_cannot_be_done_leaves_no_experiment(tmp_path: Path) -> None:
    played = play(tmp_path, plan_of(fault(params={"fails": True}), response(when=down())))
    assert played.one("fault.failed")["error"] == "OSError: no such process"
    assert played.one("run.end")["ended"] == "broken"
    assert "fault.applied" not in played.kinds


def test_no_witness_is_recorded_and_the_run_goes_on(tmp_path: Path) -> None:
    played = play(tmp_path, plan_of(fault(params={"unseen": True}), response(when=down())))
    assert played.one("fault.unwitnessed")["target"] == "db"
    assert "fault.witnessed" not in played.kinds
    assert played.one("run.end")["ended"] == "complete"


def test_a_member_that_crashes_ends_the_run_and_says_which(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(self: Any, on: Any, context: Any) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("tests.conductor.staging.FakePromote.run", broken)
    played = play(tmp_path, plan_of(fault(), response(when=down())))
    assert played.one("run.end")["ended"] == "broken"
    assert played.one("run.end")["reason"] == "promote (fake.promote) crashed: ZeroDivisionError: a bug"


def test_a_paced_decision_sleeps_its_pace(tmp_path: Path) -> None:
    decision = DECISION.model_copy(update={"pace": seconds(2)})
    played = play(tmp_path, plan_of(fault(), response(when=down(), decision=decision)))
    end = played.one("decision.end")
    assert end["slept_ns"] == pytest.approx(2e9, abs=2e6)
    assert end["takes_ns"] == 120 * 10**9
