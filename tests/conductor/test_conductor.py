"""A whole run on a fake estate: phases, order, endings, and that nothing is forgotten whatever happens."""

from __future__ import annotations

import asyncio
import json
import os
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from chaoskit.conductor.leases import read
from chaoskit.conductor.stage import Controls
from chaoskit.errors import EnvironmentBroken
from chaoskit.evidence import room
from chaoskit.evidence.chain import verify
from chaoskit.evidence.seal import seal_problems
from chaoskit.model.estate import Exit, ProxyHeldUp, ProxyRestart
from chaoskit.model.lease import NothingToUndo, Undo
from tests.conductor.fake_estate import FakeEstate, World
from tests.conductor.staging import ABORT, DECISION, FakeKill, down, fault, plan_of, play, response, seconds


def test_a_run_from_steady_to_seal(tmp_path: Path) -> None:
    played = play(tmp_path, plan_of(fault(), response(when=down(), decision=DECISION)))
    assert played.one("run.end")["ended"] == "complete"
    phases = [data["name"] for data in played.of("phase") if data["state"] == "begin"]
    assert phases == [
        *(
            "provision",
            "slot",
            "steady",
            "timeline",
            "hold",
            "quiesce",
            "collect",
            "release",
            "close",
            "leases",
        )
    ]
    order = [
        *("run.begin", "estate.ready", "steady.ok", "link.traffic", "lease.held", "timeline.zero"),
        *("fault.begin", "fault.applied", "fault.witnessed", "detect.miss", "detect.alert", "decision.begin"),
        *("decision.end", "response.begin", "lease.superseded", "response.fact", "response.done"),
        *("journey.recovered", "measurer.end", "estate.closed", "run.end", "seal"),
    ]
    first = {kind: played.kinds.index(kind) for kind in order}
    assert list(first.values()) == sorted(first.values())
    assert played.heard == played.events
    assert seal_problems(played.folder, played.one("seal")["files"]) == ()
    assert {"ops/load.jsonl", "ops/prober.jsonl", "leases.json"} <= set(played.one("seal")["files"])


def test_own_time_is_small(tmp_path: Path) -> None:
    played = play(tmp_path, plan_of(fault(), response(when=down(), decision=DECISION)))
    recovered = played.one("journey.recovered")["at"] - played.at("timeline.zero")
    needed = 1.0 + 2.0 + recovered / 1e9 + 2.0  # provision, steady, fault to recovery, hold
    assert played.seconds - needed < 0.3


def test_what_is_done_meanwhile_comes_after_the_last_customer_and_stops_nothing(tmp_path: Path) -> None:
    journals: list[str] = []

    def fails() -> None:
        journals.append((tmp_path / "run" / "events.jsonl").read_text(encoding="utf-8"))
        raise RuntimeError("a thread of no importance")

    played = play(tmp_path, plan_of(fault(), response(when=down())), meanwhile=fails)
    assert played.one("run.end")["ended"] == "complete"
    (journal,) = journals
    assert '"kind":"measurer.end"' in journal
    assert '"kind":"estate.closed"' not in journal


def test_the_lease_is_on_disk_before_the_fault_is_applied(tmp_path: Path) -> None:
    seen: list[int] = []

    async def look(world: World, stop: asyncio.Event) -> None:
        while "apply db" not in world.done:  # noqa: ASYNC110 - time is virtual
            await asyncio.sleep(0.0005)
        seen.append(len(read(tmp_path / "state")))

    play(tmp_path, plan_of(fault(), response(when=down())), look)
    assert seen == [1]


def test_a_modelled_decision_is_not_slept_and_a_lived_one_is(tmp_path: Path) -> None:
    steps = (fault(), response(when=down(), decision=DECISION))
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    modelled = play(tmp_path / "a", plan_of(*steps))
    assert modelled.one("decision.end") == {
        **{"step": "promote", "role": "duty-manager"},
        **{"takes_ns": 120 * 10**9, "slept_ns": 0},
    }
    lived = play(tmp_path / "b", plan_of(*steps, pace="real", deadline=seconds(300)))
    assert lived.one("decision.end")["slept_ns"] == pytest.approx(120e9, rel=0.01)
    assert lived.one("run.end")["ended"] == "complete"


