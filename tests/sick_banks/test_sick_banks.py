"""Banks with one bug each are caught by the check that is meant to, by key; the healthy bank passes the same drills."""

from __future__ import annotations

import pytest

from chaoskit import registry
from tests.sick_banks.drilling import WITHIN_S, run
from tests.sick_banks.loading import DRILLS, all_banks, read_bank

BANKS = [bank.name for bank in all_banks()]
ONCE = ("amounts-rounded", "lost-on-retry")
"""Drilled once in the default tier: one that needs no fault to go wrong, one that does."""
SEEDS = range(1, 11)
HEALTHY_RUNS = 50


@pytest.mark.timeout(WITHIN_S + 20)
@pytest.mark.parametrize("name", ONCE)
def test_sick_bank_is_caught(name: str) -> None:
    bank = read_bank(name)
    ran = run(bank, bank.drill, seed=1)
    assert ran.answer == "caught", ran
    assert ran.key


@pytest.mark.slow
@pytest.mark.timeout(WITHIN_S * len(SEEDS))
@pytest.mark.parametrize("name", BANKS)
def test_sick_bank_is_caught_whatever_the_seed(name: str) -> None:
    bank = read_bank(name)
    answers = {seed: run(bank, bank.drill, seed) for seed in SEEDS}
    assert {seed: ran for seed, ran in answers.items() if ran.answer != "caught"} == {}


@pytest.mark.slow
@pytest.mark.timeout(WITHIN_S * HEALTHY_RUNS)
def test_healthy_bank_passes_the_same_drills() -> None:
    drills = sorted({bank.drill for bank in all_banks()})
    runs = {}
    for number in range(HEALTHY_RUNS):
        drill = drills[number % len(drills)]
        runs[drill, number] = run(None, drill, seed=1 + number // len(drills))
    assert {which: ran for which, ran in runs.items() if not ran.healthy} == {}


@pytest.mark.slow
@pytest.mark.timeout(WITHIN_S + 20)
def test_balances_that_admit_their_true_age_are_no_bug() -> None:
    bank = read_bank("stale-age-in-minutes")
    ran = run(bank, bank.drill, seed=1, cure=("int((asked - at) / 60)", "asked - at"))
    assert ran.healthy, ran
    assert "said how old they were" in ran.says["reads-are-true"], "no balance was marked"


@pytest.mark.slow
@pytest.mark.timeout(WITHIN_S + 20)
def test_a_watchdog_that_keeps_a_lease_and_does_not_wait_for_it_is_seen_while_there_are_two() -> None:
    """The naive watchdog with the guard it lacks: in the end there is one writer, and for a second there were two."""
    bank = read_bank("naive-watchdog")
    guard = """\
+        if on_duty:
+            self.state = "guarding"
+        elif leased and self._guard is None:
+            self._guard = asyncio.create_task(self._keep_guard())
"""
    ran = run(bank, bank.drill, seed=1, cure=('+        self.state = "guarding"\n', guard))
    assert "one-writer" in ran.failed, ran
    assert "ledger-db and ledger-db-standby both took writes for" in ran.says["one-writer"]


def test_every_bank_names_a_check_that_its_drill_runs() -> None:
    for bank in all_banks():
        registry.member("checks", bank.caught.check)
        assert bank.caught.check in (DRILLS / bank.drill).read_text(encoding="utf-8"), bank.name


def test_no_drill_is_left_over() -> None:
    assert {path.name for path in DRILLS.glob("*.yaml")} == {bank.drill for bank in all_banks()}
