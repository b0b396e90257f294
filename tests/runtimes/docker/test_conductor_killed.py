"""SIGKILL of a docker run's conductor at any instant leaves nothing; with its janitor, the next start cleans up."""

from __future__ import annotations

import random
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

from chaoskit.runtimes.docker.janitor_record import records
from chaoskit.runtimes.docker.sweep import sweep
from chaoskit.runtimes.heal import heal
from tests.runtimes.docker import kill_trials
from tests.runtimes.docker.kill_trials import (
    GONE_WITHIN_S,
    Ground,
    Trial,
    kill_with_keepers,
    run_trials,
    victims,
)

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("beside_no_drill")]

SLACK = 2.0  # other tests have the machine's other CPU; `make slow` allows none


@pytest.fixture
def ground(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ground:
    one = Ground(tmp_path)
    monkeypatch.setenv("CHAOSKIT_STATE_DIR", str(one.state))
    return one


def prove_gone(trials: list[Trial]) -> None:
    print(kill_trials.table(trials))
    assert [trial for trial in trials if trial.left] == []
    assert statistics.median(trial.gone_s for trial in trials) < GONE_WITHIN_S
    assert [trial for trial in trials if trial.gone_s > SLACK * GONE_WITHIN_S] == []
    # What ends by itself, on an engine that is too slow, leaves nothing either; but then little was shown.
    assert sum(trial.reached == "failed" for trial in trials) <= len(trials) / 5


@pytest.mark.timeout(1600)  # waiting for others' drills included
def test_sigkill_of_the_conductor_leaves_nothing(ground: Ground) -> None:
    """25 seeded instants over the whole life: before the first object, at every phase, after the last."""
    prove_gone(run_trials(ground, instants=25, beside=2, seed="conductor-0"))


@pytest.mark.timeout(1600)  # waiting for others' drills included
@pytest.mark.parametrize("then", ["next start", "clean"])
def test_killed_with_its_janitor_and_its_supervisor(ground: Ground, then: str) -> None:
    chance = random.Random(f"keepers-{then}")
    needed = 0
    with victims(ground, 1) as free:
        victim = free.get()
        _, life_s = victim.order(kill_trials.new_run(), None)
        for part in range(4):
            run, left = kill_with_keepers(ground, victim, (part + chance.random()) / 4 * life_s)
            needed += bool(left)
            if then == "next start":
                # What the start of a run does before anything else.
                heal()
                sweep(kill_trials.engine_url())
            else:
                done = subprocess.run(
                    [sys.executable, "-m", "chaoskit", "clean"],
                    env=ground.environment,
                    cwd=kill_trials.ROOT,
                    capture_output=True,
                    text=True,
                    check=True,
                )
                assert not left or run in done.stdout, (left, done.stdout)
            assert ground.left(run) == []
            assert records() == []
        free.put(victim)
    assert needed >= 2