def test_steady_state_that_is_never_reached_stops_before_the_first_fault(tmp_path: Path) -> None:
    async def sick(world: World, stop: asyncio.Event) -> None:
        world.up = False

    played = play(tmp_path, plan_of(fault()), sick)
    assert "fault.begin" not in played.kinds
    assert played.one("steady.failed")["at"] == "before"
    end = played.one("run.end")
    assert end["ended"] == "broken"
    assert "pay: 0.00% good" in end["reason"]
    assert played.world.done[-1] == "close"


def test_a_slow_system_is_not_steady(tmp_path: Path) -> None:
    async def slow(world: World, stop: asyncio.Event) -> None:
        world.latency_s = 0.4

    played = play(tmp_path, plan_of(fault()), slow)
    assert "p99 400.0 ms, at most 250ms wanted" in played.one("run.end")["reason"]


def _slow_from_recovery(until_s: float) -> Any:
    async def slow(world: World, stop: asyncio.Event) -> None:
        world.slow_after_s = until_s

    return slow


def test_a_steady_state_that_comes_back_late_is_waited_for_and_told(tmp_path: Path) -> None:
    played = play(tmp_path, plan_of(fault(), response(when=down())), _slow_from_recovery(4.0))
    before, after = played.of("steady.ok")
    assert (before["at"], after["at"]) == ("before", "after")
    # W is 2 s and steady.for 2 s: slow for 4 s, then well for the whole of `for`, 4 s after W.
    assert after["waited_ns"] / 1e9 == pytest.approx(4.0, abs=0.4)
    assert after["journeys"]["pay"]["scheduled"] >= 40, "steady.for, not half the hold"
    assert not played.of("steady.failed")


def test_a_steady_state_that_does_not_come_back_ends_the_run_after_within(tmp_path: Path) -> None:
    played = play(tmp_path, plan_of(fault(), response(when=down())), _slow_from_recovery(100.0))
    failed = played.one("steady.failed")
    assert failed["at"] == "after"
    assert "p99 400.0 ms, at most 250ms wanted" in failed["reason"]
    assert failed["waited_ns"] / 1e9 == pytest.approx(6.0, abs=0.3)
    assert played.one("run.end")["ended"] == "complete"


def test_a_steady_state_is_waited_for_to_the_deadline_at_most(tmp_path: Path) -> None:
    plan = plan_of(fault(), response(when=down()), deadline=seconds(4))
    failed = play(tmp_path, plan, _slow_from_recovery(100.0)).one("steady.failed")
    assert 0 < failed["waited_ns"] / 1e9 < 2.5


def test_a_fault_that_is_seen_late_is_waited_for_as_much_longer(tmp_path: Path) -> None:
    """What never recovers is "more than" what was watched less what is unsure of the fault: still more than an RTO."""
    (tmp_path / "slow").mkdir()
    quick = play(tmp_path, plan_of(fault(), deadline=seconds(8)))
    slow = play(tmp_path / "slow", plan_of(fault(name="fake.slow-kill"), deadline=seconds(8)))

    def watched_s(played: Any) -> float:
        return (played.at("phase", name="quiesce") - played.one("fault.witnessed")["hi"]) / 1e9

    assert slow.one("fault.witnessed")["hi"] - slow.one("fault.begin")["lo"] >= 5e9
    assert watched_s(slow) == pytest.approx(watched_s(quick), abs=0.2)
    assert (
        slow.one("run.end")["reason"]
        == "deadline of 8s and 5.0 s until the faults were seen: not recovered: pay"
    )
    assert quick.one("run.end")["reason"] == "deadline of 8s: not recovered: pay"


@pytest.mark.parametrize("hung_s", [0.3, 0.7])
def test_a_system_that_hangs_at_the_end_is_not_steady(tmp_path: Path, hung_s: float) -> None:
    """Nobody has had to wait for longer than the limit of 1 s yet, and nobody is answered any more."""

    async def hang(world: World, stop: asyncio.Event) -> None:
        await asyncio.sleep(13 - hung_s)  # 1 s to provision and 2 s steady; the last step comes 10 s later
        world.latency_s = 30.0

    look = fault("look", name="fake", kind="probe", volley=9, at=seconds(10))
    played = play(tmp_path, plan_of(fault(), response(when=down()), look, deadline=seconds(40)), hang)
    failed = played.one("steady.failed")
    assert failed["at"] == "after"
    assert "pay: " in failed["reason"]
    assert failed["waited_ns"] / 1e9 == pytest.approx(6.0, abs=0.3)


