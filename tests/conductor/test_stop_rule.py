"""A stop rule speaks when the share was too low all the time, and not at a restart."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from chaoskit.conductor.stop_rule import RuleWatch
from chaoskit.model.drill import When
from chaoskit.model.history import Operation
from chaoskit.model.plan import Plan
from chaoskit.model.release import StopRule
from tests.conductor.fake_estate import World
from tests.conductor.staging import fault, plan_of, play, response, seconds
from tests.histories.builder import MS, S

RULE = StopRule.model_validate(
    {"journeys": ("transfer",), "below": "90%", "over": "500ms", "for": "3s"}, strict=False
)
LIMITS = {"transfer": 500 * MS, "balance": 500 * MS}


def operation(at: int, journey: str = "transfer", *, good: bool = True, took: int = 5 * MS) -> Operation:
    return Operation(
        key=f"{journey}-{at}",
        journey=journey,
        attempt=1,
        source="load",
        intended=at,
        sent=at,
        done=at + took,
        outcome="ok" if good else "unknown",
    )


def spoke_at(
    bad: tuple[int, int], *, journey: str = "transfer", rule: StopRule = RULE, until: int = 20 * S
) -> int | None:
    """20 operations a second, those of [bad) fail; looked at every 50 ms."""
    every = [operation(at, journey, good=not bad[0] <= at < bad[1]) for at in range(0, until, 50 * MS)]
    watch = RuleWatch(rule, LIMITS)
    for now in range(S, until, 50 * MS):
        if watch.look([one for one in every if one.done is not None and one.done <= now], now):
            return now
    return None


def test_it_speaks_once_the_share_was_too_low_for_its_time() -> None:
    at = spoke_at((5 * S, 20 * S))
    assert at is not None
    assert 8 * S <= at <= 8 * S + 300 * MS


@pytest.mark.parametrize("length", [S, 2 * S, 2_500 * MS])
def test_a_restart_is_no_reason(length: int) -> None:
    assert spoke_at((5 * S, 5 * S + length)) is None


def test_a_good_moment_starts_the_time_again() -> None:
    every = [operation(at, good=at // S % 3 == 2) for at in range(0, 20 * S, 50 * MS)]  # 2 s bad, 1 s good
    watch = RuleWatch(RULE, LIMITS)
    looks = range(S, 20 * S, 50 * MS)
    assert not any(
        watch.look([one for one in every if one.done is not None and one.done <= at], at) for at in looks
    )


def test_only_its_own_journeys_count() -> None:
    assert (
        spoke_at(
            (5 * S, 20 * S),
            journey="balance",
            rule=StopRule.model_validate(
                {"journeys": ("balance",), "below": "90%", "for": "3s"}, strict=False
            ),
        )
        is not None
    )
    watch = RuleWatch(RULE, LIMITS)
    mixed = [operation(at, good=True) for at in range(0, 5 * S, 50 * MS)]
    mixed += [operation(at, "balance", good=False) for at in range(1, 5 * S, 5 * MS)]
    mixed.sort(key=lambda one: one.intended)
    assert not watch.look(mixed, 5 * S)
    assert watch.since_ns is None


def test_silence_is_nothing_good() -> None:
    """Nobody is answered any more: what has not ended is no sign of health."""
    assert spoke_at((5 * S, 20 * S)) is not None
    every = [operation(at) for at in range(0, 5 * S, 50 * MS)]
    watch = RuleWatch(RULE, LIMITS)
    looks = [at for at in range(S, 20 * S, 50 * MS) if watch.look(every, at)]
    assert looks
    assert 8 * S <= looks[0] <= 9 * S


def test_an_answer_that_is_too_late_is_not_good() -> None:
    watch = RuleWatch(RULE, LIMITS)
    slow = [operation(at, took=600 * MS) for at in range(0, 10 * S, 50 * MS)]
    assert not watch.look(slow, 2 * S)
    assert watch.since_ns == 2 * S
    assert (watch.good, watch.ended) == (0, 11)


def ruled(at_s: float) -> Plan:
    """A kill, and a response that waits for the rule."""
    plan = plan_of(fault(at=seconds(at_s)), response(when=When(stop_rule="failing")))
    rule = StopRule.model_validate({"journeys": ("pay",), "below": "90%", "for": "1s"}, strict=False)
    return plan.model_copy(
        update={"system": plan.system.model_copy(update={"stop_rules": {"failing": rule}})}
    )


def test_the_response_follows_the_rule_and_the_alert_says_why(tmp_path: Path) -> None:
    played = play(tmp_path, ruled(1))
    alert = played.one("detect.alert")
    assert (alert["rule"], alert["service"], alert["false_alarm"]) == ("failing", "pay", False)
    begun = played.at("fault.begin")
    assert begun < alert["first_miss"] < begun + 1.5 * S, "customers wait a second before they give up"
    assert S <= played.at("detect.alert") - alert["first_miss"] < 1.2 * S
    assert played.at("response.begin") >= played.at("detect.alert")
    assert "response.done" in played.kinds


def test_a_rule_that_speaks_before_any_fault_leaves_the_run_without_an_answer(tmp_path: Path) -> None:
    async def ill(world: World, stop: asyncio.Event) -> None:
        await asyncio.sleep(4)
        world.up = False

    played = play(tmp_path, ruled(10), ill)
    assert played.one("detect.alert")["false_alarm"] is True
    end = played.one("run.end")
    assert end["ended"] == "broken"
    assert "the stop rule failing was broken before any fault" in end["reason"]
    assert "fault.begin" not in played.kinds


@pytest.mark.parametrize(("before_s", "false_alarm"), [(0.8, True), (0.2, False)])
def test_a_rule_that_was_broken_before_any_fault_says_nothing_of_the_fault(
    tmp_path: Path, before_s: float, false_alarm: bool
) -> None:
    """For longer than its `over`: less may be chance, a moment in which nobody came."""

    async def early(world: World, stop: asyncio.Event) -> None:
        await asyncio.sleep(8 - before_s)  # 1 s to provision and 2 s steady, and the fault 5 s later
        world.up = False

    played = play(tmp_path, ruled(5), early)
    alert = played.one("detect.alert")
    assert alert["first_miss"] < played.at("fault.begin") < played.at("detect.alert")
    assert alert["false_alarm"] is false_alarm
    assert (played.one("run.end")["ended"] == "broken") is false_alarm
