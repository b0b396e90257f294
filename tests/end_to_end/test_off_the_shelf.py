"""Servers that nobody here wrote, drilled from their own Compose files: a kill, and a count of what is lost."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.end_to_end.conftest import ROOT, Workplace

pytestmark = pytest.mark.docker

DRILLS = ROOT / "drills" / "off_the_shelf"


def shortened(name: str, *changes: tuple[str, str]) -> str:
    """A shipped drill with its waits cut short, to be read from another folder."""
    text = (DRILLS / f"{name}.yaml").read_text(encoding="utf-8")
    text = text.replace("../../fixtures", str(ROOT / "fixtures"))
    text = re.sub(r"steady: .*", "steady: {for: 1s, success: 90%, p99: 1s, within: 60s}", text)
    text = re.sub(r"settle: .*", "settle: {hold: 2s, gap: 500ms}", text)
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return text


def run(workplace: Workplace, text: str) -> dict[str, dict[str, object]]:
    done = workplace.chaoskit(
        "run",
        workplace.drill(text),
        "--runtime",
        "docker",
        "--reports",
        workplace.reports,
        timeout_s=280,
    )
    assert done.code == 0, done.both
    return {one["name"]: one for one in workplace.result()["verdicts"]}


def test_orders_through_pgbouncer_and_haproxy_that_the_standby_never_had_are_lost(
    workplace: Workplace,
) -> None:
    found = run(workplace, shortened("primary-dies-behind-lag", ("- at: 3s", "- at: 2s")))
    assert found["order.lost"]["outcome"] == "fail"
    assert found["order.rto"]["outcome"] == "pass"
    assert found["latest.rto"]["outcome"] == "pass"


def test_baskets_in_redis_and_orders_in_rabbitmq_outlive_a_kill(workplace: Workplace) -> None:
    found = run(workplace, shortened("store-killed"))
    assert {one["outcome"] for one in found.values()} == {"pass"}
    assert {"basket.lost", "order.lost", "nothing-doubled"} <= set(found)


def test_what_runs_in_containers_only_is_refused_on_local_by_name(tmp_path: Path) -> None:
    place = Workplace(tmp_path)
    done = place.chaoskit("plan", "--runtime", "local", DRILLS / "store-killed.yaml")
    assert done.code == 2
    assert "nothing says how `rabbitmq` runs on `local`" in done.both