def test_answers_that_are_out_at_the_first_look_are_no_late_steady_state(tmp_path: Path) -> None:
    async def slower(world: World, stop: asyncio.Event) -> None:
        world.latency_s = 0.2

    look = fault("look", name="fake", kind="probe", volley=9, at=seconds(10))
    played = play(tmp_path, plan_of(fault("slow", "gateway -> db", name="fake.latency"), look), slower)
    after = played.of("steady.ok")[-1]
    assert (after["at"], after["waited_ns"]) == ("after", 0)


def test_answers_that_are_still_out_at_the_deadline_are_no_steady_state(tmp_path: Path) -> None:
    async def hang(world: World, stop: asyncio.Event) -> None:
        await asyncio.sleep(13 - 0.3)
        world.latency_s = 30.0

    look = fault("look", name="fake", kind="probe", volley=9, at=seconds(10))
    played = play(tmp_path, plan_of(fault(), response(when=down()), look, deadline=seconds(10.2)), hang)
    assert played.one("steady.failed")["reason"] == "pay: not answered yet"


def test_a_late_start_slides_the_window(tmp_path: Path) -> None:
    async def warm_up(world: World, stop: asyncio.Event) -> None:
        world.up = False
        await asyncio.sleep(3)
        world.up = True

    played = play(tmp_path, plan_of(fault(), response(when=down())), warm_up)
    assert played.one("run.end")["ended"] == "complete"


def test_a_silent_link_stops_the_run_by_name(tmp_path: Path) -> None:
    async def unused(world: World, stop: asyncio.Event) -> None:
        world.bytes_per_look["gateway -> db"] = (100, 0)

    played = play(tmp_path, plan_of(fault()), unused)
    assert "fault.begin" not in played.kinds
    assert "gateway -> db" in played.one("run.end")["reason"]
    assert "customers" not in played.one("run.end")["reason"]


def test_a_link_that_its_caller_goes_past_stops_the_run_by_name(tmp_path: Path) -> None:
    async def past(world: World, stop: asyncio.Event) -> None:
        world.direct["gateway -> db"] = 17

    played = play(tmp_path, plan_of(fault()), past)
    assert "fault.begin" not in played.kinds
    assert played.one("run.end")["ended"] == "broken"
    assert "gateway -> db (17 bytes)" in played.one("run.end")["reason"]
    assert played.one("link.traffic")["direct"] == {"gateway -> db": 17}


def test_a_caller_that_goes_past_its_link_after_the_fault_is_in_the_history(tmp_path: Path) -> None:
    async def past(world: World, stop: asyncio.Event) -> None:
        world.bypassed["gateway -> db"] = 18

    played = play(tmp_path, plan_of(fault(), response(when=down())), past)
    assert played.one("link.bypassed")["direct"] == {"gateway -> db": 18}
    assert played.kinds.index("link.bypassed") < played.kinds.index("run.end")


def test_a_proxy_that_was_started_anew_is_in_the_history(tmp_path: Path) -> None:
    async def restarted(world: World, stop: asyncio.Event) -> None:
        world.restarts.append(ProxyRestart("bank", 5, 9, ("gateway -> db",), "it hung"))

    played = play(tmp_path, plan_of(fault()), restarted)
    told = {"network": "bank", "lo": 5, "hi": 9, "links": ["gateway -> db"], "why": "it hung"}
    assert played.one("proxy.restarted") == told


def test_a_proxy_that_was_held_up_is_in_the_history(tmp_path: Path) -> None:
    async def held(world: World, stop: asyncio.Event) -> None:
        world.held_up.append(ProxyHeldUp(5, None, ("gateway -> db",), "its process is stopped"))
        world.held_up.append(ProxyHeldUp(5, 9, ("gateway -> db",), "it was stopped"))

    played = play(tmp_path, plan_of(fault()), held)
    assert [(one["lo"], one["hi"], one["links"]) for one in played.of("proxy.held-up")] == [
        (5, None, ["gateway -> db"]),
        (5, 9, ["gateway -> db"]),
    ]


def test_interrupted_in_the_middle_undoes_and_keeps_what_there_is(tmp_path: Path) -> None:
    async def press(world: World, stop: asyncio.Event) -> None:
        while "apply gateway -> db" not in world.done:  # noqa: ASYNC110 - time is virtual
            await asyncio.sleep(0.01)
        stop.set()
        await asyncio.sleep(0)
        stop.set()

    played = play(tmp_path, plan_of(fault("slow", "gateway -> db", name="fake.latency")), press)
    assert played.one("run.end")["ended"] == "interrupted"
    assert played.kinds.count("interrupted") == 1
    assert played.one("lease.undone") == {"id": "slow.1"}
    assert "undo toxic.remove" in played.world.done
    assert played.world.done[-2:] == ["slot given back", "close"]
    (lease,) = json.loads((played.folder / "leases.json").read_text())
    assert lease["state"] == "undone"


@pytest.mark.parametrize("after_s", [0.0, 0.5, 1.0, 1.1, 2.0, 3.3, 3.4, 3.8, 5.0, 5.2])
def test_interrupted_at_any_time(tmp_path: Path, after_s: float) -> None:
    async def press(world: World, stop: asyncio.Event) -> None:
        await asyncio.sleep(after_s)
        stop.set()

    played = play(tmp_path, plan_of(fault("slow", "gateway -> db", name="fake.latency")), press)
    assert played.one("run.end")["ended"] == "interrupted"
    assert played.estate is None or played.estate.closed
    assert not any(lease.state == "held" for lease in read(tmp_path / "state"))


def test_provision_that_fails_is_broken_and_sealed(tmp_path: Path) -> None:
    played = play(tmp_path, plan_of(fault()), provision_error=EnvironmentBroken("db did not come up"))
    assert played.one("run.end") | {"suspended_ns": 0} == {
        **{"ended": "broken", "reason": "db did not come up", "suspended_ns": 0}
    }
    assert "seal" in played.kinds


def test_a_measurer_that_dies_ends_the_run_at_once(tmp_path: Path) -> None:
    async def doom(world: World, stop: asyncio.Event) -> None:
        world.measurer_dies_at["prober"] = world.loop.now + 4.5

    played = play(tmp_path, plan_of(fault(), response(when=down())), doom)
    assert played.one("run.end")["reason"] == "the prober ended by itself with status -9"
    assert played.one("run.end")["ended"] == "broken"
    assert played.estate is not None
    assert played.estate.closed


def test_the_guard_aborts_and_undoes(tmp_path: Path) -> None:
    played = play(tmp_path, plan_of(fault(name="fake.freeze"), abort=ABORT))
    assert played.one("run.end")["ended"] == "aborted"
    assert "success < 1% for 3s" in played.one("abort")["reason"]
    assert played.one("lease.undone") == {"id": "crash.1"}


def test_the_deadline_ends_a_run_that_never_recovers(tmp_path: Path) -> None:
    played = play(tmp_path, plan_of(fault()))
    end = played.one("run.end")
    assert end["ended"] == "complete"
    assert "not recovered: pay" in end["reason"]
    assert played.at("run.end") - played.at("fault.begin") > 20e9


def test_an_undo_that_crashes_keeps_no_other_from_being_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = FakeEstate.undo

    async def undo(self: FakeEstate, what: Undo) -> None:
        if what.steps[0].op == "toxic.remove":
            raise KeyError("a bug")
        await asyncio.sleep(0.2)
        await plain(self, what)

    monkeypatch.setattr(FakeEstate, "undo", undo)
    slow = fault("slow", "gateway -> db", name="fake.latency")
    played = play(tmp_path, plan_of(slow, fault("ice", name="fake.freeze")))
    assert {one["id"] for one in played.of("undo.failed")} == {"slow.1"}
    assert played.one("lease.undone") == {"id": "ice.1"}
    assert played.one("run.end")["ended"] == "broken"
    assert "could not undo slow.1" in played.one("run.end")["reason"]


def test_a_response_that_is_not_finished_at_the_deadline_is_stopped_and_has_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def endless(self: Any, on: Any, context: Any) -> None:
        world = context.estate.world
        world.up = True  # customers are served again, and something is left to be done
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.5)
            world.note("stopped")

    monkeypatch.setattr("tests.conductor.staging.FakePromote.run", endless)
    played = play(tmp_path, plan_of(fault(), response(when=down())))
    assert "a step of the timeline" in played.one("run.end")["reason"]
    assert played.one("response.failed")["error"] == "not finished when the run ended"
    assert played.world.done.index("stopped") < played.world.done.index("slot given back")


def test_a_crash_of_a_service_is_told_and_our_own_kills_are_not(tmp_path: Path) -> None:
    async def crash(world: World, stop: asyncio.Event) -> None:
        await asyncio.sleep(4.5)
        at = world.loop.clock()
        world.exits += [Exit("db", at, "signal 9", ()), Exit("gateway", at, "exit 1", ("Traceback",))]

    played = play(tmp_path, plan_of(fault(), response(when=down())), crash)
    ended = played.one("service.exit")
    assert (ended["service"], ended["status"], ended["log_tail"]) == ("gateway", "exit 1", ["Traceback"])


def test_a_crash_is_told_where_the_fault_changed_rows_and_killed_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def undo(*_: Any) -> Undo:
        return Undo(steps=(NothingToUndo(why="the rows are the run's own", dies=False),))

    async def crash(world: World, stop: asyncio.Event) -> None:
        await asyncio.sleep(4.5)
        world.exits.append(Exit("db", world.loop.clock(), "signal 11", ()))

    monkeypatch.setattr(FakeKill, "undo", undo)
    played = play(tmp_path, plan_of(fault(), response(when=down())), crash)
    assert played.one("service.exit")["service"] == "db"


def test_an_estate_that_leaves_something_behind_has_no_answer(tmp_path: Path) -> None:
    async def sticky(world: World, stop: asyncio.Event) -> None:
        world.close_error = "2 processes are left"

    played = play(tmp_path, plan_of(fault(), response(when=down())), sticky)
    assert played.one("estate.closed") == {"left": ["2 processes are left"]}
    assert played.one("run.end")["ended"] == "broken"


def test_controls_are_named_and_do_what_they_say(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    steps = (fault(), response(when=down(within=seconds(4))))
    disarmed = play(tmp_path / "a", plan_of(*steps), controls=Controls(disarm=frozenset({"crash"})))
    assert "fault.begin" not in disarmed.kinds
    assert disarmed.one("step.disarmed") == {"step": "crash"}
    assert disarmed.one("run.end")["ended"] == "timeout"
    left_out = play(tmp_path / "b", plan_of(*steps), controls=Controls(leave_out=frozenset({"promote"})))
    assert left_out.one("step.left_out") == {"step": "promote"}
    assert "response.begin" not in left_out.kinds
    assert left_out.one("run.begin")["controls"] == {"disarm": [], "leave_out": ["promote"], "dead": []}
    assert left_out.one("run.end")["ended"] == "complete"


def test_a_watchdog_that_is_left_out_is_dead_before_the_first_fault_and_stays_dead(tmp_path: Path) -> None:
    worlds: list[World] = []

    async def keep(world: World, stop: asyncio.Event) -> None:
        worlds.append(world)

    steps = (fault(), response(when=down()))
    played = play(tmp_path, plan_of(*steps), keep, controls=Controls(dead=frozenset({"gateway"})))
    assert played.one("watchdog.killed") == {"service": "gateway"}
    assert played.kinds.index("watchdog.killed") < played.kinds.index("timeline.zero")
    assert ("gateway", False) in worlds[0].killed  # no restart policy brings it back


def test_whoever_cancels_waits_until_all_is_healed(tmp_path: Path) -> None:
    played = play(tmp_path, plan_of(fault("slow", "gateway -> db", name="fake.latency")), cancel_s=4)
    assert played.one("run.end")["ended"] == "interrupted"
    assert "undo toxic.remove" in played.world.done
    assert "seal" in played.kinds


def test_events_that_can_no_longer_be_written_end_the_run_and_everything_is_undone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worlds: list[World] = []

    async def fill(world: World, stop: asyncio.Event) -> None:
        worlds.append(world)
        while "apply gateway -> db" not in world.done:  # noqa: ASYNC110 - time is virtual
            await asyncio.sleep(0.01)

        def full(*_: Any) -> int:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("chaoskit.evidence.chain.os.write", full)

    slow = fault("slow", "gateway -> db", name="fake.latency", for_=seconds(60))
    with pytest.raises(EnvironmentBroken, match="No space left on device"):
        play(tmp_path, plan_of(slow, deadline=seconds(100)), fill)
    assert "undo toxic.remove" in worlds[0].done
    assert worlds[0].done[-1] == "close"


def test_a_disk_that_is_full_until_room_is_given_back_is_why_the_run_broke(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write
    folder = tmp_path / "run"

    async def fill(world: World, stop: asyncio.Event) -> None:
        room.keep(folder)
        while "apply gateway -> db" not in world.done:  # noqa: ASYNC110 - time is virtual
            await asyncio.sleep(0.01)

        def full(file: int, line: bytes) -> int:
            return write(file, line[:7] if list(folder.glob(".room*")) else line)

        monkeypatch.setattr("chaoskit.evidence.chain.os.write", full)

    slow = fault("slow", "gateway -> db", name="fake.latency", for_=seconds(60))
    played = play(tmp_path, plan_of(slow, deadline=seconds(100)), fill)
    assert played.one("run.end")["ended"] == "broken"
    assert "No space left on device" in played.one("run.end")["reason"]
    chain = verify(folder / "events.jsonl")
    assert chain.problems == ()
    (lost,) = [event.data for event in chain.events if event.kind == "events.lost"]
    assert lost["count"] == len(played.heard) - len(chain.events)
    assert lost["count"] > 3
    assert "No space left on device" in lost["why"]
    assert chain.sealed
    assert "undo toxic.remove" in played.world.done
    assert not list(folder.glob(".room*"))


def test_a_load_that_is_stopped_does_not_accuse_the_system(tmp_path: Path) -> None:
    async def stop_load(world: World, stop: asyncio.Event) -> None:
        world.load_stops = (world.loop.now + 5, world.loop.now + 12)

    played = play(tmp_path, plan_of(fault(), response(when=down()), abort=ABORT), stop_load)
    assert played.of("abort") == []
    assert played.one("run.end")["ended"] == "complete"


@pytest.mark.parametrize(("held_up_s", "told"), [(0.3, False), (2.0, True)])
def test_a_conductor_that_was_held_up_says_so(tmp_path: Path, held_up_s: float, told: bool) -> None:
    async def hold_up(world: World, stop: asyncio.Event) -> None:
        while "apply db" not in world.done:  # noqa: ASYNC110 - time is virtual
            await asyncio.sleep(0.01)
        await asyncio.sleep(1.55)
        world.loop.now += held_up_s

    played = play(tmp_path, plan_of(fault(), response(when=down())), hold_up)
    late = [event["late_ns"] / 1e9 for event in played.of("conductor.late")]
    assert late == ([pytest.approx(held_up_s, abs=0.1)] if told else [])


def test_what_the_clock_of_suspends_says_is_recorded_at_both_ends(tmp_path: Path) -> None:
    slept = iter((5, 7_000_000_005))
    played = play(tmp_path, plan_of(fault(), response(when=down())), suspended=lambda: next(slept))
    assert played.one("run.begin")["suspended_ns"] == 5
    assert played.one("run.end")["suspended_ns"] == 7_000_000_005


def test_for_whom_one_waits_is_recorded(tmp_path: Path) -> None:
    class Queue(AbstractAsyncContextManager[None]):
        tell: Any = None

        async def __aenter__(self) -> None:
            self.tell("run other (pid 7)", 1)

        async def __aexit__(self, *how: object) -> None:
            pass

    played = play(tmp_path, plan_of(fault()), queued=Queue())
    assert played.one("slot.waiting") == {"whom": "run other (pid 7)", "before": 1}


def test_a_stop_while_waiting_for_the_slot(tmp_path: Path) -> None:
    async def press(world: World, stop: asyncio.Event) -> None:
        await asyncio.sleep(30)
        stop.set()

    played = play(tmp_path, plan_of(fault()), press, slot_s=3600)
    assert played.one("run.end")["ended"] == "interrupted"
    assert played.seconds == pytest.approx(30, abs=0.1)
    assert played.estate is not None
    assert played.estate.closed
    assert "slot given back" not in played.world.done
